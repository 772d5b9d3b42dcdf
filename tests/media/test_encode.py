"""Strips and sound come back as they went in, by readers that know nothing of emoprep."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emoprep.media.encode import Strip, decode_flac, decode_strip, encode_flac


def grey(number):
    """Return the brightness of frame `number`; neighbours differ by much, and 251 is prime to any row count."""
    return number * 97 % 251


def strip_of(frames, size):
    """Return [frames, size, size, 3] in YCbCr, each frame of one brightness, with a mark in its top left corner."""
    pictures = np.full((frames, size, size, 3), 128, np.uint8)
    pictures[..., 0] = grey(np.arange(frames))[:, np.newaxis, np.newaxis]
    pictures[:, :size // 2, :size // 2, 0] = 255 - pictures[:, :size // 2, :size // 2, 0]
    return pictures


def by_the_contract(jpeg, size, frames):
    """The one line that reads every strip."""
    Image.MAX_IMAGE_PIXELS = None
    img = np.asarray(Image.open(io.BytesIO(jpeg)))
    return img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:frames]


def encode_strip(pictures, size, frames=None):
    """Return the JPEG of pictures, and its columns; black ones follow up to `frames`."""
    strip = Strip(size)
    for picture in pictures:
        strip.append(picture)
    return strip.finish(len(pictures) if frames is None else frames)


@pytest.mark.parametrize("frames, size, columns", [
    (1, 16, 1), (30, 112, 1), (584, 112, 1), (585, 112, 2), (4093, 16, 1), (4094, 16, 2), (9001, 16, 3),
    (60_000, 16, 15), (1, 2048, 1), (256, 256, 2),
])
def test_a_strip_comes_back_frame_for_frame(frames, size, columns):
    pictures = strip_of(frames, size)

    jpeg, told = encode_strip(list(pictures), size)

    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        assert image.width == columns * size
        assert image.height <= 65_500
    assert told == columns
    read = by_the_contract(jpeg, size, frames)
    assert read.shape == (frames, size, size, 3)
    low, high = size // 8, size * 7 // 8
    np.testing.assert_allclose(read[:, high, high, 1], grey(np.arange(frames)), atol=6)
    np.testing.assert_allclose(read[:, low, low, 1], 255 - grey(np.arange(frames)), atol=6)
    np.testing.assert_array_equal(read, decode_strip(jpeg, size, frames))


def test_colours_survive():
    """Frames are given in YCbCr, and every JPEG reader gives RGB."""
    colours = [(220, 20, 20), (20, 180, 40), (30, 30, 220), (0, 0, 0), (255, 255, 255)]
    pictures = [np.asarray(Image.new("RGB", (112, 112), colour).convert("YCbCr")) for colour in colours]

    jpeg, _ = encode_strip(pictures, 112)

    for frame, colour in zip(by_the_contract(jpeg, 112, 5), colours, strict=True):
        assert np.abs(frame[8:-8, 8:-8].astype(float) - colour).max() <= 4


def test_the_strip_has_the_quality_that_is_promised():
    """Quality 90 at 4:2:0, so that the size of a store can be foretold."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    jpeg, _ = encode_strip(list(noise), 64)

    with Image.open(io.BytesIO(jpeg)) as image, io.BytesIO() as buffer:
        image.load()
        expected = Image.new("YCbCr", (8, 8))
        expected.save(buffer, "JPEG", quality=90)
        assert image.quantization == Image.open(buffer).quantization
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("frames, size", [(1, 16), (13, 112), (5000, 16)])
def test_an_utterance_without_pictures_is_black(frames, size):
    jpeg, columns = encode_strip((), size, frames)

    assert columns == (2 if frames == 5000 else 1)
    assert by_the_contract(jpeg, size, frames).shape == (frames, size, size, 3)
    assert not by_the_contract(jpeg, size, frames).any()


@pytest.mark.parametrize("frames, size", [
    (1, 16), (3, 112), (63, 48), (64, 48), (65, 48), (100, 32), (300, 48), (4200, 16), (9, 256), (33, 480)])
def test_a_strip_has_the_pixels_of_one_that_is_encoded_at_once(frames, size):
    """It is put together from pieces between restart markers; what libjpeg makes of the whole sheet is the truth."""
    noise = np.random.default_rng(frames).integers(0, 256, (frames, size, size, 3), dtype=np.uint8)
    jpeg, columns = encode_strip(noise, size)

    rows = -(-frames // columns)
    cells = np.full((rows * columns, size, size, 3), (0, 128, 128), np.uint8)
    cells[:frames] = noise
    sheet = cells.reshape(columns, rows * size, size, 3).swapaxes(0, 1).reshape(rows * size, columns * size, 3)
    with io.BytesIO() as buffer, Image.open(io.BytesIO(jpeg)) as made:
        Image.fromarray(sheet, "YCbCr").save(buffer, "JPEG", quality=90, subsampling="4:2:0")
        np.testing.assert_array_equal(np.asarray(made), np.asarray(Image.open(buffer)))


def test_a_strip_may_end_before_the_pictures_do():
    pictures = list(strip_of(40, 32))
    strip = Strip(32)
    for picture in pictures:
        strip.append(picture)
    assert len(strip) == 40
    assert strip.finish(35) == encode_strip(pictures[:35], 32)


def test_a_strip_in_the_making_holds_no_pictures():
    picture = strip_of(1, 224)[0]
    tracemalloc.start()
    strip = Strip(224)
    for _ in range(2000):
        strip.append(picture.copy())
    strip.finish(2000)
    assert tracemalloc.get_traced_memory()[1] < 2000 * picture.nbytes / 10
    tracemalloc.stop()


def test_cells_that_no_frame_fills_are_black():
    jpeg, _ = encode_strip(list(np.full((4095, 16, 16, 3), 255, np.uint8)), 16)

    cells = by_the_contract(jpeg, 16, None)
    assert len(cells) == 4096
    assert cells[4095, 2:, 2:].max() < 8
    assert cells[:4094].min() > 100


def test_the_same_frames_give_the_same_bytes():
    pictures = list(strip_of(7, 48))
    assert encode_strip(pictures, 48) == encode_strip([picture.copy() for picture in pictures], 48)


def test_a_strip_of_other_shape_is_refused():
    jpeg, _ = encode_strip(list(strip_of(3, 32)), 32)

    with pytest.raises(ValueError, match="32×96 px, not 32×128"):
        decode_strip(jpeg, 32, 4)
    with pytest.raises(ValueError, match="32×96 px, not 48×144"):
        decode_strip(jpeg, 48, 3)


def test_another_kind_of_picture_is_refused():
    with io.BytesIO() as buffer:
        Image.new("RGB", (16, 16)).save(buffer, "PNG")
        with pytest.raises(OSError, match="cannot identify"):
            decode_strip(buffer.getvalue(), 16, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=5000), st.sampled_from([4000, 8000, 16000, 48000]))
def test_sound_comes_back_exactly(values, rate):
    samples = np.array(values, np.int16)

    flac = encode_flac(samples, rate)

    read, told = soundfile.read(io.BytesIO(flac), dtype="int16")
    assert told == rate
    np.testing.assert_array_equal(read, samples)
    floats, told = decode_flac(flac)
    assert floats.dtype == np.float32
    assert told == rate
    np.testing.assert_array_equal(floats * 32768, samples)


def test_flac_is_mono_16_bit():
    with soundfile.SoundFile(io.BytesIO(encode_flac(np.arange(-3, 3, dtype=np.int16), 16000))) as file:
        assert (file.format, file.subtype, file.channels, file.samplerate) == ("FLAC", "PCM_16", 1, 16000)


def test_flac_bytes_do_not_change_between_runs():
    samples = np.random.default_rng(0).integers(-9000, 9000, 20_000).astype(np.int16)
    assert encode_flac(samples, 16000) == encode_flac(samples.copy(), 16000)
