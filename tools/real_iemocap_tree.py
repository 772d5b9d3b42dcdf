"""Build an IEMOCAP tree from real clips of talking faces, outside the repository.

    python tools/real_iemocap_tree.py OUT [--shared ../shared] [--seconds 40]

IEMOCAP may not be passed on, neither film nor annotation. So two real faces talk side by side in an AVI as
IEMOCAP's dialogues do (720×480, MPEG-4, 30 fps, PCM; one microphone a channel), and the annotation is made up
in the real syntax: times, labels with IEMOCAP's skew, raters' votes. The actor whom the dialogue's name calls
(Ses01F… or Ses01M…) sits on the left. Each sentence lies as a wav beside the dialogue's. OUT becomes
IEMOCAP_full_release with five sessions of two dialogues; it may not lie in the repository.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from real_meld_tree import REPOSITORY, SAMPLE_RATE, Looped, read_sound

from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.films import write_film

HALF = (360, 480)
# Shares of the real release (10,039 utterances), the codes that a model is trained on and the rest.
SHARES = {"xxx": 2507, "fru": 1849, "neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041, "hap": 595, "sur": 107}
WORDS = {"fru": "Frustration", "neu": "Neutral", "ang": "Anger", "sad": "Sadness", "exc": "Excited",
         "hap": "Happiness", "sur": "Surprise", "xxx": "Other"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder to make, outside the repository")
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared", help="the folder with real/video")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of a dialogue")
    options = parser.parse_args()
    try:
        build(options.out, options.shared / "real/video", options.seconds)
    except EmoprepError as error:
        sys.exit(str(error))


def build(out: Path, videos: Path, seconds: float) -> None:
    """Make the tree, dialogue by dialogue; a dialogue whose annotation is there is made already."""
    if out.resolve().is_relative_to(REPOSITORY):
        raise UsageError("the tree may not lie in the repository", where=str(out), remedy="name a folder outside it")
    sources = sorted([*videos.glob("talking_25*.mp4"), *videos.glob("face_sound_*.mp4")])
    if len(sources) < 2:
        raise MissingInput("the clips of talking faces are missing", where=str(videos), remedy="name them by --shared")
    for session in range(1, 6):
        faces = {"F": sources[session % len(sources)], "M": sources[(session + 2) % len(sources)]}
        for left in "FM":
            make_dialogue(out / f"Session{session}", f"Ses0{session}{left}_impro01", faces, seconds, session)
            sys.stderr.write(f"Ses0{session}{left}_impro01\n")


def make_dialogue(session: Path, name: str, faces: dict[str, Path], seconds: float, seed: int) -> None:
    evaluation = session / "dialog/EmoEvaluation" / f"{name}.txt"
    if evaluation.exists():
        return
    left, right = name[5], "M" if name[5] == "F" else "F"
    lines = speak(name, seconds, np.random.default_rng([seed, ord(left)]))
    sound = {who: heard(faces[who], seconds) for who in "FM"}
    for who in "FM":  # one is quiet while the other talks
        talks = np.zeros(len(sound[who]), np.float32)
        for key, start, end, _ in lines:
            if key[-4] == who:
                talks[round(start * SAMPLE_RATE):round(end * SAMPLE_RATE)] = 1
        sound[who] = sound[who] * (0.02 + 0.98 * talks)
    both = np.stack([sound[left], sound[right]])
    for folder in ("dialog/avi/DivX", "dialog/wav", "dialog/transcriptions", "dialog/EmoEvaluation",
                   f"sentences/wav/{name}"):
        (session / folder).mkdir(parents=True, exist_ok=True)
    write_film(session / "dialog/avi/DivX" / f"{name}.avi", seconds=seconds, size=(720, 480), fps=30, codec="mpeg4",
               bit_rate=1_500_000, picture=SideBySide(faces[left], faces[right]), sound=both, sample_rate=SAMPLE_RATE)
    at_16k = both[:, ::SAMPLE_RATE // 16000]
    write_film(session / "dialog/wav" / f"{name}.wav", seconds=seconds, sound=at_16k, sample_rate=16000)
    for key, start, end, _ in lines:
        channel = 0 if key[-4] == left else 1
        piece = at_16k[channel:channel + 1, round(start * 16000):round(end * 16000)]
        write_film(session / f"sentences/wav/{name}/{key}.wav", seconds=end - start, sound=piece, sample_rate=16000,
                   layout="mono")
    (session / "dialog/transcriptions" / f"{name}.txt").write_text("".join(
        f"{key} [{start:08.4f}-{end:08.4f}]: Line {number} of a made-up scene.\n"
        for number, (key, start, end, _) in enumerate(lines)))
    blocks = sorted(lines, key=lambda line: (line[0][-4], line[1]))  # all of hers, then all of his
    evaluation.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "".join(
        f"[{start:.4f} - {end:.4f}]\t{key}\t{code}\t[2.5000, 3.0000, 2.5000]\n"
        f"C-E1:\t{WORDS[code]};\t()\nC-E2:\t{WORDS[code]};\t()\nC-E3:\tOther;\t(calm)\nC-{key[-4]}{name[4]}:\t;\t()\n"
        f"A-E1:\tval 2; act 3; dom  2;\t()\nA-E2:\tval 3; act 3; dom  3;\t()\n\n" for key, start, end, code in blocks))


def speak(name: str, seconds: float, rng: np.random.Generator) -> list[tuple[str, float, float, str]]:
    """Return (key, start, end, code) in time order; neighbours overlap as real ones do."""
    codes, shares = list(SHARES), np.array(list(SHARES.values())) / sum(SHARES.values())
    lines, time, spoken = [], 0.5, {"F": 0, "M": 0}
    while time < seconds - 3:
        who = "FM"[len(lines) % 2]
        end = min(time + round(float(rng.uniform(1.5, 6)), 4), seconds - 0.1)
        code = str(rng.choice(codes, p=shares))
        lines.append((f"{name}_{who}{spoken[who]:03d}", round(time, 4), round(end, 4), code))
        spoken[who] += 1
        time = end - round(float(rng.uniform(0.1, 0.9)), 4)
    return lines


def heard(source: Path, seconds: float) -> np.ndarray:
    """Return the looped speech of a clip, float32 [n]."""
    speech = read_sound(source)[1]
    return speech[np.arange(round(seconds * SAMPLE_RATE)) % len(speech)]


class SideBySide:
    """Two looped videos in one picture: 360×480 each."""

    def __init__(self, left: Path, right: Path):
        self.halves = [Looped(source, 0.0, read_sound(source)[0], HALF) for source in (left, right)]

    def __call__(self, index: int, seconds: float) -> np.ndarray:
        return np.concatenate([half(index, seconds) for half in self.halves], axis=1)


if __name__ == "__main__":
    main()
