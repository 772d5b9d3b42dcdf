"""Which tracks are one person's: after a cut, a gap, a quick motion; and a strip out of several."""

from itertools import combinations

import av
import cv2
import numpy as np
import pytest

from emoprep.faces.alike import likeness, patch
from emoprep.faces.crop import square
from emoprep.faces.detectors import open_detector, retinaface
from emoprep.faces.person import SAME, persons
from emoprep.faces.speaker import Candidate
from emoprep.media.encode import Strip, decode_strip, join_strips
from emoprep.media.whole import Whole

PEOPLE = ("face_no_audio_stream.mp4", "face_silent_audio.mp4", "face_sound_34s.mp4", "face_sound_a.mp4",
          "face_sound_b.mp4", "face_sound_c.mp4", "hevc_vfr_audio_starts_late.mov", "person_29.917fps.mp4",
          "talking_25fps.mp4", "talking_mpeg4_25fps.mp4", "talking_vfr.mp4")


def face(frames, track, side=50, patches=()):
    return Candidate(list(frames), [track] * len(frames), [side] * len(frames),
                     [np.full((12, 16), track, np.uint8)] * len(frames), list(patches))


def drawn(number):
    small = np.random.default_rng(number).integers(0, 256, (4, 4), dtype=np.uint8)
    return cv2.resize(small, (16, 16), interpolation=cv2.INTER_LINEAR)


def test_those_that_look_alike_and_are_never_in_one_frame_are_one():
    one, other = drawn(0), drawn(1)
    assert likeness(one, [other]) < SAME
    faces = [face(range(10, 15), 1, 60, [other]), face(range(15, 25), 2, patches=[one // 2 + 60]),
             face(range(10), 0, patches=[one]), face(range(8, 10), 3, 20, [one])]
    found = persons(faces, single=False)
    assert [(person.frames, sorted(set(person.tracks))) for person in found] == [
        ([*range(10), *range(15, 25)], [0, 2]), ([*range(10, 15)], [1]), ([8, 9], [3])]
    assert found[0].tracks == [0] * 10 + [2] * 10
    assert [int(mouth[0, 0]) for mouth in found[0].mouths] == found[0].tracks
    assert [len(person.patches) for person in found] == [2, 1, 1]


def test_where_one_person_is_shown_how_they_look_does_not_matter():
    faces = [face(range(10), 0, patches=[drawn(0)]), face(range(12, 20), 1, patches=[drawn(1)]),
             face(range(9, 12), 2, patches=[drawn(2)])]
    assert [sorted(set(person.tracks)) for person in persons(faces, single=True)] == [[0, 1], [2]]
    assert [sorted(set(person.tracks)) for person in persons(faces, single=False)] == [[0], [1], [2]]


def test_one_that_was_never_found_is_nobody_else():
    assert len(persons([face(range(5), 0, patches=[drawn(0)]), face(range(5, 9), 1)], single=False)) == 2


@pytest.mark.parametrize("size", [16, 48, 112, 128])
def test_a_strip_out_of_several_has_each_frame_as_it_was(size):
    rng = np.random.default_rng(size)
    strips = [Strip(size), Strip(size)]
    for frame in range(23):
        one = strips[frame // 7 % 2]
        one.skip_to(frame)
        one.append(cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (size, size)))
    whose = [None if frame in (3, 22) else strips[frame // 7 % 2] for frame in range(23)]
    joined = decode_strip(join_strips(whose, size).finish(25)[0], size, 25)
    alone = [decode_strip(strip.finish(23)[0], size, 23) for strip in strips]
    for frame, strip in enumerate(whose):
        expected = np.zeros_like(joined[0]) if strip is None else alone[strips.index(strip)][frame]
        # A decoder smooths colours (4:2:0) over the edge to the next frame.
        assert np.array_equal(joined[frame][1:-1], expected[1:-1]), frame
    assert joined[24:].max() == 0


@pytest.mark.shared
def test_no_two_of_eleven_real_people_look_alike_and_each_like_themselves(shared):
    detect, patches = open_detector(retinaface.prepare(None)), {}
    for name in PEOPLE:
        with av.open(str(shared / "real/video" / name)) as film:
            wholes = [Whole(frame) for frame in film.decode(video=0)][:60:6]
        for whole in wholes:
            picture, factor = whole.reduced(512)
            if len(faces := detect(picture)):
                cut = whole.cut(square(faces[0] * np.float32(factor), 112), 112)
                patches.setdefault(name, []).append(patch(cut[:112]))
    assert len(patches) == len(PEOPLE)
    for some, other in combinations(PEOPLE, 2):
        assert max(likeness(one, patches[other]) for one in patches[some]) < SAME - 0.03, (some, other)
    for name, found in patches.items():
        half = len(found) // 2
        assert max(likeness(one, found[half:]) for one in found[:half]) > SAME, name
