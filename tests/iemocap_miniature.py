"""A miniature of IEMOCAP: its tree, file names and line syntax, with content that a machine recognises.

Each half of a film has its own colour and numbered pictures, and each turn its own tone, so that a test can tell
which half, which sound and which moment it was given. Nothing in it is from the corpus; `build_release` makes the
annotation alone, of all 10,039 turns, from no more than the published counts.
"""

import atexit
import colorsys
import functools
import itertools
import random
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from emoprep.films import in_channel, numbered, tone, write_film

# Where a session lies below the folder that users give as IN.
LAYOUTS = {"release": "Session{n}", "parent": "IEMOCAP_full_release/Session{n}", "nested": "Session{n}/Session{n}"}

FPS = Fraction(30000, 1001)
HALF = (360, 480)
SAMPLE_RATE = 16000
STUB = bytes.fromhex("00051607 00020000") + b"Mac OS X        " + bytes(188)  # AppleDouble, 212 bytes

# Classes by session, as they were counted in the release (`true_counts.json` has their sums).
CODES = ("xxx", "fru", "neu", "ang", "sad", "exc", "hap", "sur", "fea", "oth", "dis")
COUNTS = {
    1: (415, 280, 384, 229, 194, 143, 135, 25, 12, 1, 1),
    2: (436, 325, 362, 137, 197, 210, 117, 17, 9, 1, 0),
    3: (572, 382, 320, 240, 305, 151, 135, 28, 2, 0, 1),
    4: (564, 481, 258, 327, 143, 238, 65, 19, 7, 1, 0),
    5: (520, 381, 384, 170, 245, 299, 143, 18, 10, 0, 0),
}


@dataclass(frozen=True)
class Truth:
    """What is so about one turn.

    `start` and `end` are as EmoEvaluation has them. `raters` are the lines below its head, before the tab what
    stands left of the colon. `segments` are the rows of its alignment (first frame, last frame, word), None
    where it has none, and `words` what must be read from them. `wav` says whether its sentence has a file;
    `video` and `audio` are below the corpus folder, None where there is none.
    """

    name: str
    start: str
    end: str
    emotion: str
    raters: tuple[tuple[str, str], ...]
    text: str
    segments: tuple[tuple[int, int, str], ...] | None = ()
    wav: bool = True
    flags: tuple[str, ...] = ()
    view: str | None = None
    video: str | None = None
    audio: str | None = None
    tone: float = 0.0
    means: tuple[float, float, float] = field(init=False, default=(0.0, 0.0, 0.0))

    def __post_init__(self):
        # The means are those of the outside raters, and a digit that is missing counts as 0.
        said = [dict(part.split(maxsplit=1) if " " in part.strip() else (part.strip(), "0")
                     for part in text.partition("(")[0].split(";") if part.strip())
                for rater, text in self.raters if rater.startswith("A-E")]
        means = tuple(round(sum(int(one[name]) for one in said) / len(said), 4) for name in ("val", "act", "dom"))
        object.__setattr__(self, "means", means)

    @property
    def key(self) -> str:
        return f"iemocap_{self.name}"

    @property
    def dialogue(self) -> str:
        return self.name[:-5]

    @property
    def words(self) -> tuple[tuple[str, float, float], ...]:
        return tuple((word.removesuffix("(2)"), first / 100, (last + 1) / 100)
                     for first, last, word in self.segments or () if not word.startswith("<"))


@dataclass(frozen=True)
class Miniature:
    """A miniature on disk: `folder` is what a user gives as IN, `truth` the turns by key, in the order of the index.

    `colours` are those of each film's left and right half, in RGB.
    """

    folder: Path
    truth: dict[str, Truth]
    colours: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]]

    def session(self, number: int) -> Path:
        return next(path for path in (self.folder / layout.format(n=number) for layout in
                                      reversed(LAYOUTS.values())) if (path / "dialog").is_dir())


def build_miniature(root: Path, layout: str = "release") -> Miniature:
    """Write the miniature below `root` in one of LAYOUTS, and return the truth about it."""
    folder, media = root / "IEMOCAP", _media()
    truths = [_placed(truth, LAYOUTS[layout]) for truth in _ALL]
    for number in (1, 3, 4, 5):
        session = folder / LAYOUTS[layout].format(n=number)
        of_session = [truth for truth in truths if truth.name[4] == str(number)]
        write_session(session, of_session, strays=_STRAYS)
        if number != 4:
            shutil.copytree(media / f"Session{number}", session, dirs_exist_ok=True)
    return Miniature(folder, {truth.key: truth for truth in truths}, _COLOURS)


def write_session(session: Path, turns: list[Truth], strays: dict[str, list[str]]) -> None:
    """Write the annotation of a session; `strays` are transcribed lines that are no turn's, by dialogue."""
    for name, of_dialogue in itertools.groupby(sorted(turns, key=lambda turn: turn.name),
                                               lambda turn: turn.dialogue):
        of_dialogue = list(of_dialogue)
        _write(session / f"dialog/EmoEvaluation/{name}.txt", evaluation_text(of_dialogue))
        _write(session / f"dialog/EmoEvaluation/._{name}.txt", STUB.decode("latin-1"))
        _write(session / f"dialog/EmoEvaluation/Categorical/{name}_e1_cat.txt", f"{name}_F000 :Neutral state; ()\n")
        _write(session / f"dialog/EmoEvaluation/Attribute/{name}_e2_atr.txt", f"{name}_F000 :act 2; :val 3; :dom 2; \n")
        _write(session / f"dialog/transcriptions/{name}.txt", transcription_text(of_dialogue, strays.get(name, ())))
        _write(session / f"dialog/lab/{name[:5]}_F/{name}.lab", "start end utterance\n")
        for turn in of_dialogue:
            if turn.segments is not None:
                _write(session / f"sentences/ForcedAlignment/{name}/{turn.name}.wdseg", alignment_text(turn.segments))


def evaluation_text(turns: list[Truth]) -> str:
    """Return a file of EmoEvaluation: all turns of F, then all of M, each in time order."""
    blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    for turn in sorted(turns, key=lambda turn: turn.name[-4:]):
        means = ", ".join(f"{mean:.4f}" for mean in turn.means)
        blocks.append("\n".join([f"[{turn.start} - {turn.end}]\t{turn.name}\t{turn.emotion}\t[{means}]",
                                 *(f"{rater}:\t{said}" for rater, said in turn.raters)]) + "\n")
    return "\n".join(blocks)


def transcription_text(turns: list[Truth], strays=()) -> str:
    """Return a transcription: in time order, with the lines that are no turn's at its end."""
    lines = [f"{turn.name} [{float(turn.start):08.4f}-{float(turn.end):08.4f}]: {turn.text}"
             for turn in sorted(turns, key=lambda turn: float(turn.start)) if "no-transcription" not in turn.flags]
    return "".join(f"{line}\n" for line in (*lines, *strays))


def alignment_text(segments) -> str:
    """Return a .wdseg as Sphinx writes it."""
    rows = "".join(f"\t{first:5d} {last:5d} {-997 * (last - first):10d} {word}\n" for first, last, word in segments)
    return f"\t{'SFrm':>5} {'EFrm':>5} {'SegAScr':>10} {'Word'}\n{rows} Total score: {-123456:11d}\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("latin-1"))


# ------------------------------------------------------------------------------------------------ media

def _placed(truth: Truth, layout: str) -> Truth:
    """Give a turn the paths of its media in this layout."""
    below, dialogue = layout.format(n=truth.name[4]), truth.dialogue
    film = f"{below}/dialog/avi/DivX/{dialogue}.avi" if dialogue in _FILMS else None
    sounds = [f"{below}/sentences/wav/{dialogue}/{truth.name}.wav" if truth.wav else None,
              f"{below}/dialog/wav/{dialogue}.wav" if dialogue in _SOUNDS else None, film]
    return replace(truth, video=film, audio=next(filter(None, sounds), None),
                   view=None if film is None else "left" if truth.name[-4] == dialogue[5] else "right")


@functools.cache
def _media() -> Path:
    """Make the films and sounds once a session, laid out below Session1 … Session5, and return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="iemocap_miniature_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for dialogue in dict.fromkeys(truth.dialogue for truth in _ALL):
        session = folder / f"Session{dialogue[4]}"
        turns = [truth for truth in _ALL if truth.dialogue == dialogue]
        sentences, sounds, films = (session / f"sentences/wav/{dialogue}", session / "dialog/wav",
                                    session / "dialog/avi/DivX")
        for place in (sentences, sounds, films):
            place.mkdir(parents=True, exist_ok=True)
        for turn in turns:
            if turn.wav:
                length = Fraction(turn.end) - Fraction(turn.start)
                write_film(sentences / f"{turn.name}.wav", seconds=length, layout="mono", sample_rate=SAMPLE_RATE,
                           sound=tone(turn.tone, length, SAMPLE_RATE)[np.newaxis])
        if dialogue in _SOUNDS:
            write_film(sounds / f"{dialogue}.wav", seconds=_SECONDS, sound=_stereo(turns), sample_rate=SAMPLE_RATE)
        if dialogue in _FILMS:
            write_film(films / f"{dialogue}.avi", seconds=_SECONDS, size=(2 * HALF[0], HALF[1]), fps=FPS,
                       picture=_side_by_side(*_COLOURS[dialogue]), codec="mpeg4", bit_rate=1_000_000,
                       sound=_stereo(turns), sample_rate=SAMPLE_RATE)
    # What lies about in the release: sentences of turns without a number, what is no wav, AppleDouble stubs.
    stray = folder / "Session1/sentences/wav/Ses01F_impro01"
    shutil.copyfile(stray / "Ses01F_impro01_F000.wav", stray / "Ses01F_impro01_FXX0.wav")
    (stray / "Ses01F_impro01_F000.pk").write_bytes(b"an analysis of Praat")
    (stray / "._Ses01F_impro01_F000.wav").write_bytes(STUB)
    (folder / "Session1/dialog/avi/DivX/._Ses01F_impro01.avi").write_bytes(STUB)
    return folder


def _stereo(turns) -> np.ndarray:
    """Return a dialogue's sound, [2, n]: each turn's tone while it lasts, one actor a channel."""
    sound = np.zeros((2, _SECONDS * SAMPLE_RATE), np.float32)
    for turn in turns:
        first, last = (round(Fraction(time) * SAMPLE_RATE) for time in (turn.start, turn.end))
        channel = "FL" if turn.name[-4] == turn.name[5] else "FR"
        sound[:, first:last] += in_channel(tone(turn.tone, Fraction(last - first, SAMPLE_RATE), SAMPLE_RATE),
                                           "stereo", channel)
    return sound


def _side_by_side(left, right):
    halves = [numbered(colour, HALF) for colour in (left, right)]
    return lambda index, seconds: np.hstack([half(index, seconds) for half in halves])


# ------------------------------------------------------------------------------------------- the truth

_SECONDS = 6
_FILMS = ("Ses01F_impro01", "Ses01M_impro01", "Ses03M_impro05a", "Ses05M_script01_1")
_SOUNDS = ("Ses01F_impro01", "Ses01M_impro01", "Ses05M_script01_1")
_STRAYS = {"Ses01F_impro01": ["M: Mmhmm.", "Ses01F_impro01_FXX0 [005.2000-005.6000]: [LAUGHTER]", "",
                              "Ses01F_impro01_MXX1 [005.6000-005.8000]: Oh."]}


def _vote(self_rater, *words, self_words="Neutral;\t()"):
    """Return the lines of three outside raters' votes, the self report, and two raters' attributes."""
    return (*((f"C-E{number}", f"{word};\t()") for number, word in zip((1, 2, 4), words, strict=True)),
            (f"C-{self_rater}", self_words), ("A-E3", "val 3; act 2; dom  2;\t()"),
            ("A-E4", "val 2; act 4; dom  3;\t()"), (f"A-{self_rater}", "val 3; act 3; dom  3;\t()"))


_ALL = [replace(truth, tone=300.0 + 60 * number) for number, truth in enumerate([
    Truth("Ses01F_impro01_F000", "0.2000", "1.4250", "neu", _vote("F1", "Neutral", "Neutral", "Frustration"),
          "Well, what is it?", ((0, 20, "<s>"), (21, 40, "WELL"), (41, 72, "WHAT(2)"), (73, 80, "<sil>"),
                                (81, 90, "IS"), (91, 105, "IT"), (106, 121, "</s>"))),
    Truth("Ses01F_impro01_M000", "1.1000", "2.7003", "hap",
          (("C-E1", "Excited; Happiness;\t()"), ("C-E2", "Other;\t(amused, doesn"), ("C-E4", "Happiness;\t()"),
           ("C-M1", ";\t()"), ("A-E3", "val 5; act 3; dom  3;\t()"),
           ("A-E4", "val 4; act 3; dom  2;\t(relaxed, polite)"), ("A-E6", "val 4; act 3; dom  3;\t()"),
           ("A-M1", "val 3; act 3; dom  ;\t()")),
          "[LAUGHTER] Nothing at all.",
          ((0, 60, "++LAUGHTER++"), (61, 90, "NOTHING"), (91, 99, "AT"), (100, 130, "ALL"))),
    # It lies within the other actor's turn: whoever refuses turns that overlap refuses IEMOCAP.
    Truth("Ses01F_impro01_F001", "1.4300", "1.6300", "exc", _vote("F1", "Excited", "Excited", "Neutral"), "Oh!",
          segments=None, flags=("no-alignment",)),
    Truth("Ses01F_impro01_M001", "3.0000", "4.5000", "xxx",
          _vote("M1", "Neutral", "Frustration", "Excited", self_words="Happiness;\t()"), "I don't know.",
          ((3, 9, "I"),)),
    Truth("Ses01F_impro01_F002", "4.4000", "5.2000", "fru", _vote("F1", "Frustration", "Frustration", "Anger"),
          "[BREATHING] No.", ((0, 10, "++BREATHING++"), (11, 60, "NO"))),
    Truth("Ses01M_impro01_M000", "0.3000", "1.8000", "sad", _vote("M1", "Sadness", "Sadness", "Sadness"),
          "She left.", ((5, 40, "SHE"), (41, 90, "LEFT"))),
    Truth("Ses01M_impro01_F000", "1.5000", "3.5000", "ang", _vote("F1", "Anger", "Anger", "Disgust"), "Did she now?",
          ((5, 40, "DID"), (41, 90, "SHE"), (91, 99, "NOW")), wav=False, flags=("dialogue-sound",)),
    Truth("Ses01M_impro01_M001", "3.6000", "4.7500", "sur", _vote("M1", "Surprise", "Surprise", "Surprise"),
          "You knew?", ((5, 40, "YOU"), (41, 90, "KNEW"))),
    # A 6 stands for a rating, so that the mean is 5.5; a digit that is missing counts as 0, so that it is 0.5.
    Truth("Ses03M_impro05a_M000", "0.5000", "2.0000", "hap",
          (*_vote("M3", "Happiness", "Happiness", "Excited")[:4], ("A-E3", "val 5; act 3; dom  3;\t()"),
           ("A-E4", "val 6; act 3; dom  2;\t()")), "We won!", None, wav=False,
          flags=("rating-outside-scale", "dialogue-sound")),
    Truth("Ses03M_impro05a_F000", "2.1000", "3.3000", "fea",
          (*_vote("F3", "Fear", "Fear", "Neutral")[:4], ("A-E3", "val 2; act 4; dom  1;\t()"),
           ("A-E4", "val 2; act 4; dom  ;\t()")), "", None, wav=False,
          flags=("rating-outside-scale", "no-transcription", "dialogue-sound")),
    Truth("Ses04F_impro07_F000", "0.5000", "1.5000", "oth", _vote("F4", "Other", "Other", "Neutral"), "Hm.", None,
          wav=False),
    Truth("Ses04F_impro07_M000", "1.6000", "2.5000", "neu", _vote("M4", "Neutral", "Neutral", "Neutral"), "So?", None,
          wav=False),
    Truth("Ses05M_script01_1_F000", "0.1000", "1.3000", "dis", _vote("F5", "Disgust", "Disgust", "Anger"), "Ugh.",
          ((0, 80, "UGH"),)),
    Truth("Ses05M_script01_1_M000", "1.2000", "2.6000", "fru", _vote("M5", "Frustration", "Frustration", "Sadness"),
          "Not again.", ((0, 80, "NOT"), (81, 99, "AGAIN"))),
    # The part b has neither film nor dialogue sound, and its name begins with the other's.
    Truth("Ses05M_script01_1b_F000", "0.4000", "1.9000", "exc", _vote("F5", "Excited", "Excited", "Happiness"),
          "Go on!", ((0, 30, "GO"), (31, 70, "ON"))),
    Truth("Ses05M_script01_1b_M000", "2.0000", "3.0000", "xxx", _vote("M5", "Neutral", "Sadness", "Anger"), "No.",
          ((0, 50, "NO"),), wav=False),
])]


def _two_colours(number: int):
    return tuple(tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, 0.8, 0.8))
                 for hue in (0.21 * number, 0.21 * number + 0.5))


_COLOURS = {dialogue: _two_colours(number) for number, dialogue in enumerate(_FILMS)}


# ---------------------------------------------------------------------------------- a release's annotation

def release_dialogues(session: int) -> list[str]:
    """Return the names of a session's dialogues: 28, 30, 32, 30 and 31."""
    scripts = [f"script0{part}" for part in ("1_1", "1_2", "1_3", "2_1", "2_2", "3_1", "3_2")]
    names = []
    for actor in "FM":
        improvised = [f"impro0{number}" for number in range(1, 8 if session == 1 else 9)]
        if (session, actor) == (3, "M"):
            improvised = [part for name in improvised for part in
                          ((f"{name}a", f"{name}b") if name in ("impro05", "impro08") else (name,))]
        more = ["script01_1b"] if (session, actor) == (5, "M") else []
        names += [f"Ses0{session}{actor}_{scenario}" for scenario in (*improvised, *scripts, *more)]
    return names


def build_release(folder: Path, words: bool = True) -> Path:
    """Write annotation of IEMOCAP's size: 151 dialogues, 10,039 turns that overlap, classes as in COUNTS."""
    draw = random.Random(0)
    for session, counts in COUNTS.items():
        codes = [code for code, count in zip(CODES, counts, strict=True) for _ in range(count)]
        draw.shuffle(codes)
        dialogues, turns = release_dialogues(session), []
        for number, code in enumerate(codes):
            place, name = number // len(dialogues), dialogues[number % len(dialogues)]
            actor = "FM"[place % 2]
            segments = [(0, 9, "<s>"), *((10 + 30 * word, 39 + 30 * word, f"WORD{word}") for word in range(12))]
            turns.append(Truth(f"{name}_{actor}{place // 2:03d}", f"{2.5 + 4 * place:.4f}", f"{7.1234 + 4 * place:.4f}",
                               code, _vote(f"{actor}{session}", "Neutral", "Anger", "Sadness"),
                               f"This was said in turn {place}.", tuple(segments) if words else None))
        write_session(folder / f"Session{session}", turns, {})
    return folder
