"""Frames: what is seen afterwards, pixel by pixel."""

import numpy as np
import pytest
from augment_sample import smooth

from emoprep.augment.picture import change_colours, change_place, grey, move_boxes, part_shown, place_matrix

SIZE = 112


def spot(x, y, size=SIZE):
    """Return a frame uint8 [1, size, size, 3] with a bright spot at (x, y), where 1 is the frame's side."""
    down, across = (np.mgrid[:size, :size] + 0.5) / size
    shade = 255 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * 0.03 ** 2))
    return np.repeat(shade[None, ..., None], 3, axis=3).astype(np.uint8)


def spot_at(frame):
    weight = frame[..., 0].astype(float)
    down, across = (np.mgrid[:len(frame), :len(frame)] + 0.5) / len(frame)
    return (across * weight).sum() / weight.sum(), (down * weight).sum() / weight.sum()


def test_a_mirrored_frame_is_the_frame_mirrored():
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    assert np.array_equal(change_place(frames, {"flip": True}), frames[:, :, ::-1])


@pytest.mark.parametrize("parameters, part", [
    ({"rotate": 10.0}, (0, 0, 1)), ({"rotate": -10.0}, (0, 0, 1)), ({"flip": True, "rotate": 7.5}, (0, 0, 1)),
    ({"flip": True}, (0.1, 0.05, 0.85)), ({"flip": True, "rotate": -10.0}, (0.02, 0.08, 0.9))])
@pytest.mark.parametrize("aspect", [1.0, 16 / 9])
def test_what_is_in_a_frame_comes_where_the_matrix_says(parameters, part, aspect):
    for x, y in ((0.4, 0.45), (0.6, 0.35), (0.5, 0.65)):
        made = change_place(spot(x, y), parameters, aspect, part)
        assert spot_at(made[0]) == pytest.approx(place_matrix(parameters, aspect, part) @ (x, y, 1), abs=0.005)


def test_a_positive_angle_turns_the_film_against_the_clock():
    # What is right of the middle goes up. Of a film twice as wide as high, a step across is two steps down.
    assert place_matrix({"rotate": 10.0}) @ (0.9, 0.5, 1) == pytest.approx(
        (0.5 + 0.4 * np.cos(np.pi / 18), 0.5 - 0.4 * np.sin(np.pi / 18)))
    assert place_matrix({"rotate": 10.0}, 2.0) @ (0.9, 0.5, 1) == pytest.approx(
        (0.5 + 0.4 * np.cos(np.pi / 18), 0.5 - 0.8 * np.sin(np.pi / 18)))


def test_turning_the_squeezed_frame_is_turning_the_film():
    from PIL import Image

    wide = smooth(1, 256)[0]
    film = np.asarray(Image.fromarray(wide).resize((512, 256), Image.Resampling.BICUBIC))
    turned = np.asarray(Image.fromarray(film).rotate(10, Image.Resampling.BICUBIC))
    expected = np.asarray(Image.fromarray(turned).resize((256, 256), Image.Resampling.BOX)).astype(int)
    made = change_place(wide[None], {"rotate": 10.0}, 2.0)[0].astype(int)
    inside = slice(64, 192)
    assert np.abs(made - expected)[inside, inside].max() <= 3


def test_all_frames_are_changed_alike():
    frames = np.repeat(smooth(1), 9, axis=0)
    made = change_colours(change_place(frames, {"flip": True, "rotate": 5.0, "crop": 0.9}, part=(0.1, 0, 0.9)),
                          {"brightness": 0.1, "contrast": 0.2, "saturation": -0.2, "hue": 0.02}, grey(frames))
    assert (made == made[0]).all() and not np.array_equal(made[0], frames[0])


@pytest.mark.parametrize("boxes", [
    [], [[0.4, 0.4, 0.2, 0.2]], [[0.0, 0.0, 0.2, 0.3]], [[0.85, 0.8, 0.3, 0.3]],
    [[0.0, 0.1, 0.2, 0.3], [0.8, 0.7, 0.2, 0.2]], [[-0.2, -0.2, 1.4, 1.4]], [[0.02, 0.3, 0.93, 0.4]]])
@pytest.mark.parametrize("x, y", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.9)])
def test_a_crop_leaves_the_faces_inside(boxes, x, y):
    drawn = {"crop": 0.9, "crop-x": x, "crop-y": y}
    boxes = np.array(boxes, dtype=float).reshape(-1, 4)
    left, top, side = part_shown(drawn, boxes)
    assert 0.9 <= side <= 1 and left >= 0 and top >= 0 and max(left, top) + side <= 1 + 1e-6
    begin, end = boxes[:, :2].clip(0, 1), (boxes[:, :2] + boxes[:, 2:]).clip(0, 1)
    shown = (np.minimum(end, np.add((left, top), side)) - np.maximum(begin, (left, top))).clip(0).prod(axis=1)
    assert (shown >= 0.95 * (end - begin).prod(axis=1) - 1e-5).all()
    if not len(boxes) or boxes.tolist() == [[0.4, 0.4, 0.2, 0.2]]:
        assert (left, top, side) == pytest.approx((0.1 * x, 0.1 * y, 0.9))


def test_the_box_of_a_turned_face_holds_the_face():
    box = np.array([[0.3, 0.2, 0.2, 0.4]])
    around = np.linspace(0, 2 * np.pi, 400)
    edge = np.stack([0.4 + 0.1 * np.cos(around), 0.4 + 0.2 * np.sin(around), np.ones_like(around)])
    matrix = place_matrix({"flip": True, "rotate": 10.0}, 16 / 9, (0.05, 0.0, 0.9))
    x, y, w, h = move_boxes(box, matrix)[0]
    found = matrix @ edge
    assert (found.min(axis=1), found.max(axis=1)) == (pytest.approx((x, y), abs=1e-4),
                                                      pytest.approx((x + w, y + h), abs=1e-4))


def test_brightness_and_contrast():
    frames = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    levels = np.arange(256)
    made = change_colours(frames, {"brightness": 0.2}, 0.0)[0].reshape(-1, 3)[:, 0].astype(int)
    assert np.abs(made - np.clip(1.2 * levels, 0, 255)).max() <= 1
    made = change_colours(frames, {"contrast": -0.2}, 100.0)[0].reshape(-1, 3)[:, 0].astype(int)
    assert np.abs(made - (0.8 * (levels - 100) + 100)).max() <= 1
    assert made[100] == 100


def test_contrast_leaves_the_brightness_of_the_whole():
    frames = smooth(5)
    assert grey(change_colours(frames, {"contrast": 0.2}, grey(frames))) == pytest.approx(grey(frames), abs=1)


def test_saturation_and_hue():
    import colorsys

    frames = np.zeros((1, 8, 8, 3), np.uint8)
    frames[:] = (200, 100, 80)
    pale = change_colours(frames, {"saturation": -0.2}, 0.0)[0, 0, 0].astype(int)
    shade = 0.299 * 200 + 0.587 * 100 + 0.114 * 80
    assert np.abs(pale - (0.8 * np.array((200, 100, 80)) + 0.2 * shade)).max() <= 1
    for hue in (-0.02, 0.02, 0.1):
        turned = change_colours(frames, {"hue": hue}, 0.0)[0, 0, 0] / 255
        before, after = (colorsys.rgb_to_hsv(*colour) for colour in (np.array((200, 100, 80)) / 255, turned))
        # To half a step of 180.
        assert (after[0] - before[0] + 0.5) % 1 - 0.5 == pytest.approx(hue, abs=1.2 / 360)
        assert after[1:] == pytest.approx(before[1:], abs=0.02)
