"""IEMOCAP (Busso et al., LRE 2008): ten actors, 151 dialogues of two in five sessions, 10,039 utterances.

Its quirks, and what is done about each, stand at the foot of this file and on `docs/iemocap.md`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from emoprep.contracts import Corpus, Option
from emoprep.corpora.iemocap.text import Spoken, Turn, parse_alignment, parse_evaluation, parse_transcription
from emoprep.errors import CorpusError, MissingInput, UsageError
from emoprep.labels import LabelScheme
from emoprep.utterance import Skip, Utterance

NAME = "iemocap"
TITLE = "IEMOCAP: Interactive Emotional Dyadic Motion Capture Database"
LICENCE = "USC's release form: given out on request, for research; not to be passed on"
CITATION = """\
@article{busso2008iemocap,
  title = {{IEMOCAP}: Interactive Emotional Dyadic Motion Capture Database},
  author = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and
            Kim, Samuel and Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal = {Language Resources and Evaluation},
  volume = {42},
  number = {4},
  pages = {335--359},
  year = {2008}
}"""

ANNOTATION = {
    "emotion": "string",
    "valence": "float64",
    "arousal": "float64",
    "dominance": "float64",
    "session": "int32",
    "scenario": "string",
    "gender": "string",
    "votes": "strings",
    "attributes": "strings",
}

_FOUR = {"hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral", "ang": "angry"}

# The order is the one of the DialogueRNN features, which the models of that line of work share.
SCHEMES = (
    LabelScheme("iemocap-4", "emotion", ("happy", "sad", "neutral", "angry"), _FOUR),
    LabelScheme("iemocap-5", "emotion", ("happy", "sad", "neutral", "angry", "frustrated"),
                {**_FOUR, "fru": "frustrated"}),
    LabelScheme("iemocap-6", "emotion", ("happy", "sad", "neutral", "angry", "excited", "frustrated"),
                {**_FOUR, "exc": "excited", "fru": "frustrated"}),
)

OPTIONS = {
    "view": Option(("half", "full"), "half",
                   "what of a film that shows two actors side by side is the clip: the speaker's half, or all of it"),
    "av-offset": Option((), "0", "how far the films run behind the sound: what is heard at t is seen at t + SECONDS",
                        "SECONDS"),
}


def recognise(source: Path) -> bool:
    """Tell whether `source` is laid out like IEMOCAP, by names alone."""
    return bool(_session_folders(source))


def read(source: Path, options: dict[str, str]) -> Corpus:
    """Read the dialogues of each session that is there, and list their films and sounds.

    Raises MissingInput where no dialogue has an evaluation, CorpusError (file and line) for a line that cannot
    be read, an unknown emotion or two turns of one name, and UsageError for an `av-offset` that is no number.
    """
    settings = {"view": options.get("view", OPTIONS["view"].default),
                "av-offset": _plain_number(options.get("av-offset", OPTIONS["av-offset"].default))}
    offset, half = Fraction(settings["av-offset"]), settings["view"] == "half"
    folders, notes = _session_folders(source), _Notes()
    utterances, skips, files, bare, unused = [], [], [], [], []
    for number, below in folders.items():
        session = _list_session(source, below, number, notes)
        of_session = []
        for dialogue in sorted(session.evaluations):
            read_utterances, read_files, read_unused = _read_dialogue(source, session, dialogue, offset, half, notes)
            of_session += read_utterances
            files += read_files
            unused += read_unused
        unused += [path for media in (session.films, session.sounds) for dialogue, path in media.items()
                   if dialogue not in session.evaluations]
        without = [utterance for utterance in of_session if not (utterance.video or utterance.audio)]
        if of_session and len(without) == len(of_session):
            bare.append(f"ses{number}")
        else:
            skips += [_no_clip(below, utterance) for utterance in without]
        utterances += of_session
    if not files:
        raise MissingInput("IEMOCAP's annotation is missing", where=str(source), got="none of them",
                           expected="Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and the like",
                           remedy="give the folder that holds Session1 … Session5, with their dialog/EmoEvaluation")
    if absent := [f"Session{number}" for number in range(1, 6) if number not in folders]:
        notes.add(f"not there: {', '.join(absent)}")
    return Corpus(NAME, source, tuple(utterances), tuple(skips), tuple(files), settings, tuple(bare),
                  tuple(sorted(unused)), notes.told(), ANNOTATION, SCHEMES)


def _plain_number(text: str) -> str:
    """Return `--av-offset` as a plain decimal, so that "0.50" and ".5" are one setting."""
    if not re.fullmatch(r"[+-]?(\d{1,4}(\.\d{0,6})?|\.\d{1,6})", text, re.ASCII):
        raise UsageError("this is no number of seconds", where="--av-offset", expected="0.2, -0.167 or the like",
                         got=repr(text[:100]))
    return format((Decimal(text) + 0).normalize(), "f")


class _Notes:
    """What is to be told; of what occurs often, only how often and where first."""

    def __init__(self):
        self.notes, self.counts = [], {}

    def add(self, note: str) -> None:
        self.notes.append(note)

    def leave_out(self, what: str, where: str) -> None:
        first, number = self.counts.get(what, (where, 0))
        self.counts[what] = first, number + 1

    def told(self) -> tuple[str, ...]:
        return (*self.notes, *(f"left out: {number} {what} (the first: {first})"
                               for what, (first, number) in self.counts.items()))


# ----------------------------------------------------------------------------------------------- folders

class _Session(NamedTuple):
    """The files of a session's dialogues, by dialogue, with their paths below the corpus."""

    number: int
    below: str
    evaluations: dict[str, str]
    transcriptions: dict[str, str]
    films: dict[str, str]
    sounds: dict[str, str]


# Whole names, for `Ses05M_script01_1` is the beginning of `Ses05M_script01_1b`.
_DIALOGUE = r"Ses0{}[FM]_(?:impro\d\d[a-z]?|script\d\d_\d[a-z]?)"


def _session_folders(source: Path) -> dict[int, str]:
    """Find the sessions: in IN, in the release's folder below it, and in `Session1/Session1` as some zips have it."""
    found = {}
    for number in range(1, 6):
        for place in ("", "IEMOCAP_full_release/"):
            for below in (f"{place}Session{number}", f"{place}Session{number}/Session{number}"):
                if number not in found and any((source / below / part).is_dir() for part in ("dialog", "sentences")):
                    found[number] = below
    return found


def _files(source: Path, below: str, ending: str, needed=None) -> dict[str, str]:
    """List the files of a folder that end so: name without the ending → path below the corpus.

    Raises CorpusError for what is no file, though `needed` says of its name (without the ending) that it must be.
    """
    found = {}
    try:
        with os.scandir(source / below) as entries:
            for entry in entries:
                name, path = entry.name.removesuffix(ending), f"{below}/{entry.name}"
                # `._name` is an AppleDouble stub; a folder or a pipe is no file, whatever its name.
                if not entry.name.endswith(ending) or entry.name.startswith("._"):
                    continue
                if entry.is_file():
                    found[name] = path
                elif needed and needed(name):
                    raise CorpusError("this evaluation is no file", where=path,
                                      got="a link that leads nowhere" if entry.is_symlink() else "a folder or the like",
                                      remedy="fetch it again, or remove it to leave the dialogue out")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return found


def _list_session(source: Path, below: str, number: int, notes: _Notes) -> _Session:
    is_dialogue = re.compile(_DIALOGUE.format(number), re.ASCII).fullmatch
    listed = []
    for place, ending in (("EmoEvaluation", ".txt"), ("transcriptions", ".txt"), ("avi/DivX", ".avi"), ("wav", ".wav")):
        files = _files(source, f"{below}/dialog/{place}", ending, is_dialogue if place == "EmoEvaluation" else None)
        for path in sorted(path for name, path in files.items() if not is_dialogue(name)):
            notes.leave_out("files whose name is no dialogue's of their session", ascii(path))
        listed.append({name: path for name, path in files.items() if is_dialogue(name)})
    session = _Session(number, below, *listed)
    if not session.evaluations:
        notes.add(f"Session{number}: no dialog/EmoEvaluation; the session is left out")
        return session
    if not session.transcriptions:
        notes.add(f"Session{number}: no dialog/transcriptions; its texts are empty")
    for dialogue in sorted(set().union(*listed[1:]) - session.evaluations.keys()):
        notes.leave_out("dialogues without a file in EmoEvaluation", dialogue)
    return session


def _no_clip(below: str, utterance: Utterance) -> Skip:
    dialogue, name = (text.removeprefix(f"{NAME}_") for text in (utterance.dialogue, utterance.key))
    return Skip(utterance.key, "no-clip", f"{below} has neither dialog/avi/DivX/{dialogue}.avi nor "
                                          f"sentences/wav/{dialogue}/{name}.wav nor dialog/wav/{dialogue}.wav")


# --------------------------------------------------------------------------------------------- dialogues

_ZERO = Fraction(0)
_FRAME = Fraction(1, 100)  # of the alignment


def _read_dialogue(source, session, dialogue, offset, half, notes) -> tuple[list[Utterance], list[str], list[str]]:
    """Return the utterances of a dialogue in time order, its annotation files, and the sentence wavs of no turn."""
    files = [session.evaluations[dialogue]]
    turns = parse_evaluation(_text(source, files[0]), dialogue, files[0], notes.leave_out)
    spoken = {}
    if where := session.transcriptions.get(dialogue):
        files.append(where)
        spoken = parse_transcription(_text(source, where), turns, where, notes.leave_out)
    wavs = _files(source, f"{session.below}/sentences/wav/{dialogue}", ".wav")
    aligned = _files(source, f"{session.below}/sentences/ForcedAlignment/{dialogue}", ".wdseg")
    utterances = []
    in_time = sorted(turns.items(), key=lambda item: (item[1].start, item[1].end, item[0]))
    for number, (name, turn) in enumerate(in_time):
        said, words = spoken.get(name), ()
        if where := aligned.get(name):
            files.append(where)
            words = parse_alignment(_text(source, where), where)
        media = _media(session, dialogue, name, turn.start, wavs.get(name), offset, half)
        flags = _flags(name, turn, said, aligned)
        if media["audio"] and name not in wavs:
            flags.append("dialogue-sound")
        utterances.append(Utterance(
            key=f"{NAME}_{name}", corpus=NAME, split=None, dialogue=f"{NAME}_{dialogue}", turn=number,
            speaker=name[:5] + name[-4], text=said.text if said else "", start=turn.start, end=turn.end,
            seconds=float(turn.end - turn.start), annotation=_annotation(session, name, turn), words=words,
            flags=tuple(flags), unit=f"ses{session.number}", **media))
    return utterances, files, [path for name, path in wavs.items() if name not in turns]


def _text(source: Path, where: str) -> str:
    with open(f"{source}/{where}", "rb") as file:
        raw = file.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _flags(name: str, turn: Turn, said: Spoken | None, aligned: dict[str, str]) -> list[str]:
    """Return what to know about a turn's annotation."""
    flags = []
    if not all(1 <= mean <= 5 for mean in (turn.valence, turn.arousal, turn.dominance)):
        flags.append("rating-outside-scale")
    if said is None:
        flags.append("no-transcription")
    elif (said.start, said.end) != (turn.start, turn.end) \
            and max(abs(said.start - turn.start), abs(said.end - turn.end)) > _FRAME:
        flags.append("times-differ")
    if aligned and name not in aligned:
        flags.append("no-alignment")
    return flags


def _annotation(session: _Session, name: str, turn: Turn) -> dict:
    return {
        "emotion": turn.emotion,
        "valence": turn.valence,
        "arousal": turn.arousal,
        "dominance": turn.dominance,
        "session": session.number,
        "scenario": "impro" if "_impro" in name else "script",
        # Counted from the end: names of scripts and of parts (`impro05a`) are longer.
        "gender": name[-4],
        "votes": turn.votes,
        "attributes": turn.attributes,
    }


def _media(session, dialogue, name, start, wav, offset, half) -> dict:
    """Return where an utterance is seen and heard: in its sentence's wav, else the dialogue's, else the film."""
    film, sound = session.films.get(dialogue), session.sounds.get(dialogue)
    audio_shift = -start if wav else offset if film and not sound else _ZERO
    view = None
    if film and half:
        # At the left is the actor who wears the markers, whose letter follows the session's number.
        view = "left" if name[-4] == dialogue[5] else "right"
    return {"video": film, "audio": wav or sound or film, "video_shift": offset if film else _ZERO,
            "audio_shift": audio_shift, "view": view}


# --------------------------------------------------------------------------------------------- protocols

# The 12 dialogues that COSMIC (Ghosal et al., 2020) takes from DialogueRNN's 120 of sessions 1 to 4.
_COSMIC_DEV = ("Ses01M_impro01", "Ses01M_script03_1", "Ses02F_impro02", "Ses02F_impro07", "Ses02M_script01_2",
               "Ses03F_impro01", "Ses03M_impro02", "Ses03M_impro08a", "Ses03M_script02_2", "Ses03M_script03_2",
               "Ses04F_impro07", "Ses04F_script02_1")


def leave_session_out(session: str | None, dialogues: Sequence[str]) -> dict[str, str]:
    """Split by session: `session` is the test; of the other dialogues one in ten is dev, chosen by its name alone.

    >>> leave_session_out("5", ["iemocap_Ses01F_impro01", "iemocap_Ses01M_impro01", "iemocap_Ses05F_impro01"])
    {'iemocap_Ses01F_impro01': 'train', 'iemocap_Ses01M_impro01': 'dev', 'iemocap_Ses05F_impro01': 'test'}
    """
    if session not in {"1", "2", "3", "4", "5"}:
        raise UsageError("there is no such session", where="--protocol", expected="loso:1, loso:2 … loso:5",
                         got=f"loso:{session}")
    rest = [dialogue for dialogue in dialogues if _session_of(dialogue) != session]
    # By rank of a hash, so that it depends neither on their order nor on a generator.
    ranked = sorted(rest, key=lambda dialogue: hashlib.sha256(dialogue.encode()).digest())
    return _split(dialogues, set(ranked[:max((len(rest) + 5) // 10, int(len(rest) > 1))]), session)


def session5(_argument: str | None, dialogues: Sequence[str]) -> dict[str, str]:
    """Split with session 5 as the test: `loso:5`."""
    return leave_session_out("5", dialogues)


def dialoguernn(_argument: str | None, dialogues: Sequence[str]) -> dict[str, str]:
    """Split as DialogueRNN, session 5 the test, with COSMIC's 12 dialogues as dev.

    >>> dialoguernn(None, ["iemocap_Ses01F_impro01", "iemocap_Ses01M_impro01", "iemocap_Ses05F_impro01"])
    {'iemocap_Ses01F_impro01': 'train', 'iemocap_Ses01M_impro01': 'dev', 'iemocap_Ses05F_impro01': 'test'}
    """
    return _split(dialogues, {f"{NAME}_{dialogue}" for dialogue in _COSMIC_DEV}, "5")


def _split(dialogues: Sequence[str], dev: set[str], test: str) -> dict[str, str]:
    return {dialogue: "test" if _session_of(dialogue) == test else "dev" if dialogue in dev else "train"
            for dialogue in dialogues}


def _session_of(dialogue: str) -> str:
    match = re.fullmatch(f"{NAME}_{_DIALOGUE.format('([1-5])')}", dialogue, re.ASCII)
    if match is None:
        raise UsageError("this dialogue belongs to no session", where="--protocol", got=repr(dialogue[:100]),
                         expected=f"{NAME}_Ses01F_impro01 and the like")
    return match[1]


PROTOCOLS = {"session5": session5, "loso:K": leave_session_out, "dialoguernn": dialoguernn}


# Quirks
#
# - EmoEvaluation has all turns of F, then all of M, and transcriptions are not quite in order either; 89 % of the
#   turns overlap another one. They are sorted by start, and nothing asks them not to overlap.
# - The letter in `Ses01F` is the actor with the markers, the letter before the number is the speaker. Films show both
#   actors, the one with the markers at the left (four codebases agree; one that always puts F there is wrong).
# - The files below EmoEvaluation (Categorical, Attribute, Self-evaluation) say the same again, of 41 turns less; only
#   the summary is read. Its averages are over outside raters; a wrong or missing digit takes seven out of 1 to 5.
# - DialogueRNN's 7,433 have 53 more `hap`, which are `xxx` here: taken from self reports, but of 60 turns that such a
#   rule finds. They cannot be had from the files; `votes` has what these have.
# - Which channel of a dialogue's sound is whose is told both ways, so both are mixed where it has to be taken.
# - Transcriptions have lines without a turn (`M: Mmhmm.`, `Ses03F_impro06_FXX0`), and sentences/wav their sounds.
# - Ses05M_script01_1 and Ses05M_script01_1b are two dialogues.
# - Ses03F_impro07_M030 and Ses03M_impro03_M001 have no alignment.
