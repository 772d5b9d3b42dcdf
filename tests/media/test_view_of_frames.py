"""What a frame of the strip shows of the film, in the film's pixels as displayed."""

from fractions import Fraction

import av
import numpy as np
import pytest

from emoprep.media.decode import Recipe
from emoprep.media.scale import Scaler
from emoprep.media.whole import Whole


def film(width, height):
    """Return a picture whose brightness grows from 40 at the left to 200 at the right, and is 16 in its top quarter."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[...] = np.linspace(40, 200, width)[None, :, None]
    picture[: height // 4] = 16
    return av.VideoFrame.from_ndarray(picture, format="rgb24")


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("view", [None, "left", "right"])
@pytest.mark.parametrize("width, height", [(320, 180), (180, 320), (640, 160)])
def test_places_of_the_film_lie_in_the_frame_where_the_view_says(width, height, view, fit):
    frame, scaler = film(width, height), Scaler(Recipe(size=112, fit=fit), None)
    left, top, wide, high = scaler.whole(frame, view).view(fit)
    shown = scaler.of(frame)(view)[..., 0].astype(float)
    begin, end = (0, width) if view is None else (0, width / 2) if view == "left" else (width / 2, width)
    for x in np.linspace(begin, end, 7)[1:-1]:
        across, down = (x - left) * 112 / wide, (height * 0.6 - top) * 112 / high
        if 2 <= across < 110:
            assert shown[int(down), int(across)] == pytest.approx(np.interp(x, (0, width), (40, 200)), abs=5)
    edge = (height / 4 - top) * 112 / high
    if 4 < edge < 108:
        column = shown[:, int(np.clip((begin + (end - begin) * 0.8 - left) * 112 / wide, 0, 111))]
        assert column[int(edge + 3)] > 60 > 30 > column[int(edge - 3)]


def test_turned_and_widened_films():
    frame = av.VideoFrame(320, 180, "yuv420p")
    assert Whole(frame, pixel_aspect=Fraction(4, 3)).view("stretch") == pytest.approx([0, 0, 426.667, 180], abs=1e-3)
    assert Whole(frame, turns=1).view("stretch") == [0, 0, 180, 320]
    assert Whole(frame, turns=1).view("pad") == [-70, 0, 320, 320]
    assert Whole(frame).view("crop") == [70, 0, 180, 180]
