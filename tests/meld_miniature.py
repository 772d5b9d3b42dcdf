"""A miniature of MELD: its folder layouts, file names and csv quirks, with content that a machine recognises.

Every clip has its own colour, its own tone and numbered pictures, so that a test can tell which clip, which
channel and which moment it was given. Nothing in it is from the corpus.
"""

import atexit
import colorsys
import csv
import functools
import io
import shutil
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from emoprep.films import CINEMA, film_length, in_channel, numbered, tone, write_film

# Where users have the clips and the csv of each split, below the folder they give as IN.
LAYOUTS = {
    "archive": {"train": ("train/train_splits", "train"), "dev": ("dev_splits_complete", ""),
                "test": ("output_repeated_splits_test", "")},
    "flat": {"train": ("train_splits", ""), "dev": ("dev_splits_complete", ""),
             "test": ("output_repeated_splits_test", "")},
    "emobox": {"train": ("train/train_splits", "train"), "dev": ("dev/dev_splits_complete", "dev"),
               "test": ("test/output_repeated_splits_test", "test")},
    "nkululeko": {"train": ("train/train_splits", ""), "dev": ("dev_splits_complete", ""),
                  "test": ("test/output_repeated_splits_test", "")},
    "splits": {split: (f"{split}_splits", "") for split in ("train", "dev", "test")},
    "plain": {split: (split, "") for split in ("train", "dev", "test")},
    "beside": {split: (split, split) for split in ("train", "dev", "test")},
    "mirror": {split: (f"audio/{split}", "") for split in ("train", "dev", "test")},  # sound only, FLAC
}

HEADER = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season",
          "Episode", "StartTime", "EndTime")

# cp1252 text that was decoded as latin-1, as in the csv files of MELD.Raw.tar.gz.
C1 = str.maketrans("…‘’“”–—", "\x85\x91\x92\x93\x94\x96\x97")

STUB = bytes.fromhex("00051607 00020000") + b"Mac OS X        " + bytes(188)  # AppleDouble, 212 bytes


@dataclass(frozen=True)
class Truth:
    """What is so about one utterance or clip.

    `seconds` is the film's exact length, `csv_seconds` is End − Start.
    `tones` are Hz by channel and `tone` is the loudest of them; `colour` is RGB. `fault` names what is wrong
    with the clip (see `_ROWS`). `clip` is below the corpus folder, None for a row without one; `emotion` is
    None for a clip without a row.
    """

    split: str
    dialogue: int
    utterance: int
    clip: str | None = None
    fault: str = ""
    speaker: str = ""
    text: str = ""
    emotion: str | None = None
    sentiment: str | None = None
    start: str = ""
    end: str = ""
    csv_seconds: float | None = None
    seconds: Fraction | None = None
    frames: int = 0
    fps: Fraction = CINEMA
    size: tuple[int, int] = (320, 180)
    colour: tuple[int, int, int] | None = None
    layout: str | None = "stereo"
    tone: float | None = None
    tones: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> str:
        return f"meld_{self.split}_dia{self.dialogue}_utt{self.utterance}"


@dataclass(frozen=True)
class Miniature:
    """A miniature on disk: `folder` is what a user gives as IN, `truth` the rows by key, in the csv's order.

    `twin` is the plain clip of test 0_0, which loses to the corrected one of `truth`. `unused` are the clips
    without a row.
    """

    folder: Path
    layout: str
    truth: dict[str, Truth]
    twin: Truth
    unused: tuple[Truth, ...]

    def split(self, name: str) -> list[Truth]:
        return [truth for truth in self.truth.values() if truth.split == name]

    def cut(self) -> list[Truth]:
        """Return the rows whose clip is there, readable and of a plausible length, in order."""
        return [truth for truth in self.truth.values()
                if truth.fault not in ("no-clip", "truncated", "length-skip")]


def build_miniature(root: Path, layout: str = "archive", generation: str = "new") -> Miniature:
    """Write the miniature below `root` in one of LAYOUTS, and return the truth about it.

    `generation` "new" is the csv of the repository (UTF-8, CRLF); "old" is that of the archive, with C1
    characters for the typographic ones, and with LF in train and dev.
    """
    folder = root / "MELD.Raw"
    ending = "flac" if layout == "mirror" else "mp4"
    films = _films(ending)
    for split, (clips, table) in LAYOUTS[layout].items():
        (folder / clips).mkdir(parents=True, exist_ok=True)
        for truth in _CLIPS:
            if truth.split == split:
                # A copy, not a link: a test may damage its own clips.
                name = f"{truth.clip}.{ending}"
                shutil.copyfile(films / split / name, folder / clips / name)
        rows = [row for row in _ROWS if row.split == split]
        (folder / table / f"{split}_sent_emo.csv").write_bytes(table_bytes(rows, generation))
    clips = folder / LAYOUTS[layout]["test"][0]
    (clips / f"._dia0_utt0.{ending}").write_bytes(STUB)
    clips.with_name(f"._{clips.name}").write_bytes(STUB)

    def placed(truth):
        if truth.clip is None:
            return truth
        truth = replace(truth, clip=f"{LAYOUTS[layout][truth.split][0]}/{truth.clip}.{ending}")
        return truth if ending == "mp4" else _as_sound(truth)

    return Miniature(folder, layout, {row.key: placed(row) for row in _ROWS}, placed(_TWIN),
                     tuple(placed(truth) for truth in _EXTRA))


def table_bytes(rows: list[Truth], generation: str = "new") -> bytes:
    """Return a MELD csv of `rows`: minimal quoting, CRLF, numbers of `Sr No.` with gaps."""
    text = io.StringIO()
    old = generation == "old"
    table = csv.writer(text, lineterminator="\n" if old and rows[0].split != "test" else "\r\n")
    table.writerow(HEADER)
    for number, row in enumerate(rows):
        # The old files mix both: U+2019 stays itself in every sixth row.
        words = row.text.translate(C1) if old and number % 6 != 2 else row.text
        speaker = row.speaker.translate(C1) if old else row.speaker
        table.writerow([1 + number + number // 3, words, speaker, row.emotion, row.sentiment, row.dialogue,
                        row.utterance, 3, 11, row.start, row.end])
    return text.getvalue().encode()


# ------------------------------------------------------------------------------------------------ clips

@functools.cache
def _films(ending: str) -> Path:
    """Make all clips once a session, `split/name.ending`, and return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="meld_miniature_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for truth in _CLIPS:
        path = folder / truth.split / f"{truth.clip}.{ending}"
        path.parent.mkdir(exist_ok=True)
        sound = sum(in_channel(tone(hz, truth.seconds, amplitude=0.35 if hz == truth.tone else 0.2),
                               truth.layout, channel) for channel, hz in truth.tones)
        if ending == "flac":
            _write_mirrored(path, truth, sound)
        else:
            write_film(path, seconds=truth.seconds, size=truth.size, fps=truth.fps,
                       picture=numbered(truth.colour, truth.size),
                       sound=sound if truth.tones else None, layout=truth.layout or "stereo", bframes=2)
        if truth.fault == "truncated":
            # The index of an mp4 (moov) is at its end; a FLAC still needs its header.
            path.write_bytes(path.read_bytes()[:20 if ending == "flac" else -400])
    return folder


def _write_mirrored(path, truth, sound):
    """Write what the FLAC mirror on Hugging Face has of a clip: 16 kHz mono, silence where there is none."""
    mono = sound.sum(axis=0)[::3] if truth.tones else np.zeros(round(truth.seconds * 16000), np.float32)
    write_film(path, seconds=truth.seconds, sound=mono[np.newaxis], sample_rate=16000, layout="mono")


def _as_sound(truth: Truth) -> Truth:
    """Return what is so about the mirrored clip: no pictures, and a length in whole samples."""
    return replace(truth, frames=0, colour=None, size=None, fps=None, layout="mono",
                   tones=tuple(("FC", hz) for _channel, hz in truth.tones),
                   seconds=Fraction(round(truth.seconds * 16000), 16000))


# ------------------------------------------------------------------------------------------- the truth

def _row(split, dialogue, utterance, start, end, csv_seconds, speaker, emotion, sentiment, text, *,
         film=None, fault="", prefix="", **look) -> Truth:
    """Return a row and its clip of about `film` seconds (None: as long as the csv says)."""
    clip = None if fault == "no-clip" else f"{prefix}dia{dialogue}_utt{utterance}"
    return Truth(split, dialogue, utterance, clip, fault, speaker, text, emotion, sentiment, start, end,
                 csv_seconds, film or csv_seconds, **look)


def _clip_only(split, dialogue, utterance, film, fault) -> Truth:
    return Truth(split, dialogue, utterance, f"dia{dialogue}_utt{utterance}", fault, seconds=film)


def _give_content(number: int, truth: Truth) -> Truth:
    """Give clip `number` its colour, tones and exact length."""
    if truth.clip is None:
        return replace(truth, seconds=None, colour=None, layout=None)
    hue, value = number * 0.382 % 1, 0.5 + number % 3 / 5
    channels = {"5.1": ("FC",), "stereo": ("FL", "FR"), None: ()}[truth.layout]
    tones = tuple((channel, 300.0 + 70 * number + 25 * place) for place, channel in enumerate(channels))
    frames = film_length(truth.seconds, truth.fps)
    return replace(truth, frames=frames, seconds=frames / Fraction(truth.fps), tones=tones,
                   tone=tones[0][1] if tones else None,
                   colour=tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.8, value)))


_ALL = [_give_content(number, truth) for number, truth in enumerate([
    _row("train", 0, 0, "00:01:02,500", "00:01:04,040", 1.54, "Ida", "surprise", "negative",
         "Well, I didn’t know that!"),
    _row("train", 0, 1, "00:01:04,100", "00:01:06,102", 2.002, "Otto", "neutral", "neutral",
         "Nobody “knows” it…", layout="5.1"),
    # `,28` is 280 ms, not 28: the row is 1.18 s long.
    _row("train", 0, 2, "0:01:04,100", "0:01:05,28", 1.18, "Ida", "joy", "positive", "That’s – good!"),
    _row("train", 0, 3, "0:01:06,000", "0:01:07,000", 1.0, "Otto", "neutral", "neutral", "Okay.",
         fault="truncated"),
    _row("train", 1, 0, "00:20:59,960", "00:21:01,560", 1.6, "Ida’s Friend", "anger", "negative",
         'He said "no", twice.', fps=Fraction(25), size=(496, 384)),
    _row("train", 1, 1, "0:21:02,500", "0:21:02,584", 0.084, "Both", "neutral", "neutral", "Oh",
         fault="two-pictures"),
    # No row 1_2: the numbers of utterances have gaps.
    _row("train", 1, 3, "00:21:03,000", "00:21:04,502", 1.502, "Ida", "sadness", "negative",
         "I can’t hear you…", fault="no-sound", layout=None),
    # Dialogue 2 starts at utterance 1, and there is no dialogue 3.
    _row("train", 2, 1, "01:00:00,000", "01:00:01,000", 1.0, "Otto", "fear", "negative", "What was that?",
         fault="length-flag", film=1.5),
    _row("train", 2, 2, "01:00:01,000", "01:00:02,200", 1.2, "Ida", "disgust", "negative", "Yuck, a rat!",
         fault="length-skip", film=9.2),
    _row("train", 4, 0, "9:59:59,500", "10:00:01,001", 1.501, "Otto", "joy", "positive", "Ha! Ha — ha!"),
    _row("dev", 0, 0, "00:02:00,000", "00:02:01,168", 1.168, "Ida", "neutral", "neutral", "So…"),
    _row("dev", 0, 1, "0:02:01,200", "0:02:02,7", 1.5, "Otto", "sadness", "negative", "It’s late, isn’t it?"),
    _row("dev", 0, 2, "0:02:03,000", "0:02:04,000", 1.0, "Ida", "neutral", "neutral", "Yes.",
         fault="no-clip"),
    _clip_only("dev", 0, 3, 1.0, "no-row"),
    # The csv has the length of the corrected cut; the plain one holds more.
    _row("test", 0, 0, "00:03:00,000", "00:03:01,402", 1.402, "Otto", "surprise", "positive", "You’re here!",
         prefix="final_videos_test"),
    _row("test", 0, 1, "0:03:02,000", "0:03:02,000", 0.0, "Ida", "neutral", "neutral", "I’m, well, here.",
         fault="start-is-end", film=1.6),
    _row("test", 1, 0, "00:04:00,000", "00:04:01,250", 1.25, "Otto", "anger", "negative", "Go!",
         layout="5.1"),
    _clip_only("test", 0, 0, 2.0, "plain-twin"),
])]

_ROWS = [truth for truth in _ALL if truth.emotion]
_CLIPS = [truth for truth in _ALL if truth.clip]
_TWIN = next(truth for truth in _ALL if truth.fault == "plain-twin")
_EXTRA = [truth for truth in _ALL if truth.fault == "no-row"]
