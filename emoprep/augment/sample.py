"""A sample's members and what was drawn for it → the members of the utterance that is made. Runs in a worker.

What is not changed goes over byte by byte, and a modality that is missing stays missing. The bytes follow from members
and parameters alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from emoprep.augment import picture
from emoprep.augment.read import STRIPS, Sample, check_against_row, read_sample
from emoprep.augment.sound import change_sound
from emoprep.errors import EmoprepError
from emoprep.media.encode import Strip, encode_flac
from emoprep.methods.augmentation import TEXT_ONLY, augmented_row, frame_map

__all__ = ["augmented"]

OF_SOUND = {"time-stretch", "pitch", "room", "band-pass", "noise", "gain"}
OF_PLACE = {"flip", "rotate", "crop"}
OF_PICTURE = {"time-stretch", *OF_PLACE, "brightness", "contrast", "saturation", "hue"}

IN_CROP = np.array([[0.15, 0.15, 1.0, 1.0]]) / 1.3
"""Where the face is in what was cut out around it, which is 1.3 times as large (docs/faces.md)."""


def augmented(members: Mapping[str, bytes], parameters: Mapping[str, Any], row: Mapping[str, Any] | None = None,
              where: str = "") -> dict[str, bytes]:
    """Return the members of the sample that `parameters` (as `draw_parameters` draws them) make of a sample.

    The `.json` keeps the name and the annotation, and tells of the new media; its index fields change as
    `augmented_row` says. `row` is the index row of what is made, `where` the place of the sample, for failures. Raises
    EmoprepError where a member is missing or damaged, where `.json` does not fit the others or the row, and where a
    sample's faces cannot be followed.
    """
    masks = bool(parameters.get(TEXT_ONLY))
    sample = read_sample(members, pictures=not masks and not OF_PICTURE.isdisjoint(parameters),
                         sound=not masks and not OF_SOUND.isdisjoint(parameters), where=where)
    facts, made = sample.facts, dict(members)
    new = {**facts, **augmented_row(facts, parameters)}
    if row is not None:
        check_against_row(new, row, where)
    if "text" in parameters:
        made["txt"] = parameters["text"].encode()
    if masks:
        _mask(facts, new, made)
    else:
        if sample.frames is not None:
            _change_pictures(sample, new, made, parameters, where)
        elif new["frames"] != facts["frames"]:
            _blacken(new, made)
        if sample.sound is not None:
            made["flac"] = _changed_flac(sample, new, parameters)
        elif new["samples"] != facts["samples"] and "flac" in made:
            made["flac"] = _silence(new)
        if "time-stretch" in parameters:
            made["words.json"] = _changed_words(sample.words, parameters["time-stretch"])
    made["json"] = json.dumps(new, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return made


# ---------------------------------------------------------------------------------------------- pictures

def _change_pictures(sample: Sample, new: dict[str, Any], made: dict[str, bytes], parameters: Mapping[str, Any],
                     where: str) -> None:
    """Change the strips of frames and faces, and where `.json` says that the faces are."""
    facts, order = sample.facts, frame_map(sample.facts["frames"], new["frames"])
    if OF_PLACE.isdisjoint(parameters):
        view, part = (0, 0, 1, 1), picture.WHOLE
    elif not (view := facts.get("view")):
        raise EmoprepError("what a frame shows of the film is not known", where=where, expected="view in .json",
                           remedy="cut the store again with this version, or turn flip, rotate and crop off")
    else:
        part = _move_faces(facts, new, parameters)

    def changed(pictures: np.ndarray, aspect: float) -> np.ndarray:
        return picture.change_colours(picture.change_place(pictures, parameters, aspect, part), parameters, middle)

    middle = picture.grey(sample.frames) if "contrast" in parameters else 0.0
    made["frames.jpg"], new["columns"] = _strip(sample.frames, order, lambda some: changed(some, view[2] / view[3]))
    if sample.faces is not None:
        new["faces"] = [new["faces"][frame] for frame in order]
        new["face_mask"] = [int(bool(box)) for box in new["faces"]]
        # They were cut out square; and where there is none it stays black.
        made["faces.jpg"], _ = _strip(sample.faces, order, lambda some: changed(some, 1.0),
                                      np.array(new["face_mask"], bool))


def _move_faces(facts: Mapping[str, Any], new: dict[str, Any], parameters: Mapping[str, Any]) -> picture.Part:
    """Write where the faces are then, and return the part of a frame that is shown."""
    there = [number for number, box in enumerate(facts["faces"]) if box]
    if not there:
        return picture.part_shown(parameters, np.empty((0, 4)))
    corner, sides = np.split(np.array(facts["view"], dtype=float), 2)
    boxes = np.array([facts["faces"][number] for number in there], dtype=float)
    boxes = np.column_stack([(boxes[:, :2] - corner) / sides, boxes[:, 2:] / sides])
    aspect = sides[0] / sides[1]
    turned = picture.move_boxes(boxes, picture.place_matrix(parameters, aspect))
    part = picture.part_shown(parameters, np.concatenate([turned, IN_CROP]))
    boxes = picture.move_boxes(boxes, picture.place_matrix(parameters, aspect, part))
    boxes = np.column_stack([boxes[:, :2] * sides + corner, boxes[:, 2:] * sides]).round(2).tolist()
    new["faces"] = list(facts["faces"])
    for number, box in zip(there, boxes, strict=True):
        new["faces"][number] = box
    return part


def _strip(frames: np.ndarray, order: np.ndarray, changed: Callable[[np.ndarray], np.ndarray],
           there: np.ndarray | None = None) -> tuple[bytes, int]:
    """Return the JPEG of the frames uint8 [F, s, s, 3] in this order, changed, as `segment` writes it, and its columns.

    `there` bool [n] tells which of them there are; the others are black.
    """
    strip = Strip(frames.shape[1])
    for begin in range(0, len(order), strip.at_once):  # several of a long strip need not be in memory
        shown = frames[order[begin:begin + strip.at_once]]
        able = np.ones(len(shown), bool) if there is None else there[begin:begin + strip.at_once]
        if able.any():
            shown[able] = changed(shown[able])
        shown[~able] = 0  # JPEG has left traces of the neighbours there
        strip.extend(shown)
    return strip.finish(len(order))


# ------------------------------------------------------------------------------------- sound, words, masks

def _changed_flac(sample: Sample, new: Mapping[str, Any], parameters: Mapping[str, Any]) -> bytes:
    made = change_sound(sample.sound, new["sample_rate"], parameters, new["samples"])
    return encode_flac(np.rint(made * 32768).clip(-32768, 32767).astype(np.int16), new["sample_rate"])


def _silence(facts: Mapping[str, Any]) -> bytes:
    return encode_flac(np.zeros(facts["samples"], np.int16), facts["sample_rate"])


def _changed_words(words: Sequence[Mapping[str, Any]], rate: float) -> bytes:
    return json.dumps([{**word, "start": word["start"] / rate, "end": word["end"] / rate} for word in words],
                      ensure_ascii=False).encode()


def _mask(facts: Mapping[str, Any], new: dict[str, Any], made: dict[str, bytes]) -> None:
    """Take away sound and picture, and the times of words that are no longer said."""
    made["words.json"] = b"[]"
    if facts["has_video"]:
        _blacken(new, made)
    if facts["has_audio"]:
        made["flac"] = _silence(new)


def _blacken(new: dict[str, Any], made: dict[str, bytes]) -> None:
    """Make the strips that are there black, of as many frames as `.json` says."""
    if made.keys().isdisjoint(STRIPS):
        return
    strip, columns = Strip(new["size"]).finish(new["frames"])
    if "frames.jpg" in made:
        made["frames.jpg"], new["columns"] = strip, columns
    if "faces.jpg" in made:
        made["faces.jpg"] = strip
        new |= {"faces": [[] for _ in range(new["frames"])], "face_mask": [0] * new["frames"], "face_rule": "none"}
