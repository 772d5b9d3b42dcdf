"""Build a MELD tree from real annotation rows and real clips of talking faces, outside the repository.

    python tools/real_meld_tree.py OUT [--shared ../shared] [--dialogues 4] [--jobs 2]

MELD's own clips may not be passed on, its annotation may. So the rows are MELD's (the first dialogues of
each split, and of train as many more as it takes to have all seven emotions), byte for byte as in its csv
files; and each row's clip is cut from a free video of a talking face, one video a speaker, looped to the
length that the row gives, and coded as MELD's are: H.264, 1280×720, 24000/1001 fps, AAC 5.1 at 48 kHz with
the speech in the front centre and a quiet bed of noise in the other channels. Face, voice and text do not
belong together: the tree is for running on, not for learning from. OUT gets train/train_splits,
dev_splits_complete, output_repeated_splits_test and the three csv files; it may not lie in the repository. A
second run makes only what is missing.
"""

import argparse
import csv
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import av
import numpy as np

from emoprep.corpora.meld import EMOTIONS, parse_time
from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.films import LAYOUTS, write_film
from emoprep.utterance import child_seed

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = (1280, 720)
SAMPLE_RATE = 48000
PLACES = {"train": ("train/train_splits", "train/train_sent_emo.csv"),
          "dev": ("dev_splits_complete", "dev_sent_emo.csv"),
          "test": ("output_repeated_splits_test", "test_sent_emo.csv")}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make, outside the repository")
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared",
                        help="the folder with real/meld and real/video")
    parser.add_argument("--dialogues", type=int, default=4, help="dialogues a split, at least")
    parser.add_argument("--jobs", type=int, default=2, help="clips made at the same time")
    options = parser.parse_args()
    try:
        build(options.out, options.shared / "real", options.dialogues, options.jobs)
    except EmoprepError as error:
        sys.exit(str(error))


def build(out: Path, real: Path, dialogues: int, jobs: int) -> None:
    """Make the tree: all clips, then the csv files, whose presence says that the clips are there."""
    if out.resolve().is_relative_to(REPOSITORY):
        raise UsageError("the tree may not lie in the repository", where=str(out),
                         remedy="name a folder outside it: rows and faces of others are not ours to commit")
    sources = sorted([*(real / "video").glob("talking_*.mp4"), *(real / "video").glob("face_sound_*.mp4")])
    if not sources:
        raise MissingInput("the clips of talking faces are missing", where=str(real / "video"),
                           expected="talking_*.mp4 and face_sound_*.mp4",
                           remedy="name their folder by --shared")
    tables = {split: choose_rows(real / "meld" / f"{split}_sent_emo.csv", split, dialogues)
              for split in PLACES}
    cuts = plan_cuts({split: rows for split, (rows, _table) in tables.items()}, sources)
    for place, _table in PLACES.values():
        (out / place).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        for number, name in enumerate(pool.map(partial(make_clip, out), cuts), start=1):
            sys.stderr.write(f"{number}/{len(cuts)} {name}\n")
    for split, (_rows, table) in tables.items():
        (out / PLACES[split][1]).write_bytes(table)


# ------------------------------------------------------------------------------------------------ plan

def choose_rows(path: Path, split: str, dialogues: int) -> tuple[list[dict[str, str]], bytes]:
    """Return the rows of the first dialogues, and the csv that holds just these, byte for byte."""
    if not path.is_file():
        raise MissingInput("MELD's annotation is missing", where=str(path),
                           remedy="name its folder by --shared")
    header, *lines = path.read_bytes().removesuffix(b"\r\n").split(b"\r\n")
    names = next(csv.reader([header.decode()]))
    rows = [dict(zip(names, next(csv.reader([line.decode()])), strict=True)) for line in lines]
    order = list(dict.fromkeys(row["Dialogue_ID"] for row in rows))
    chosen = set(order[:dialogues])
    missing = set(EMOTIONS) if split == "train" else set()
    for dialogue in order:
        emotions = {row["Emotion"] for row in rows if row["Dialogue_ID"] == dialogue}
        if dialogue in chosen or missing & emotions:
            chosen.add(dialogue)
            missing -= emotions
    kept = [number for number, row in enumerate(rows) if row["Dialogue_ID"] in chosen]
    table = b"\r\n".join([header, *(lines[number] for number in kept), b""])
    return [rows[number] for number in kept], table


def plan_cuts(rows: dict[str, list[dict[str, str]]], sources: list[Path]) -> list[tuple]:
    """Decide which part of which video each row's clip is: (clip, source, offset, seconds).

    A speaker keeps one video through all splits and goes on where the last line ended.
    """
    videos: dict[str, Path] = {}
    spoken: dict[str, float] = {}
    cuts = []
    for split, chosen in rows.items():
        for row in chosen:
            speaker = row["Speaker"]
            source = videos.setdefault(speaker, sources[len(videos) % len(sources)])
            seconds = round(parse_time(row["EndTime"]) - parse_time(row["StartTime"]), 3)
            name = f"{PLACES[split][0]}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
            cuts.append((name, source, spoken.get(speaker, 0.0), seconds))
            spoken[speaker] = spoken.get(speaker, 0.0) + seconds
    return cuts


# ----------------------------------------------------------------------------------------------- clips

def make_clip(out: Path, cut: tuple) -> str:
    """Write one clip unless it is there, and return its name."""
    name, source, offset, seconds = cut
    if not (out / name).exists():
        length, speech = read_sound(source)
        offset %= length
        sound = surround(speech, offset, seconds, child_seed(0, "noise", name, 0))
        write_film(out / name, seconds=seconds, size=SIZE, picture=Looped(source, offset, length),
                   sound=sound, sample_rate=SAMPLE_RATE, layout="5.1", preset="veryfast", gop=250, bframes=3)
    return name


@cache
def read_sound(source: Path) -> tuple[float, np.ndarray]:
    """Return the length of a loop in seconds (as far as picture and sound both go), and its mono sound."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    with av.open(str(source)) as film:
        pictures = float(film.streams.video[0].duration * film.streams.video[0].time_base)
        frames = [part for frame in film.decode(audio=0) for part in resampler.resample(frame)]
    speech = np.concatenate([frame.to_ndarray()[0] for frame in [*frames, *resampler.resample(None)]])
    length = min(pictures, len(speech) / SAMPLE_RATE)
    return length, speech[:round(length * SAMPLE_RATE)]


def surround(speech: np.ndarray, offset: float, seconds: float, seed: int) -> np.ndarray:
    """Return 5.1 sound, float32 [6, n]: the looped speech in the centre, soft noise elsewhere."""
    count = round(seconds * SAMPLE_RATE)
    noise = np.random.default_rng(seed).standard_normal((len(LAYOUTS["5.1"]), count)).astype(np.float32)
    planes = 0.004 * noise
    places = (round(offset * SAMPLE_RATE) + np.arange(count)) % len(speech)
    planes[LAYOUTS["5.1"].index("FC")] = speech[places]
    return planes


class Looped:
    """The pictures of a video from `offset` seconds on, again and again, fitted into `size` with black bars."""

    def __init__(self, source: Path, offset: float, length: float, size: tuple[int, int] = SIZE):
        self.source, self.offset, self.length, self.size = source, offset, length, size
        self.frames = self.decode()
        self.image, self.shown, self.ahead = None, None, next(self.frames)

    def decode(self):
        """Yield (seconds on an endless clock, frame)."""
        lap = 0
        while True:
            with av.open(str(self.source)) as film:
                for frame in film.decode(video=0):
                    if frame.time < self.length:
                        yield lap * self.length + frame.time, frame
            lap += 1

    def __call__(self, _index: int, seconds: float) -> np.ndarray:
        """Return the picture on screen at `seconds`: uint8 [height, width, 3]."""
        frame = self.shown
        while frame is None or self.ahead[0] <= self.offset + seconds:
            frame, self.ahead = self.ahead[1], next(self.frames)
        if frame is not self.shown:
            self.shown, self.image = frame, letterbox(frame, self.size)
        return self.image


def letterbox(frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """Scale a picture into `size` without changing its proportions: uint8 [height, width, 3]."""
    width, height = size
    scale = min(width / frame.width, height / frame.height)
    inner = [2 * round(scale * length / 2) for length in (frame.width, frame.height)]
    image = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    image[top:top + inner[1], left:left + inner[0]] = frame.reformat(*inner, format="rgb24").to_ndarray()
    return image


if __name__ == "__main__":
    main()
