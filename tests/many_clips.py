"""A corpus of many short clips in MELD's layout: enough shards to be interrupted at."""

from __future__ import annotations

import os
from pathlib import Path

from meld_miniature import HEADER

from emoprep.films import in_channel, numbered, tone, write_film

__all__ = ["build_clips"]

SECONDS = 1.6


def build_clips(folder: Path, clips: int, *, dev: int = 0) -> Path:
    """Make `clips` train and `dev` dev utterances, two a dialogue; they share six films by hard links."""
    folder.mkdir(parents=True)
    takes = [folder / f"take{number}.mp4" for number in range(6)]
    for number, take in enumerate(takes):
        write_film(take, seconds=SECONDS, fps=25, picture=numbered((40 * number, 90, 200)), gop=25,
                   sound=in_channel(tone(300 + 100 * number, SECONDS), "stereo", "FL"))
    for split, clips_folder, count in (("train", "train_splits", clips), ("dev", "dev_splits_complete", dev)):
        if count:
            _write_split(folder, split, folder / clips_folder, [takes[number % 6] for number in range(count)])
    for take in takes:
        take.unlink()
    return folder


def _write_split(folder, split, clips, takes):
    clips.mkdir()
    rows = [",".join(HEADER)]
    for number, take in enumerate(takes):
        dialogue, utterance = divmod(number, 2)
        os.link(take, clips / f"dia{dialogue}_utt{utterance}.mp4")
        rows.append(f'{number},Line {number}.,Ida,joy,positive,{dialogue},{utterance},1,1,"0:00:00,000","0:00:01,600"')
    (folder / f"{split}_sent_emo.csv").write_text("\r\n".join(rows) + "\r\n")
