"""Frames changed by what was drawn for them, through albumentations: the same for all frames of an utterance.

The transforms' own drawing is passed by: each is applied with the numbers of the plan. A frame's side is 1 here, (0, 0)
its top left corner; a box is x, y, w, h in these units.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["WHOLE", "Part", "change_colours", "change_place", "grey", "move_boxes", "part_shown", "place_matrix"]

MOST_CUT = 0.0125
"""The share of a face's width or height that a crop may cut off at each side: 95 % of its area stay."""

Part = tuple[float, float, float]
"""What a crop shows: its left and upper side, and how long its sides are."""

WHOLE: Part = (0.0, 0.0, 1.0)


# ---------------------------------------------------------------------------------------------- geometry

def part_shown(parameters: Mapping[str, Any], boxes: np.ndarray) -> Part:
    """Return which part a crop shows, so that 95 % of each of the boxes float [n, 4] stay inside, as far as they were.

    It is the one that was drawn, moved and if need be enlarged as little as that takes.

    >>> part_shown({"crop": 0.9, "crop-x": 1.0, "crop-y": 0.5}, np.empty((0, 4)))
    (0.1, 0.05, 0.9)
    >>> part_shown({"crop": 0.9, "crop-x": 1.0, "crop-y": 0.5}, np.array([[0.0, 0.2, 0.4, 0.4]]))
    (0.005, 0.05, 0.9)
    """
    if "crop" not in parameters:
        return WHOLE
    begin = boxes[:, :2].clip(0, 1)
    end = (boxes[:, :2] + boxes[:, 2:]).clip(0, 1)
    slack = (end - begin) * MOST_CUT
    # The part must begin before `latest` and end after `earliest`, across and down.
    latest = (begin + slack).min(axis=0, initial=1.0)
    earliest = (end - slack).max(axis=0, initial=0.0)
    side = float(min(1.0, max(parameters["crop"], *(earliest - latest))))
    free = 1 - side
    places = [float(np.clip(round(parameters[name] * free, 6), max(0.0, round(until - side, 6)),
                            max(0.0, min(round(since, 6), free))))
              for name, until, since in zip(("crop-x", "crop-y"), earliest, latest, strict=True)]
    return round(places[0], 6), round(places[1], 6), side


def place_matrix(parameters: Mapping[str, Any], aspect: float = 1.0, part: Part = WHOLE) -> np.ndarray:
    """Return float64 [2, 3]: place in the frame → place in the changed one: mirrored, turned, then cropped.

    It is the film that is turned (a positive angle: against the clock), of which a frame shows a part that is `aspect`
    times as wide as high, squeezed into a square: to turn the square itself would shear the faces in it.

    >>> place_matrix({"flip": True}).tolist(), place_matrix({"crop": 0.5}, part=(0.25, 0.0, 0.5)).tolist()
    ([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], [[2.0, 0.0, -0.5], [0.0, 2.0, 0.0]])
    """
    angle = math.radians(parameters.get("rotate", 0.0))
    turn = np.array([(math.cos(angle), math.sin(angle) / aspect), (-math.sin(angle) * aspect, math.cos(angle))])
    if parameters.get("flip"):
        turn = turn @ np.diag((-1.0, 1.0))
    x, y, side = part
    return (np.column_stack([turn, (0.5, 0.5) - turn @ (0.5, 0.5)]) - ((0, 0, x), (0, 0, y))) / side + 0.0


def move_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the boxes float64 [n, 4] of what `matrix` makes of the ellipses in the boxes: a face has no corners.

    >>> move_boxes(np.array([[0.1, 0.2, 0.25, 0.5]]), place_matrix({"flip": True})).tolist()
    [[0.65, 0.2, 0.25, 0.5]]
    """
    half = boxes[:, 2:] / 2
    middle = (boxes[:, :2] + half) @ matrix[:, :2].T + matrix[:, 2]
    reach = np.hypot(half[:, :1] * matrix[:, 0], half[:, 1:] * matrix[:, 1])
    return np.column_stack([middle - reach, 2 * reach])


def change_place(frames: np.ndarray, parameters: Mapping[str, Any], aspect: float = 1.0,
                 part: Part = WHOLE) -> np.ndarray:
    """Return uint8 [F, s, s, 3]: the frames as `place_matrix` says; what lies beyond them is mirrored in."""
    if parameters.get("flip"):
        frames = _transforms()["flip"].apply_to_images(frames)
    if "rotate" not in parameters and part == WHOLE:
        return frames
    size = frames.shape[1]
    # Turned and cropped at once: each time pixels are interpolated they are blurred a little.
    matrix = place_matrix({name: value for name, value in parameters.items() if name != "flip"}, aspect, part)
    # Pixel i of an array has its middle at i + ½.
    pixels = np.vstack([np.column_stack([matrix[:, :2], size * matrix[:, 2] + matrix[:, :2] @ (0.5, 0.5) - 0.5]),
                        (0, 0, 1)])
    # One by one: all at once are taken apart and put together again, which costs more than the turning.
    return np.stack([_transforms()["place"].apply(frame, matrix=pixels, output_shape=(size, size)) for frame in frames])


# ----------------------------------------------------------------------------------------------- colours

def grey(frames: np.ndarray) -> float:
    """Return the mean brightness of frames uint8 [F, s, s, 3] in RGB, 0 to 255."""
    import cv2

    return float(np.mean([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).mean() for frame in frames]))


def change_colours(frames: np.ndarray, parameters: Mapping[str, Any], middle: float) -> np.ndarray:
    """Return uint8 [F, s, s, 3] with other brightness, contrast, saturation and hue.

    Contrast leaves the grey `middle` as it is.
    A colour becomes the same in all frames, since `middle` is that of the whole film strip; transforms that take each
    frame's own would flicker, and make other colours of the face than of the picture that it was cut from.
    """
    tall = frames.reshape(-1, *frames.shape[2:])  # one picture: each call costs more than its pixels
    if "brightness" in parameters or "contrast" in parameters:
        brightness, contrast = (1 + parameters.get(name, 0.0) for name in ("brightness", "contrast"))
        tall = _transforms()["brightness"].apply(tall, brightness * contrast, brightness * middle * (1 - contrast))
    if "saturation" in parameters or "hue" in parameters:
        # The hue is counted in 180 steps, and what lies between them is cut off there: half a step more rounds it.
        hue = parameters["hue"] + 0.5 / 180 if "hue" in parameters else 0
        tall = _transforms()["colours"].apply(tall, brightness=1, contrast=1, order=[2, 3], hue=hue,
                                              saturation=1 + parameters.get("saturation", 0.0))
    return tall.reshape(frames.shape)


@functools.cache
def _transforms() -> dict[str, Any]:
    import albumentations
    import cv2

    cv2.setNumThreads(1)  # workers share the cores among them already
    return {"flip": albumentations.HorizontalFlip(), "place": albumentations.Affine(
                interpolation=cv2.INTER_LINEAR, border_mode=cv2.BORDER_REFLECT_101),
            "brightness": albumentations.RandomBrightnessContrast(), "colours": albumentations.ColorJitter()}
