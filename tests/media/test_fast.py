"""`--fast` decodes less: the same frames at the same times, a little different to look at."""

import numpy as np
import pytest

from emoprep.films import CINEMA, read_number, tone, write_film
from emoprep.media.decode import Window, decode, make_recipe

SIZE = (320, 192)

pytestmark = pytest.mark.usefixtures("ffmpeg_on_path")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """H.264 of a soft picture at a low rate: the loop filter has much to do. Its lower quarter spells numbers."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    across, down = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    edges = np.linspace(0, SIZE[0], 9).astype(int)

    def picture(index, _seconds):
        image = np.repeat((127 + 90 * np.sin(across / 17 + index / 5) * np.cos(down / 23))[..., np.newaxis], 3, axis=2)
        for bit in range(8):
            image[SIZE[1] * 3 // 4:, edges[bit]:edges[bit + 1]] = 255 * (index >> bit & 1)
        return image.astype(np.uint8)

    write_film(path, seconds=4, size=SIZE, fps=CINEMA, picture=picture, sound=tone(440, 4)[None], layout="mono",
               preset="medium", crf=30, bframes=2)
    return path


@pytest.mark.parametrize("decoder", ["pyav", "ffmpeg"])
def test_the_same_frames_a_little_different(film, decoder):
    exact, fast = (decode(str(film), [Window()], make_recipe(decoder=decoder, fast=fast))[0] for fast in (False, True))

    pictures = [np.array(clip.pictures).astype(float) for clip in (exact, fast)]
    assert [read_number(picture) for picture in pictures[0]] == [read_number(picture) for picture in pictures[1]]
    assert (exact.seconds, exact.flags) == (fast.seconds, fast.flags)
    np.testing.assert_array_equal(exact.samples, fast.samples)
    squared = ((pictures[0] - pictures[1]) ** 2).mean()
    assert 0 < squared < 255 ** 2 / 10 ** 3.2  # 32 dB


def test_both_decoders_leave_out_the_same(film):
    one, other = (decode(str(film), [Window()], make_recipe(decoder=decoder, fast=True))[0]
                  for decoder in ("pyav", "ffmpeg"))
    assert np.abs(np.array(one.pictures).astype(int) - np.array(other.pictures)).max() <= 2
