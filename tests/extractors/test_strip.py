"""Brightness, colour, gradients and motion of frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.extractors import strip
from emoprep.utterance import Sample


def sample(frames):
    return Sample("meld_train_dia0_utt0", "", frames, 10.0, None, 16000)


def pictures(count=5, side=112, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [16, 48, 112, 113, 224])
def test_one_row_a_frame_whatever_the_size(side):
    frames = pictures(4, side)
    rows = strip.describe(sample(frames), {"pool": "none"})
    pooled = strip.describe(sample(frames), {"pool": "mean"})
    assert rows.shape == (4, 656) and pooled.shape == (1312,)
    assert rows.dtype == pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, np.concatenate([rows.mean(axis=0), rows.std(axis=0)]), atol=1e-6)


def test_colour_and_brightness_are_block_means():
    frames = pictures(2)
    rows = strip.rows_of_frames(frames)
    red = frames[1, :28, :28, 0].mean() / 255
    assert rows[1, 256] == pytest.approx(red, abs=1e-4)
    weighted = frames[1] @ np.array([0.299, 0.587, 0.114]) / 255
    # Half-size line ⌊56/16⌋ = 3 starts the second cell: the first is the top left 6 × 6 pixels.
    assert rows[1, 0] == pytest.approx(weighted[:6, :6].mean(), abs=1e-4)


def test_a_frame_does_not_hang_on_others_but_for_motion():
    frames = pictures(6)
    rows = strip.rows_of_frames(frames)
    alone = strip.rows_of_frames(frames[3:4])
    assert alone[0, :-64].tobytes() == rows[3, :-64].tobytes()
    assert not alone[0, -64:].any() and rows[3, -64:].all()


def test_a_single_frame_and_a_still_picture_do_not_move():
    still = np.repeat(pictures(1), 8, axis=0)
    assert not strip.rows_of_frames(still)[:, -64:].any()
    pooled = strip.describe(sample(still), {"pool": "mean"})
    assert np.abs(pooled[656:]).max() < 1e-6
    assert np.isfinite(strip.describe(sample(still[:1]), {"pool": "mean"})).all()


def test_long_utterances_are_worked_on_in_blocks_without_a_seam(monkeypatch):
    frames = pictures(40, 32)
    rows = strip.rows_of_frames(frames)
    monkeypatch.setattr(strip, "BLOCK_FRAMES", 40)
    assert strip.rows_of_frames(frames).tobytes() == rows.tobytes()


def test_motion_is_where_something_changes():
    frames = np.zeros((2, 112, 112, 3), np.uint8)
    frames[1, :14, -14:] = 255
    moved = strip.rows_of_frames(frames)[1, -64:].reshape(8, 8)
    assert moved[0, 7] == pytest.approx(1, abs=1e-5) and np.count_nonzero(moved) == 1


@pytest.mark.parametrize("turns", range(4))
def test_gradients_tell_direction(turns):
    ramp = np.rot90(np.tile(np.linspace(0, 1, 56, dtype=np.float32), (56, 1)), turns)[None]
    shares = strip.gradient_directions(np.ascontiguousarray(ramp)).reshape(6, 6, 8)
    others = [strip.gradient_directions(np.ascontiguousarray(np.rot90(ramp[0], turn))[None]).argmax()
              for turn in range(1, 4)]
    inner = shares[1:-1, 1:-1]
    assert (inner.argmax(axis=2) == inner[0, 0].argmax()).all()
    assert len({int(place) % 8 for place in others} | {int(inner[0, 0].argmax())}) == 4


def test_the_frames_are_left_alone():
    frames = pictures(3)
    kept = frames.copy()
    strip.rows_of_frames(frames)
    frames.setflags(write=False)
    strip.rows_of_frames(frames)
    assert (frames == kept).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 130), st.sampled_from([0, 1, 255, None]))
def test_any_picture_gives_finite_numbers(count, side, value):
    frames = pictures(count, side) if value is None else np.full((count, side, side, 3), value, np.uint8)
    with np.errstate(all="raise"):
        rows = strip.describe(sample(frames), {"pool": "none"})
    assert rows.shape == (count, 656) and np.isfinite(rows).all()
    assert rows.min() >= 0 and rows.max() <= 1.2
