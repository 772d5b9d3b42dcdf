"""Build a CMU-MOSEI tree from real labels and real clips of talking faces, outside the repository.

    python tools/real_mosei_tree.py OUT [--shared ../shared] [--videos 3]

The labels, segment times and folds are CMU-MOSEI's own: of each fold (and of the videos in none) the first
videos that end within 35 seconds. Their films may not be passed on, so each is a real face that talks, looped
to that length; one video has its sound as a wav too, one is there as sound alone. Transcripts are made up in
the real syntax, with clip numbers in the string order that the label rows follow; the computational sequences
(words, word vectors, COVAREP, FACET) are noise on the real clocks, −inf and NaN included. OUT gets Raw/… and
the .csd files; it may not lie in the repository.
"""

import argparse
import json
import sys
from pathlib import Path

import h5py
import numpy as np
from real_meld_tree import REPOSITORY, SAMPLE_RATE, Looped, read_sound

from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.films import write_film
from emoprep.utterance import child_seed

LONGEST_S = 35
SIZE = (640, 360)
SEQUENCES = {"COVAREP": ("COVAREP", 74, 100), "VisualFacet42": ("FACET 4.2", 35, 30),
             "TimestampedWordVectors": ("glove_vectors", 300, 0), "TimestampedWords": ("words", 0, 0)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make, outside the repository")
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared", help="with real/mosei, real/video")
    parser.add_argument("--videos", type=int, default=3, help="videos a fold")
    options = parser.parse_args()
    try:
        build(options.out, options.shared / "real", options.videos)
    except EmoprepError as error:
        sys.exit(str(error))


def build(out: Path, real: Path, count: int) -> None:
    """Make the tree; films that are there are not made again."""
    if out.resolve().is_relative_to(REPOSITORY):
        raise UsageError("the tree may not lie in the repository", where=str(out), remedy="name a folder outside it")
    sources = sorted([*(real / "video").glob("talking_25*.mp4"), *(real / "video").glob("face_sound_*.mp4")])
    labels = real / "mosei/CMU_MOSEI_Labels.csd"
    if not sources or not labels.is_file():
        raise MissingInput("the real labels or clips are missing", where=str(real), remedy="name them by --shared")
    folds = json.loads((real / "mosei/cmu_mosei_std_folds.json").read_text())
    with h5py.File(labels) as file:
        data = file["All Labels/data"]
        chosen = choose(data, [*map(set, folds.values()), set(data) - set().union(*folds.values())], count)
        out.mkdir(parents=True, exist_ok=True)
        with h5py.File(out / "CMU_MOSEI_Labels.csd", "w") as mine:
            for video in chosen:
                file.copy(data[video], mine.require_group("All Labels/data"), video)
        intervals = {video: data[video]["intervals"][:] for video in chosen}
    for number, (video, times) in enumerate(intervals.items()):
        make_media(out / "Raw", video, float(times.max()), sources[number % len(sources)], number)
        write_transcript(out / "Raw", video, times)
        sys.stderr.write(f"{video}: {len(times)} segments\n")
    for ending, (root, dims, rate) in SEQUENCES.items():
        with h5py.File(out / f"CMU_MOSEI_{ending}.csd", "w") as file:
            for video, times in intervals.items():
                write_sequence(file.create_group(f"{root}/data/{video}"), video, float(times.max()), dims, rate)


def choose(data, folds: list[set[str]], count: int) -> list[str]:
    """Return the first videos of each fold that end soon enough, those of several segments first."""
    chosen = []
    for fold in folds:
        short = [video for video in sorted(fold & set(data)) if data[video]["intervals"][:].max() < LONGEST_S]
        chosen += sorted(short, key=lambda video: -len(data[video]["intervals"]))[:count]
    return chosen


def make_media(raw: Path, video: str, seconds: float, source: Path, number: int) -> None:
    film, wav = raw / f"Videos/Full/Combined/{video}.mp4", raw / f"Audio/Full/WAV_16000/{video}.wav"
    length, speech = read_sound(source)
    heard = speech[np.arange(round((seconds + 0.5) * SAMPLE_RATE)) % len(speech)]
    for path in (film, wav):
        path.parent.mkdir(parents=True, exist_ok=True)
    if number % 4 != 3 and not film.exists():
        write_film(film, seconds=seconds + 0.5, size=SIZE, fps=30, picture=Looped(source, 0.0, length, SIZE),
                   sound=np.stack([heard, heard]), sample_rate=SAMPLE_RATE, bframes=2)
    if number % 4 in (2, 3):
        write_film(wav, seconds=seconds + 0.5, sound=heard[np.newaxis, ::SAMPLE_RATE // 16000], sample_rate=16000,
                   layout="mono")


def write_transcript(raw: Path, video: str, times: np.ndarray) -> None:
    """Write a line for each label row; rows are in the string order of clip numbers."""
    clips = sorted(map(str, range(len(times))))
    lines = [f"{video}___{clip}___{start!r}___{end!r}___made up words of clip {clip}\n"
             for clip, (start, end) in zip(clips, times.astype(np.float64).round(4).tolist(), strict=True)]
    path = raw / f"Transcript/Segmented/Combined/{video}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines))


def write_sequence(group, video: str, seconds: float, dims: int, rate: int) -> None:
    rng = np.random.default_rng(child_seed(0, "sequence", video, dims))
    if rate:
        starts = np.arange(int(seconds * rate)) / rate
        intervals = np.stack([starts, starts + 1 / rate], axis=1)
    else:  # words of a third of a second, the same for words and vectors
        edges = np.arange(0.1, seconds, 0.35)
        intervals = np.stack([edges, edges + 0.3], axis=1)
    group["intervals"] = intervals
    if not dims:
        group["features"] = np.array([[b"sp" if at % 5 == 4 else f"word{at}".encode()] for at in range(len(intervals))])
        return
    features = rng.standard_normal((len(intervals), dims)).astype(np.float32)
    if rate == 100:
        features[::50, 1], features[7::90, 2] = -np.inf, np.nan
    group["features"] = features


if __name__ == "__main__":
    main()
