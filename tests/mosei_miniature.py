"""A miniature of CMU-MOSEI: its tree, transcripts, raters' csv and computational sequences, with known content.

Each video has its own colour, numbered pictures and a tone, so that a test can tell which film, which sound and which
moment it was given. Ids are those of the standard folds (and one that is in none); times, texts and ratings are
made up.
"""

import atexit
import colorsys
import csv
import functools
import io
import json
import shutil
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np

from emoprep.films import LAYOUTS as CHANNELS
from emoprep.films import in_channel, numbered, tone, write_film

FPS = 25
SAMPLE_RATE = 16000
SIZE = (320, 180)

# The folder that users give as IN holds this one, or is it.
LAYOUTS = {"archive": "Raw", "raw": ""}

FILMS, CLIPS, SOUNDS = "Videos/Full/Combined", "Videos/Segmented/Combined", "Audio/Full/WAV_16000"
TRANSCRIPTS = "Transcript/Segmented/Combined"

HEADER = ("HITId", "WorkerId", "AssignmentStatus", "Input.VIDEO_ID", "Input.CLIP", "Answer.anger", "Answer.disgust",
          "Answer.fear", "Answer.gender", "Answer.happiness", "Answer.sadness", "Answer.sentiment", "Answer.surprise")
ANSWERS = ("sentiment", "happiness", "sadness", "anger", "surprise", "disgust", "fear")
COLUMNS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")

STUB = bytes.fromhex("00051607 00020000") + b"Mac OS X        " + bytes(188)  # AppleDouble, 212 bytes

# The root names in the files of the SDK.
SEQUENCES = {"CMU_MOSEI_Labels.csd": "All Labels", "CMU_MOSEI_TimestampedWords.csd": "words",
             "CMU_MOSEI_TimestampedWordVectors.csd": "glove_vectors", "CMU_MOSEI_COVAREP.csd": "COVAREP",
             "CMU_MOSEI_VisualFacet42.csd": "FACET 4.2"}


@dataclass(frozen=True)
class Video:
    """What there is of one video: its length in seconds, the channels of its wav, the clips that are cut out."""

    split: str | None
    seconds: Fraction
    film: bool = True
    wav: str = ""
    clips: tuple[int, ...] = ()
    transcript: bool = True
    labels: bool = True
    colour: tuple[int, int, int] = (0, 0, 0)
    tone: float = 0.0


@dataclass(frozen=True)
class Truth:
    """What is so about one segment: its line in the transcript, and what each rater answered, in order of ANSWERS.

    `video_at` and `audio_at` say where it begins in these files, which are below the corpus folder. `skip` is the
    reason why it has none.
    """

    name: str
    clip: int
    start: str
    end: str
    text: str
    raters: tuple[tuple[int, ...], ...]
    video: str | None = None
    audio: str | None = None
    video_at: Fraction = Fraction(0)
    audio_at: Fraction = Fraction(0)
    flags: tuple[str, ...] = ()
    skip: str = ""

    @property
    def key(self) -> str:
        return f"mosei_{self.name}_{self.clip}"

    @property
    def time_key(self) -> str:
        """The key where no transcript tells the clip's number: tenths of milliseconds."""
        start, end = (round(Fraction(time) * 10_000) for time in (self.start, self.end))
        return f"mosei_{self.name}_t{start}_{end}"

    @property
    def split(self) -> str | None:
        return VIDEOS[self.name].split

    @property
    def begin(self) -> Fraction:
        return max(Fraction(self.start), Fraction(0))

    @property
    def annotation(self) -> dict[str, float]:
        means = np.mean(np.array(self.raters, np.float64), axis=0).astype(np.float32)
        return dict(zip(COLUMNS, means.tolist(), strict=True))


@dataclass(frozen=True)
class Miniature:
    """A miniature on disk: `folder` is what a user gives as IN, `truth` the segments in the order of the index."""

    folder: Path
    truth: tuple[Truth, ...]
    unused: tuple[str, ...] = ()


def build_miniature(root: Path, layout: str = "archive", *, media: bool = True, sequences: bool = False) -> Miniature:
    """Write the raw tree below `root` (with `sequences`, the .csd files beside it), and return the truth about it."""
    folder, below = root / "CMU_MOSEI", LAYOUTS[layout]
    raw = folder / below
    write_transcripts(raw, [truth for truth in _ALL if VIDEOS[truth.name].transcript])
    write_ratings(raw)
    if media:
        shutil.copytree(_media(), raw, dirs_exist_ok=True)
        for stub in (FILMS, CLIPS, TRANSCRIPTS):
            (raw / stub / "._25522.mp4").write_bytes(STUB)
    if sequences:
        build_sequences(folder)
    place = f"{below}/" if below else ""
    return Miniature(folder, tuple(_placed(truth, place, media) for truth in _LABELLED),
                     (f"{place}{FILMS}/unlabelled0.mp4",) if media else ())


def build_sequences(folder: Path) -> Miniature:
    """Write the computational sequences into `folder`, and return the truth about it; there are no media."""
    folder.mkdir(parents=True, exist_ok=True)
    words = {name: _words(video) for name, video in VIDEOS.items()}
    write_csd(folder / "CMU_MOSEI_Labels.csd", label_rows(_LABELLED))
    write_csd(folder / "CMU_MOSEI_TimestampedWords.csd", words)
    write_csd(folder / "CMU_MOSEI_TimestampedWordVectors.csd",
              {name: (times, _values(len(times), 300)) for name, (times, _) in words.items()})
    covarep = {name: _steps(video.seconds, 100, 74) for name, video in VIDEOS.items()}
    covarep["-3g5yACwYnA"][1][3:5, 1] = -np.inf, np.nan
    write_csd(folder / "CMU_MOSEI_COVAREP.csd", covarep)
    write_csd(folder / "CMU_MOSEI_VisualFacet42.csd",
              {name: _steps(video.seconds, 30, 35) for name, video in VIDEOS.items() if name != "25522"})
    return Miniature(folder, tuple(_placed(truth, "", False) for truth in _LABELLED))


# -------------------------------------------------------------------------------------------- annotation

def write_transcripts(raw: Path, truths: list[Truth]) -> None:
    """Write a transcript a video, its lines in string order of the clip numbers, as they are in the release."""
    (raw / TRANSCRIPTS).mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(truth.name for truth in truths):
        lines = sorted((truth for truth in truths if truth.name == name), key=lambda truth: str(truth.clip))
        (raw / TRANSCRIPTS / f"{name}.txt").write_bytes("".join(
            f"{name}___{truth.clip}___{truth.start}___{truth.end}___{truth.text}\n" for truth in lines).encode())


def write_ratings(raw: Path) -> None:
    """Write two of the raters' csv files: one has a folder before the ids, and a copy without it beside it."""
    (raw / "Labels").mkdir(parents=True, exist_ok=True)
    mono = [truth for truth in _LABELLED if truth.name == "25522"]
    others = [truth for truth in _LABELLED if truth.name != "25522"]
    # A rater who left an answer out rates nothing.
    unfilled = {**rating_rows(others[:1])[0], "Answer.fear": ""}
    for name, rows in (("5000_batch_raw", [*rating_rows(others), unfilled]),
                       ("pom_extra_sqa_mono_results", rating_rows(mono, "pom/")),
                       ("pom_extra_sqa_mono_results_mod", rating_rows(mono))):
        (raw / "Labels" / f"{name}.csv").write_bytes(rating_bytes(rows))


def rating_rows(truths: list[Truth], folder: str = "") -> list[dict[str, str]]:
    """Return a row for each rater of each segment."""
    return [{"HITId": f"3{number:04d}", "WorkerId": f"A{rater}", "AssignmentStatus": "Approved", "Answer.gender": "1",
             "Input.VIDEO_ID": f"{folder}{truth.name}", "Input.CLIP": str(truth.clip),
             **{f"Answer.{name}": str(answer) for name, answer in zip(ANSWERS, answers, strict=True)}}
            for number, truth in enumerate(truths) for rater, answers in enumerate(truth.raters)]


def rating_bytes(rows: list[dict[str, str]], header=HEADER) -> bytes:
    """Return an MTurk csv: every cell in quotes, CRLF."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


# ---------------------------------------------------------------------------------- computational sequences

def write_csd(path: Path, videos: dict, name: str | None = None, *, metadata: bool = True, dtype=np.float64) -> Path:
    """Write a .csd as the SDK deploys it: {video: (intervals, features)}, gzip 9; `dtype` is that of the intervals."""
    name = name or SEQUENCES.get(path.name, path.stem)
    with h5py.File(path, "w") as file:
        root = file.create_group(name)
        data = root.create_group("data")
        for video, (intervals, features) in videos.items():
            group = data.create_group(video)
            for part, values in (("features", features), ("intervals", np.asarray(intervals, dtype))):
                packed = {"compression": "gzip", "compression_opts": 9} if len(values) else {}
                group.create_dataset(part, data=values, **packed)
        if metadata:
            entry = root.create_group("metadata").create_dataset("root name", (1,), h5py.string_dtype())
            entry[0] = json.dumps(name)
    return path


def label_rows(truths: list[Truth]) -> dict:
    """Return the labels by video, their rows in string order of the clip numbers."""
    rows = {}
    for truth in sorted(truths, key=lambda truth: str(truth.clip)):
        times, values = rows.setdefault(truth.name, ([], []))
        times.append((float(truth.start), float(truth.end)))
        values.append(list(truth.annotation.values()))
    return {name: (np.array(times), np.array(values, np.float32)) for name, (times, values) in rows.items()}


def _words(video: Video):
    """Words of 0.2 s, every fourth of them a pause."""
    starts = np.arange(0, float(video.seconds), 0.2)
    words = [b"sp" if number % 4 == 3 else f"word{number}".encode() for number in range(len(starts))]
    return np.stack([starts, starts + 0.2], axis=1), np.array(words)[:, np.newaxis]


def _steps(seconds: Fraction, rate: int, dim: int):
    starts = np.arange(int(seconds * rate)) / rate
    return np.stack([starts, starts + 1 / rate], axis=1), _values(len(starts), dim)


def _values(rows: int, dim: int) -> np.ndarray:
    return np.arange(rows * dim, dtype=np.float32).reshape(rows, dim) % 97


# ------------------------------------------------------------------------------------------------- media

def _placed(truth: Truth, place: str, media: bool) -> Truth:
    """Give a segment the media that it must be cut from."""
    made, name = VIDEOS[truth.name], truth.name
    film = f"{place}{FILMS}/{name}.mp4" if media and made.film and made.transcript else None
    clip = f"{place}{CLIPS}/{name}_{truth.clip}.mp4" if media and truth.clip in made.clips else None
    wav = f"{place}{SOUNDS}/{name}.wav" if media and made.wav else None
    video, audio = film or clip, wav or film or clip
    reason = "no-fold" if made.split is None else "" if audio else "no-clip" if made.transcript else "no-time"
    if reason:
        video = audio = None
    flags = (("start-clamped",) if truth.start.startswith("-") else ()) + (
        ("segmented-clip",) if clip and clip in (video, audio) else ())
    return Truth(name, truth.clip, truth.start, truth.end, truth.text, truth.raters, video, audio,
                 Fraction(0) if video == clip else truth.begin, Fraction(0) if audio == clip else truth.begin, flags,
                 reason)


@functools.cache
def _media() -> Path:
    """Make the films, clips and sounds once a session, and return the folder that has them as Raw does."""
    folder = Path(tempfile.mkdtemp(prefix="mosei_miniature_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for below in (FILMS, CLIPS, SOUNDS):
        (folder / below).mkdir(parents=True)
    for name, video in VIDEOS.items():
        picture = numbered(video.colour, SIZE)
        if video.film:
            write_film(folder / FILMS / f"{name}.mp4", seconds=video.seconds, size=SIZE, fps=FPS, picture=picture,
                       sound=_sound(video, "stereo"), sample_rate=SAMPLE_RATE)
        if video.wav:
            # In the left channel alone, where it is stereo.
            write_film(folder / SOUNDS / f"{name}.wav", seconds=video.seconds, sound=_sound(video, video.wav),
                       sample_rate=SAMPLE_RATE, layout=video.wav)
        for clip in video.clips:
            write_film(folder / CLIPS / f"{name}_{clip}.mp4", seconds=video.seconds / 2, size=SIZE, fps=FPS,
                       picture=picture, sound=_sound(video, "stereo"), sample_rate=SAMPLE_RATE)
    return folder


def _sound(video: Video, layout: str) -> np.ndarray:
    return in_channel(tone(video.tone, video.seconds, SAMPLE_RATE), layout, CHANNELS[layout][0])


# --------------------------------------------------------------------------------------------- the truth

def _given(number: int, video: Video) -> Video:
    """Give a video its colour and tone."""
    colour = tuple(round(255 * part) for part in colorsys.hsv_to_rgb(number * 0.382 % 1, 0.8, 0.5 + number % 3 / 5))
    return Video(**{**vars(video), "colour": colour, "tone": 300.0 + 70 * number})


VIDEOS = {name: _given(number, video) for number, (name, video) in enumerate({
    "-3g5yACwYnA": Video("train", Fraction(8), wav="stereo"),
    "FcAgbLF6__s": Video("train", Fraction(3)),
    "25522": Video("train", Fraction(3), film=False, wav="mono"),
    "255224": Video("train", Fraction(2), film=False, clips=(0,)),
    "--qXJuDtHPw": Video("dev", Fraction(4), wav="mono"),
    "-6rXp3zJ3kc": Video("test", Fraction(3)),
    "101787": Video("dev", Fraction(2), film=False, clips=(4,), transcript=False),
    "nofold_A-1": Video(None, Fraction(2)),
    "unlabelled0": Video(None, Fraction(1), labels=False),
}.items())}


def _segment(name: str, clip: int, start: str, end: str, text: str, *raters: str) -> Truth:
    return Truth(name, clip, start, end, text, tuple(tuple(map(int, rater.split())) for rater in raters))


# One video of thirteen clips, so that "10" comes before "2"; each begins before its neighbour's end.
_THIRTEEN = [_segment("-3g5yACwYnA", clip, f"{clip * 0.5:.4f}", f"{clip * 0.5 + 0.7125:.4f}", f"this is clip {clip}",
                      f"{clip % 7 - 3} {clip % 4} 0 0 0 0 0", "0 1 0 0 0 0 0", "0 0 0 0 0 0 0")
             for clip in (*range(12), 13)]

# In the order of the index.
_LABELLED = [
    *_THIRTEEN,
    _segment("25522", 1, "0.25", "1.5", "a number for a name", "3 3 0 0 0 0 0", "3 3 0 0 0 0 0"),
    _segment("25522", 2, "1.2", "2.75", "and again", "-1 0 0 1 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0",
             "0 0 0 0 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0"),
    _segment("255224", 0, "3.5", "4.5", "another number", "1 0 0 0 0 0 0", "1 0 0 0 0 0 0", "1 0 0 0 0 0 0"),
    _segment("255224", 3, "4.25", "5.0", "without a clip", "1 0 0 0 0 0 0", "1 0 0 0 0 0 0", "2 0 0 0 0 0 0"),
    _segment("FcAgbLF6__s", 0, "0.0", "1.5", "so today i will try___ to show_____ this", "2 2 0 0 1 0 0",
             "1 1 0 0 1 0 0", "2 1 0 0 0 0 0"),
    _segment("FcAgbLF6__s", 1, "1.125", "2.8", "it’s “café” ☎", "-2 0 1 1 0 1 1", "-3 0 2 1 0 2 0", "-2 0 2 0 0 1 0"),
    _segment("--qXJuDtHPw", 5, "-0.4875", "1.25", "", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0"),
    _segment("--qXJuDtHPw", 0, "0.9", "3.487528344671", "well", "-1 0 1 0 0 1 0", "-1 1 1 0 0 0 0", "0 0 1 0 0 0 0"),
    _segment("101787", 4, "0.0", "1.0", "", "1 1 0 0 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0"),
    _segment("101787", 5, "0.5", "2.0", "", "-1 0 0 0 0 0 0", "0 0 0 0 0 0 0", "0 0 0 0 0 0 0"),
    _segment("-6rXp3zJ3kc", 0, "0.0", "1.4", "first", "-3 0 3 3 0 3 1", "-3 0 3 3 0 3 1", "-3 0 3 3 0 3 1"),
    _segment("-6rXp3zJ3kc", 12, "1.0", "2.96", "last", "0 0 0 0 0 0 0", "1 0 0 0 0 0 0", "0 0 0 0 0 0 0"),
    _segment("nofold_A-1", 0, "0.0", "1.5", "in no fold", "1 1 0 0 0 0 0", "1 1 0 0 0 0 0", "1 1 0 0 0 0 0"),
]
_ORDER = {"train": 0, "dev": 1, "test": 2, None: 3}
_LABELLED.sort(key=lambda truth: (_ORDER[truth.split], truth.name, truth.begin))

# Lines of the transcripts that nobody rated.
_ALL = [*_LABELLED, _segment("-3g5yACwYnA", 12, "6.0", "6.4", "nobody rated this"),
        _segment("unlabelled0", 0, "0.0", "1.0", "nor this")]
