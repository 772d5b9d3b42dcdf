"""A sample's members: what was drawn is done to all of them alike, and `.json` tells of it."""

import json
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from augment_sample import FPS, RATE, SIZE, VIEW, facts_of, make_sample, smooth, voice

from emoprep.augment.sample import IN_CROP, augmented
from emoprep.errors import EmoprepError
from emoprep.faces.crop import MARGIN
from emoprep.media.clock import frame_count, sample_count
from emoprep.media.encode import decode_flac, decode_strip
from emoprep.methods.augmentation import TRANSFORMS, augmented_row, draw_parameters, frame_map
from emoprep.verify.findings import Findings
from emoprep.verify.members import check_faces, check_sound, check_strip, check_text, check_words

EVERYTHING = {"time-stretch": 1.1, "pitch": 1.0, "room": 0.3, "room-seed": 1, "band-pass": 5000.0, "noise": 25.0,
              "noise-seed": 2, "gain": -2.0, "flip": True, "rotate": 6.0, "brightness": 0.1, "contrast": 0.1,
              "saturation": -0.1, "hue": 0.01, "crop": 0.95, "crop-x": 0.0, "crop-y": 1.0}
BOX = [200.0, 60.0, 100.0, 150.0]


def frames_of(members, name="frames.jpg"):
    facts = facts_of(members)
    return decode_strip(members[name], facts["size"], facts["frames"])


def checked(members):
    """Return what `emoprep verify` finds in the members of a sample."""
    findings, facts = Findings(), facts_of(members)
    check_text(findings, "a", facts, members["txt"])
    check_words(findings, "a", members["words.json"])
    check_sound(findings, "a", facts, members["flac"])
    check_strip(findings, "a", facts, members["frames.jpg"])
    if "faces.jpg" in members:
        check_faces(findings, "a", facts, members["faces.jpg"])
    return findings.all


def with_faces(count=20, lacking=(5, 6)):
    boxes = [[] if frame in lacking else BOX for frame in range(count)]
    crops = smooth(count)
    crops[list(lacking)] = 0
    return make_sample(faces=boxes, strip_of_faces=crops)


def test_members_stay_those_of_the_store_and_the_annotation_stays():
    sample = with_faces()
    made = augmented(sample, EVERYTHING)
    before, after = facts_of(sample), facts_of(made)
    assert set(made) == set(sample) and list(after) == list(before)
    assert {name for name in before if before[name] != after[name]} == {
        "end", "frames", "samples", "faces", "face_mask"}
    assert checked(made) == []


def test_what_is_not_changed_goes_over_byte_by_byte():
    sample = with_faces()
    sound = augmented(sample, {"gain": -3.0})
    assert {name for name in sample if sample[name] != sound[name]} == {"flac"}
    seen = augmented(sample, {"brightness": 0.1})
    assert {name for name in sample if sample[name] != seen[name]} == {"frames.jpg", "faces.jpg"}
    assert augmented(sample, {}) == sample


@pytest.mark.parametrize("seconds, rate", [(2.0, 1.2), (2.0, 0.9), (0.31, 1.1), (3.333, 0.8), (7.77, 1.25),
                                           (0.04, 1.1)])
def test_frames_sound_and_words_stay_in_step(seconds, rate):
    sample = make_sample(seconds, words=[{"word": "told", "start": 0.01, "end": 0.03}])
    made = augmented(sample, {"time-stretch": rate})
    facts, samples = facts_of(made), decode_flac(made["flac"])[0]
    assert facts["end"] - facts["start"] == pytest.approx(seconds / rate, abs=1e-9)
    assert len(samples) == facts["samples"] == sample_count(Fraction(facts["end"]) - Fraction(facts["start"]), RATE)
    assert facts["frames"] == frame_count(Fraction(facts["end"]) - Fraction(facts["start"]), Fraction(FPS))
    if facts["frames"] > 1:
        assert abs(len(samples) / RATE - facts["frames"] / FPS) <= 1 / FPS + 0.001
    order = frame_map(facts_of(sample)["frames"], facts["frames"])
    assert np.abs(frames_of(made).astype(int) - frames_of(sample)[order]).mean() < 1.5
    assert json.loads(made["words.json"]) == [{"word": "told", "start": 0.01 / rate, "end": 0.03 / rate}]


def test_frames_of_the_golden_example(shared):
    toy = json.loads((shared / "specs" / "golden_imbalance.json").read_text(encoding="utf-8"))["stretch_toy"]
    row = {"start": 0.0, "end": toy["n_samples"] / RATE, "fps": float(toy["fps"]), "sample_rate": RATE}
    fields = augmented_row(row, {"time-stretch": toy["rate"]})
    assert (fields["samples"], fields["frames"]) == (toy["audio_len"], toy["frames_out"])
    # The list stands in the specification, 2.4.
    assert frame_map(toy["frames_in"], toy["frames_out"]).tolist() == [
        0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 17, 18, 19]


@pytest.mark.parametrize("seconds", [0.02, 0.25, 1.999, 2.0])
def test_without_stretching_lengths_stay_to_the_sample(seconds):
    sample = make_sample(seconds)
    made = augmented(sample, {name: value for name, value in EVERYTHING.items() if name != "time-stretch"})
    assert len(decode_flac(made["flac"])[0]) == facts_of(sample)["samples"] == facts_of(made)["samples"]
    assert len(frames_of(made)) == facts_of(sample)["frames"]


def test_the_row_that_was_planned_is_the_row_that_is_made():
    sample = with_faces()
    before, rng = facts_of(sample), np.random.default_rng(0)
    ranges = {name: transform.usual for name, transform in TRANSFORMS.items()}
    for _ in range(10):
        parameters = draw_parameters(ranges, int(rng.integers(2 ** 32)))
        planned, after = {**before, **augmented_row(before, parameters)}, facts_of(augmented(sample, parameters))
        media = ("faces", "face_mask", "columns")
        assert {name: after[name] for name in after if name not in media} == {
            name: planned[name] for name in planned if name not in media}


def test_faces_and_frames_are_changed_alike():
    crops = smooth(20)
    sample = make_sample(frames=crops, faces=[BOX] * 20, strip_of_faces=crops, view=[0.0, 0.0, 360.0, 360.0])
    made = augmented(sample, {name: value for name, value in EVERYTHING.items() if name != "time-stretch"})
    # What was the same before is the same afterwards, in both strips and in every frame.
    assert made["frames.jpg"] == made["faces.jpg"] != sample["frames.jpg"]


def test_frames_without_a_face_stay_black_and_boxes_follow_their_frames():
    sample = with_faces()
    made = augmented(sample, {"time-stretch": 0.8, "brightness": 0.2, "contrast": -0.2, "flip": True})
    facts, order = facts_of(made), frame_map(20, 25)
    assert facts["face_mask"] == [int(frame not in (5, 6)) for frame in order]
    mirrored = [VIEW[2] - BOX[0] - BOX[2], *BOX[1:]]
    assert facts["faces"] == [mirrored if frame not in (5, 6) else [] for frame in order]
    for frame, picture in zip(order, frames_of(made, "faces.jpg"), strict=True):
        assert (picture.mean() < 2) == (frame in (5, 6))
    assert checked(made) == []


def test_a_box_lies_on_its_face_wherever_that_went():
    """A bright ellipse is the face; where it is bright afterwards is where the box must be."""
    x, y, w, h = BOX
    down, across = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    across, down = across * VIEW[2], down * VIEW[3]
    inside = ((across - x - w / 2) / (w / 2)) ** 2 + ((down - y - h / 2) / (h / 2)) ** 2 < 1
    frames = np.repeat(np.repeat((40 + 180 * inside)[None, ..., None], 3, axis=3), 20, axis=0).astype(np.uint8)
    sample = make_sample(frames=frames, faces=[BOX] * 20, strip_of_faces=smooth(20))
    for parameters in ({"flip": True}, {"rotate": 10.0}, {"flip": True, "rotate": -10.0, "crop": 0.9, "crop-x": 1.0,
                                                         "crop-y": 0.0}):
        made = augmented(sample, parameters)
        rows, columns = np.nonzero(frames_of(made)[3][..., 1] > 130)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        left, top, wide, high = facts_of(made)["faces"][3]
        scale = np.array([VIEW[2], VIEW[3]] * 2) / SIZE
        assert np.array([left, top, left + wide, top + high]) / scale == pytest.approx(found, abs=1.5)


def test_the_face_in_a_crop_is_where_segment_puts_it():
    assert np.allclose(IN_CROP, [[MARGIN / 2 / (1 + MARGIN)] * 2 + [1 / (1 + MARGIN)] * 2])


def test_what_is_missing_stays_missing():
    silent = make_sample(has_audio=False)
    made = augmented(silent, {name: value for name, value in EVERYTHING.items() if name != "time-stretch"})
    assert made["flac"] == silent["flac"] and made["frames.jpg"] != silent["frames.jpg"]
    stretched = augmented(silent, EVERYTHING)
    samples, _ = decode_flac(stretched["flac"])
    assert len(samples) == facts_of(stretched)["samples"] and not samples.any()
    blind = make_sample(has_video=False)
    made = augmented(blind, EVERYTHING)
    assert facts_of(made)["frames"] == len(frames_of(made)) == 18 and frames_of(made).max() == 0
    only_sound = {name: value for name, value in make_sample(has_video=False).items() if name != "frames.jpg"}
    assert "frames.jpg" not in augmented(only_sound, EVERYTHING)


def test_copies_with_other_words_have_neither_sound_nor_picture():
    sample = make_sample(faces=[BOX] * 20, strip_of_faces=smooth(20),
                         words=[{"word": "told", "start": 0.1, "end": 0.4}])
    made = augmented(sample, {"text": "I said so.", "text-only": True})
    facts = facts_of(made)
    assert made["txt"] == b"I said so." and facts["text"] == "I said so." and made["words.json"] == b"[]"
    assert (facts["has_video"], facts["has_audio"], facts["flags"]) == (False, False, ["text-only"])
    assert not decode_flac(made["flac"])[0].any() and len(decode_flac(made["flac"])[0]) == facts["samples"]
    assert frames_of(made).max() == frames_of(made, "faces.jpg").max() == 0
    assert (facts["faces"], facts["face_mask"], facts["face_rule"]) == ([[]] * 20, [0] * 20, "none")
    assert checked(made) == []


@pytest.mark.parametrize("parameters", [EVERYTHING, {"flip": True}, {"text": "Ich, ö \U0001f600", "text-only": True}])
@pytest.mark.parametrize("has_video, has_audio, faces", [
    (True, False, None), (False, True, None), (False, False, None), (True, False, BOX), (False, True, []),
    (True, True, []), (False, False, [])])
def test_whatever_a_sample_lacks_what_is_made_of_it_is_whole(parameters, has_video, has_audio, faces):
    words = [{"word": "told", "start": 0.1, "end": 0.4}, {"word": "so", "start": 0.4, "end": 2.0}]
    sample = make_sample(has_video=has_video, has_audio=has_audio, words=words, text="",
                         faces=None if faces is None else [faces] * 20, strip_of_faces=smooth(20) if faces else None)
    made = augmented(sample, parameters)
    facts = facts_of(made)
    assert checked(made) == [] and set(made) == set(sample)
    assert len(facts["faces"]) == (0 if faces is None else facts["frames"])
    last = max([word["end"] for word in json.loads(made["words.json"])], default=0)
    assert last == pytest.approx(0 if "text-only" in parameters else facts["end"] - facts["start"] if "time-stretch" in
                                 parameters else 2.0)


def test_a_store_that_does_not_tell_what_a_frame_shows_is_refused():
    sample = make_sample()
    facts = facts_of(sample)
    del facts["view"]
    sample["json"] = json.dumps(facts).encode()
    with pytest.raises(EmoprepError, match="what a frame shows of the film is not known: expected view in .json; cut "
                                           "the store again with this version, or turn flip, rotate and crop off"):
        augmented(sample, {"flip": True})
    assert augmented(sample, {"brightness": 0.1})["frames.jpg"] != sample["frames.jpg"]


def test_the_same_bytes_each_time_whatever_was_drawn_before():
    sample = with_faces()
    first = augmented(sample, EVERYTHING)
    augmented(sample, {"noise": 20.0, "noise-seed": 9, "room": 0.2, "room-seed": 9})
    np.random.random(5)
    assert augmented(sample, EVERYTHING) == first


def test_a_process_of_its_own_makes_the_same_bytes_and_asks_no_server(tmp_path):
    code = f"""
import hashlib, socket, sys
def refuse(*args, **kwargs): raise AssertionError("a connection")
socket.socket.connect = refuse
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_sample
made = test_sample.augmented(test_sample.with_faces(), test_sample.EVERYTHING)
print(hashlib.sha256(b"".join(made[name] for name in sorted(made))).hexdigest())
print([name for name in ("libGL", "libX11") if name in open("/proc/self/maps").read()])
"""
    import hashlib

    environment = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True,
                          env=environment)
    assert done.returncode == 0, done.stderr
    made = augmented(with_faces(), EVERYTHING)
    assert done.stdout.splitlines() == [hashlib.sha256(b"".join(made[name] for name in sorted(made))).hexdigest(), "[]"]


def test_long_utterances_have_their_columns():
    sample = make_sample(105.0, frames=smooth(1050), sound=voice(1_680_000))
    made = augmented(sample, {"time-stretch": 0.8, "flip": True})
    assert (facts_of(sample)["columns"], facts_of(made)["columns"], facts_of(made)["frames"]) == (2, 2, 1312)
    assert np.abs(frames_of(made)[-1].astype(int) - frames_of(sample)[-1][:, ::-1]).mean() < 1.5
