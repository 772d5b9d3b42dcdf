"""What `emoprep segment --faces` costs beside the same run without, and a detector's look alone.

    python bench/faces.py [--rounds 3] [--clips 20] [--shared ../shared] [--cache FOLDER] [--detector retinaface]

The clips are like MELD's: 1280×720 H.264 at 24000/1001 fps with about 1.2 Mbit/s, 3 s, AAC 5.1; in each of them one
or two of the real people in SHARED talk before a textured wall that pans. They are made once and kept in the cache.
Both variants run in turn, round by round; figures are medians. CPU is user + system of the process and all its
children, once over 1 clip (which is mostly starting) and once over all: the difference is what the others cost.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path

from segment import BITS, SECONDS, SIZE, measure

DIFFERENT = 6
PEOPLE = ("face_sound_a.mp4", "face_sound_b.mp4", "face_sound_c.mp4", "talking_25fps.mp4", "talking_mpeg4_25fps.mp4",
          "talking_vfr.mp4")
FPS = Fraction(24000, 1001)
ROUNDS_OF_LOOKS = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--shared", type=Path,
                        default=Path(os.environ.get("EMOPREP_SHARED") or "../shared"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "emoprep-bench")
    parser.add_argument("--detector", default="retinaface")
    options = parser.parse_args()
    people = options.shared.resolve() / "real" / "video"
    if not people.is_dir():
        print(f"{people}: no real faces there; nothing was measured", file=sys.stderr)
        return
    films = make_films(options.cache / "faces", people)
    trees = {count: make_tree(options.cache / f"faces{count}", films, count) for count in (1, options.clips)}
    runs = {}
    for number in range(options.rounds):
        for name, extra in (("without", ()), ("with", ("--faces", options.detector))):
            for count, tree in trees.items():
                print(f"round {number + 1}: {name} faces, {count} clips", file=sys.stderr)
                command = ("-m", "emoprep", "segment", str(tree / "clips.csv"), "OUT", "-j", "1", *extra)
                runs.setdefault((name, count), []).append(measure([sys.executable, *command]))
    report(options.clips, runs, looks(films, options.detector))


def looks(films, name):
    """Return the CPU milliseconds of a look and of a cut, medians over the clips' pictures."""
    import av
    import numpy as np

    from emoprep.faces.crop import square
    from emoprep.faces.detectors import find_detector, open_detector
    from emoprep.faces.follow import LONGEST_PX
    from emoprep.media.whole import Whole

    module, argument = find_detector(name)
    detect, spent = open_detector(module.prepare(argument)), {"reduce": [], "detect": [], "cut out": []}

    def timed(what, function, *arguments):
        begun = time.process_time()
        result = function(*arguments)
        spent[what].append(1000 * (time.process_time() - begun))
        return result

    for path in films:
        with av.open(str(path)) as film:
            whole = Whole(next(film.decode(video=0)))
            for _ in range(ROUNDS_OF_LOOKS):
                picture, factor = timed("reduce", whole.reduced, LONGEST_PX)
                face = timed("detect", detect, picture)[0] * np.float32(factor)
                timed("cut out", lambda face=face, whole=whole: whole.cut(square(face, 112), 112))
    return {what: statistics.median(times) for what, times in spent.items()}


# ----------------------------------------------------------------------------------------------- clips

def make_tree(tree, films, count):
    """Return a folder with a table of `count` clips, made anew."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    lines = ["file,emotion"]
    for number in range(count):
        os.link(films[number % len(films)], tree / f"{number}.mp4")
        lines.append(f"{number}.mp4,neutral")
    (tree / "clips.csv").write_text("\n".join(lines) + "\n")
    return tree


def make_films(folder, people):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.mp4" for number in range(DIFFERENT)]
    with ProcessPoolExecutor(min(DIFFERENT, os.cpu_count() or 1)) as pool:
        return list(pool.map(make_film, paths, [people] * DIFFERENT))


def make_film(path, people):
    """Write a clip with one person, as large as the picture, or two of half its height."""
    import numpy as np

    from emoprep.films import LAYOUTS, write_film

    if path.exists():
        return path
    number = int(path.stem)
    rng = np.random.default_rng(number)
    width, height = SIZE
    wall = np.kron(rng.integers(30, 220, (height // 60 + 8, width // 60 + 8, 3), dtype=np.uint8),
                   np.ones((60, 60, 1), np.uint8))
    if number % 2:
        actors = [(pictures(people / PEOPLE[(number + other) % len(PEOPLE)], height // 2), (300, 100 + 600 * other))
                  for other in range(2)]
    else:
        actors = [(pictures(people / PEOPLE[number], height), (0, 280))]

    def picture(index, _seconds):
        drawn = wall[index:index + height, 2 * index:2 * index + width].copy()
        for frames, (top, left) in actors:
            frame = frames[index % len(frames)]
            drawn[top:top + frame.shape[0], left:left + frame.shape[1]] = frame
        return drawn

    sound = 0.1 * rng.standard_normal((len(LAYOUTS["5.1"]), SECONDS * 48000)).astype(np.float32)
    write_film(path, seconds=SECONDS, size=SIZE, fps=FPS, picture=picture, sound=sound, layout="5.1", preset="medium",
               bit_rate=BITS, gop=250, bframes=3)
    return path


def pictures(path, height):
    """Return the first pictures of a film, scaled to this height."""
    import av

    found = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            found.append(frame.reformat(frame.width * height // frame.height, height, "rgb24").to_ndarray())
            if len(found) == round(SECONDS * FPS):
                return found
    return found


# ---------------------------------------------------------------------------------------------- report

def report(clips, runs, spent):
    cpu = {key: statistics.median(run["cpu"] for run in measured) for key, measured in runs.items()}
    each = {name: 1000 * (cpu[name, clips] - cpu[name, 1]) / (clips - 1) for name in ("without", "with")}
    ratio, whole = each["with"] / each["without"], cpu["with", clips] / cpu["without", clips]
    peak = max(run["peak_mb"] for run in runs["with", clips])
    print(f"without faces {each['without']:.0f} ms CPU a clip, with {each['with']:.0f}: {ratio:.2f} times; "
          f"with starting {whole:.2f} times; peak {peak:.0f} MB")
    print(", ".join(f"{what} {ms:.2f} ms" for what, ms in spent.items()))
    print(json.dumps({"bench": "faces", "clips": clips, "ms_a_clip": each, "ratio": ratio, "ratio_with_start": whole,
                      "peak_mb": peak, "ms": spent}))


if __name__ == "__main__":
    main()
