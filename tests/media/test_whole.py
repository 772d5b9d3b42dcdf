"""A picture at its full size: places are those of the displayed picture, whatever its turn, shape, half and format."""

import av
import numpy as np
import pytest

from emoprep.media.decode import Recipe
from emoprep.media.scale import Scaler, half
from emoprep.media.whole import Whole, to_ycbcr

# At 1 : 1 from a place of the displayed picture.
AS_IT_IS = np.array([[1, 0, 0], [0, 1, 0]], float)


def at(x, y, scale=1.0):
    return scale * AS_IT_IS + np.array([[0, 0, x], [0, 0, y]], float)


def frame_of(picture, pixels="yuv420p"):
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)


def dotted(width, height, x, y, side=8):
    """Return black with a white square whose top left pixel is (x, y)."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y:y + side, x:x + side] = 255
    return picture


def place_of_dot(square):
    """Return the first column and row of what is bright, and how wide and high it is."""
    rows, columns = np.nonzero(to_ycbcr(square)[..., 0] > 127)
    return columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("aspect", [1, 2])
def test_a_place_is_where_it_is_displayed(turns, aspect):
    stored = dotted(96, 64, 16, 40)
    whole = Whole(frame_of(stored), turns, aspect)
    displayed = np.rot90(stored.repeat(aspect, axis=1), turns)
    small, factor = whole.reduced(1000)
    assert factor == 1 and small.shape == displayed.shape and whole.width == displayed.shape[1]
    assert np.abs(small.astype(int) - displayed).mean() < 3
    rows, columns = np.nonzero(displayed[..., 0])
    found = place_of_dot(whole.cut(at(columns.min() - 10, rows.min() - 12), 64))
    assert found == (10, 12, np.ptp(columns) + 1, np.ptp(rows) + 1)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p10le", "nv12", "rgb24", "gray"])
def test_every_format_gives_the_same_picture(pixels):
    square = Whole(frame_of(dotted(96, 64, 16, 40), pixels)).cut(at(6, 28), 32)
    assert place_of_dot(square) == (10, 12, 8, 8)
    colours = to_ycbcr(square)
    assert colours[15, 13, 0] > 250 and colours[2, 2, 0] < 5
    assert np.abs(colours[..., 1:].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("colorspace, color_range", [(1, 1), (5, 1), (2, 0), (1, 2), (5, 2)])
def test_colours_are_those_of_the_strip(colorspace, color_range):
    colours = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = np.kron(colours, np.ones((16, 16, 1), np.uint8))
    frame = frame_of(picture)
    frame.colorspace, frame.color_range = colorspace, color_range
    strip = Scaler(Recipe(size=64), None).of(frame)(None).astype(int)
    square = to_ycbcr(Whole(frame).cut(AS_IT_IS, 64)).astype(int)
    for row in range(0, 64, 16):
        for column in range(0, 64, 16):
            there = slice(row + 4, row + 12), slice(column + 4, column + 12)
            assert np.abs(strip[there] - square[there]).max() <= 3


def test_what_is_beyond_the_picture_is_black():
    white = Whole(frame_of(np.full((32, 32, 3), 255, np.uint8)))
    colours = to_ycbcr(white.cut(at(-16, 0), 32))
    assert colours[:, :15].tolist() == np.full((32, 15, 3), (0, 128, 128)).tolist()
    assert colours[:, 17:, 0].min() > 250
    assert to_ycbcr(white.cut(at(100, 100), 32))[..., 0].max() == 0


def test_fine_stripes_become_grey_and_not_a_pattern():
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    square = to_ycbcr(Whole(frame_of(stripes)).cut(at(0, 0, 10), 64))
    assert square[..., 0].std() < 2 and 120 < square[..., 0].mean() < 136


def test_reduced_is_square_pixels_and_never_enlarged():
    small, factor = Whole(frame_of(np.zeros((480, 720, 3), np.uint8)), pixel_aspect=4 / 3).reduced(512)
    assert small.shape == (256, 512, 3) and factor == 960 / 512
    assert Whole(frame_of(np.zeros((48, 64, 3), np.uint8))).reduced(512)[1] == 1


@pytest.mark.parametrize("turns", range(4))
def test_a_half_is_told_in_the_whole_picture(turns):
    displayed = dotted(96, 64, 70, 20)
    frame = frame_of(np.ascontiguousarray(np.rot90(displayed, -turns)))
    x, y, width, height = half(frame.width, frame.height, "right", turns)
    picture = frame.to_ndarray(format="rgb24")[y:y + height, x:x + width]
    whole = Whole(frame_of(np.ascontiguousarray(picture)), turns, corner=48)
    assert whole.width == 48
    assert place_of_dot(whole.cut(at(60, 10), 32)) == (10, 10, 8, 8)
    # Nothing of the other half is seen.
    assert to_ycbcr(whole.cut(at(10, 10), 32))[..., 0].max() == 0


def test_a_picture_that_stays_is_one_object():
    frame, other = frame_of(dotted(96, 64, 70, 20)), frame_of(dotted(96, 64, 10, 20))
    scaler = Scaler(Recipe(size=32), None)
    right = scaler.whole(frame, "right")
    assert right.corner == 48 and scaler.whole(frame, "left").corner == 0
    assert scaler.whole(frame, "right") is right and scaler.whole(frame, None) is not right
    assert scaler.whole(other, "right") is not right
