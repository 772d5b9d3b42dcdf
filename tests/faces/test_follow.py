"""Faces followed through pictures with known places: where they are between two looks, when they come and go, and what
is cut out. The detector finds bright rectangles, so that nothing here hangs on a network."""

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from emoprep.faces.follow import MOST_PIXELS, Follower
from emoprep.media.decode import Recipe
from emoprep.media.encode import decode_strip
from emoprep.media.scale import Scaler
from emoprep.store.faces import ROW

FPS, SIZE, RATE = Fraction(10), 64, 16_000
WALL = np.kron(np.random.default_rng(0).integers(20, 90, (9, 16, 3), dtype=np.uint8), np.ones((20, 20, 1), np.uint8))


class Bright:
    """Finds bright rectangles; counts how often it is asked."""

    def __init__(self):
        self.looks = 0

    def __call__(self, picture):
        self.looks += 1
        found = []
        for x, y, w, h, area in cv2.connectedComponentsWithStats((picture.min(axis=2) > 150).astype(np.uint8))[2][1:]:
            if area > 50:
                marks = np.array([.3, .4, .7, .4, .5, .6, .35, .8, .65, .8]).reshape(5, 2) * (w, h) + (x, y)
                found.append([x, y, w, h, .9, *marks.ravel()])
        return np.array(found, np.float32).reshape(-1, 15)


def picture(*faces, wall=WALL):
    """Return 320 × 180 with a bright face at each (x, y, w, h); a dark mouth lies where the landmarks say."""
    drawn = wall.copy()
    for x, y, w, h, *mouth in faces:
        drawn[y:y + h, x:x + w] = 220
        open_ = mouth[0] if mouth else 2
        drawn[y + round(.8 * h) - open_:y + round(.8 * h) + open_, x + round(.38 * w):x + round(.62 * w)] = 20
    return drawn


def followed(pictures, *, samples=None, frames=None, view=None, detect=None, single=False):
    scaler, follower = Scaler(Recipe(size=SIZE), None), Follower(detect or Bright(), SIZE, FPS, single=single)
    for drawn in pictures:
        frame = av.VideoFrame.from_ndarray(drawn, format="rgb24").reformat(format="yuv420p") \
            if isinstance(drawn, np.ndarray) else drawn
        follower.see(scaler.whole(frame, view), scaler.of(frame)(view))
    follower.end(len(pictures) if frames is None else frames)
    return follower.choose(samples, RATE)


def test_a_face_that_stays_is_looked_at_once_a_second():
    detect = Bright()
    faces = followed([picture((100, 40, 40, 60))] * 31, detect=detect)
    assert detect.looks == 4  # at 0, 10, 20 and 30
    assert faces.mask == [1] * 31 and faces.rule == "only-face"
    assert np.abs(np.array(faces.boxes) - (100, 40, 40, 60)).max() <= 2
    assert faces.rows["found"].tolist() == [number % 10 == 0 for number in range(31)]
    assert faces.rows["speaker"].all() and set(faces.rows["track"]) == {0}
    assert faces.rows["frame"].tolist() == [*range(31)]


def test_between_two_looks_it_moves_straight():
    places = [(40 + number, 40, 60, 80) for number in range(21)]
    faces = followed([picture(place) for place in places])
    assert np.abs(np.array(faces.boxes) - places).max() <= 2.5
    marks = faces.rows["face"][:, 5]
    assert np.abs(np.diff(marks) - 1).max() < 0.6


def test_a_face_that_jumps_too_far_is_looked_for_in_between():
    places = [(20 if number < 13 else 60, 40, 30, 40) for number in range(21)]
    detect = Bright()
    faces = followed([picture(place) for place in places], detect=detect)
    boxes = np.array([box or [0] * 4 for box in faces.boxes])
    assert faces.rows["found"][faces.rows["frame"] == 12].any() and faces.rows["found"][faces.rows["frame"] == 13].any()
    assert 3 < detect.looks < 9
    assert faces.mask == [1] * 21 and np.abs(boxes - places).max() <= 2  # two tracks, of one person, not one smeared
    assert sorted(set(faces.rows["track"])) == [0, 1] and faces.rule == "only-face"


def test_the_mask_says_to_the_frame_when_a_face_comes_and_goes():
    there = [7 <= number < 24 for number in range(40)]
    faces = followed([picture(*[(100, 40, 40, 60)] * shown) for shown in there])
    assert faces.mask == [int(shown) for shown in there]
    strip = decode_strip(faces.strip, SIZE, 40)
    assert [int(square.max() > 100) for square in strip] == faces.mask
    assert [bool(box) for box in faces.boxes] == there


@pytest.mark.parametrize("gone", [range(12, 16), range(12, 27), range(5, 6), range(10, 11), range(33, 36)])
def test_a_face_that_is_hidden_for_a_moment_is_the_same_and_has_no_row_meanwhile(gone):
    there = [number not in gone for number in range(41)]
    faces = followed([picture(*[(100, 40, 40, 60)] * shown) for shown in there])
    assert set(faces.rows["track"]) == {0} and faces.mask == [int(shown) for shown in there]
    assert faces.rows["frame"].tolist() == np.flatnonzero(there).tolist()
    assert [int(square.max() > 100) for square in decode_strip(faces.strip, SIZE, 41)] == faces.mask


def test_where_what_should_be_a_face_was_not_looked_at_and_is_none_there_is_no_row():
    """Small faces are not asked whether to look again."""
    large, there = (200, 20, 60, 90), [not 13 <= number < 17 for number in range(31)]
    detect = Bright()
    faces = followed([picture(large, *[(60, 60, 24, 36)] * shown) for shown in there], detect=detect)
    small = faces.rows[faces.rows["face"][:, 2] < 40]
    assert detect.looks == 4 and small["frame"].tolist() == np.flatnonzero(there).tolist()
    assert faces.mask == [1] * 31


def test_a_face_that_does_not_move_straight_is_looked_at_where_it_is_not():
    places = [(40 + round(abs(number % 10 - 5) * 25), 40, 50, 70) for number in range(41)]
    faces = followed([picture(place) for place in places])
    assert faces.mask == [1] * 41
    # By up to an eighth of the square it may be elsewhere, and still look like itself.
    assert np.abs(np.array(faces.boxes)[:, 0] - np.array(places)[:, 0]).max() <= 1.3 * 70 / 8 + 2


def test_after_a_cut_a_face_at_the_same_place_is_another():
    shots = [picture()] * 14 + [picture(wall=255 - WALL[::-1])] * 17
    faces = followed(shots, detect=Middle())
    tracks = {track: faces.rows["frame"][faces.rows["track"] == track].tolist() for track in (0, 1)}
    assert tracks == {0: [*range(14)], 1: [*range(14, 31)]}
    assert faces.mask == [0] * 14 + [1] * 17 and faces.rule == "largest"
    of_one = followed(shots, detect=Middle(), single=True)  # unless it is known that one person is shown
    assert of_one.mask == [1] * 31 and of_one.rule == "only-face" and of_one.rows["speaker"].all()
    assert of_one.rows["track"].tolist() == [0] * 14 + [1] * 17
    strip = decode_strip(of_one.strip, SIZE, 31)
    assert np.array_equal(strip[15:], decode_strip(faces.strip, SIZE, 31)[15:]) and strip[0].max() > 0


class Middle:
    """Finds a face in the middle of each picture."""

    def __call__(self, picture):
        height, width = picture.shape[:2]
        marks = np.array([.4, .4, .6, .4, .5, .5, .45, .6, .55, .6]).reshape(5, 2) * (width, height)
        return np.array([[width * .3, height * .2, width * .4, height * .6, .9, *marks.ravel()]], np.float32)


def test_nobody_is_there():
    faces = followed([picture()] * 12)
    assert faces.strip is None and faces.rule == "none" and faces.mask == [0] * 12 and faces.boxes == [[]] * 12
    assert len(faces.rows) == 0 and faces.rows.dtype == ROW


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -3, 0])
def test_what_is_no_box_is_no_face(wrong):
    def detect(picture):
        faces = Middle()(picture)
        faces[:, 2] = wrong
        return np.concatenate([faces, Middle()(picture)])
    faces = followed([picture()] * 12, detect=detect)
    assert set(faces.rows["track"]) == {0} and faces.mask == [1] * 12


def test_pictures_beyond_the_wanted_ones_leave_nothing():
    faces = followed([picture((100, 40, 40, 60))] * 23, frames=15)
    assert faces.mask == [1] * 15 and faces.rows["frame"].max() == 14
    assert Image.open(io.BytesIO(faces.strip)).size == (SIZE, 15 * SIZE)
    assert followed([picture((100, 40, 40, 60))] * 3, frames=0).mask == []


def test_a_picture_that_is_shown_again_is_looked_at_once():
    frame = av.VideoFrame.from_ndarray(picture((100, 40, 40, 60)), format="rgb24").reformat(format="yuv420p")
    detect = Bright()
    assert followed([frame] * 40, detect=detect).mask == [1] * 40
    assert detect.looks == 1


def test_the_larger_face_is_taken_where_nothing_else_tells():
    faces = followed([picture((20, 40, 40, 50), (200, 40, 50, 70))] * 20)
    assert faces.rule == "largest" and faces.boxes[0][0] == pytest.approx(200, abs=2)
    assert sorted(set(faces.rows["track"])) == [0, 1]
    assert faces.rows["speaker"].sum() == 20 and len(set(faces.rows["track"][faces.rows["speaker"]])) == 1


@pytest.mark.parametrize("talks", [0, 1])
def test_the_mouth_that_follows_the_sound_is_taken_though_the_other_face_is_larger(talks):
    rng = np.random.default_rng(3)
    speaks, listens = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    left, right = (2 + 3 * mouth for mouth in ((speaks, listens) if talks == 0 else (listens, speaks)))
    pictures = [picture((20, 40, 50, 60, open_), (200, 30, 60, 75, other))
                for open_, other in zip(left.tolist(), right.tolist(), strict=True)]
    # A mouth that opens or closes moves: the sound is loud where it does.
    moves = np.abs(np.diff(speaks, prepend=speaks[0]))
    samples = (np.repeat(moves, RATE // 10) * 8000 * rng.standard_normal(6 * RATE)).clip(-32768, 32767).astype(np.int16)
    faces = followed(pictures, samples=samples)
    assert faces.rule == "mouth-follows-sound"
    assert faces.boxes[0][0] == pytest.approx((20, 200)[talks], abs=2)
    assert followed(pictures).rule == "largest"  # without the sound nothing tells


@pytest.mark.parametrize("view, x", [("left", 20), ("right", 200)])
def test_only_the_half_is_looked_at_and_places_are_those_of_the_whole(view, x):
    faces = followed([picture((20, 40, 40, 50), (200, 40, 50, 70))] * 12, view=view)
    assert faces.rule == "only-face" and set(faces.rows["track"]) == {0}
    assert faces.boxes[0][0] == pytest.approx(x, abs=2)
    strip = decode_strip(faces.strip, SIZE, 12)
    assert strip[5, SIZE // 2, SIZE // 2].min() > 150  # the face is in the middle of its square


def test_large_pictures_are_looked_at_more_often_so_that_few_are_held():
    side = 64
    detect, large = Middle(), av.VideoFrame(MOST_PIXELS // side // 4, side, "yuv420p")
    for plane in large.planes:
        plane.update(bytes(plane.buffer_size))
    scaler, follower = Scaler(Recipe(size=16), None), Follower(detect, 16, FPS)
    held = []
    for number in range(21):
        other = av.VideoFrame(large.width, large.height, "yuv420p")
        for plane in other.planes:
            plane.update(bytes([number]) * plane.buffer_size)
        follower.see(scaler.whole(other, None), np.zeros((16, 16, 3), np.uint8))
        held.append(len(follower.held))
    assert follower.tracks.longest == 4 and max(held) <= 8
