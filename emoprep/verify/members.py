"""The members of a sample: do they decode to what its `.json` says?"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from emoprep.media.clock import MAX_STRIP_PX, strip_shape
from emoprep.store.folder import read_json
from emoprep.verify.findings import Findings
from emoprep.verify.folder import is_number

__all__ = ["check_faces", "check_sound", "check_strip", "check_text", "check_words", "open_strip", "strip_frames"]

# Black is exactly 0 before JPEG, and at most this after it.
BLACK_LUMA = 2

# A strip of more pixels is none that was ever cut (`most_frames` of media/reel.py); it is not decoded.
MOST_PIXELS = 2 ** 29


def check_text(findings: Findings, key: str, facts: Mapping[str, Any], raw: bytes) -> None:
    if raw != facts["text"].encode():
        findings.add("text", key, f"{raw[:60]!r} there, {facts['text'][:60]!r} in .json")


def check_words(findings: Findings, key: str, raw: bytes) -> None:
    words = read_json(raw)
    if not isinstance(words, list):
        raise ValueError("it is no list")
    for word in words:
        if not (isinstance(word, dict) and set(word) == {"word", "start", "end"} and type(word["word"]) is str
                and is_number(word["start"]) and is_number(word["end"]) and word["start"] <= word["end"]):
            findings.add("words", key, f"{word!r} is no word with start and end")


def check_strip(findings: Findings, key: str, facts: Mapping[str, Any], jpeg: bytes) -> None:
    """Check that the film strip decodes to F frames of size × size in `columns` columns."""
    frames = strip_frames(jpeg, facts)
    blank = frames[0 if not facts["has_video"] else facts["frames"]:]
    if blank.size and blank.max() > BLACK_LUMA:
        findings.add("strip", key, "has_video is false, and the strip is not black" if not facts["has_video"]
                     else "what follows the last frame is not black")


def check_faces(findings: Findings, key: str, facts: Mapping[str, Any], jpeg: bytes) -> None:
    """Check that the strip of faces decodes to the shape of the film strip, and has a face where a box is one."""
    boxes, frames = facts.get("faces"), strip_frames(jpeg, facts)
    if not isinstance(boxes, list) or len(boxes) != facts["frames"] or not all(map(_is_box, boxes)):
        raise ValueError("faces is no list of [x, y, w, h], or [], for each frame")
    if facts.get("face_mask") != [int(bool(box)) for box in boxes]:
        findings.add("faces", key, "face_mask is not 1 just where faces has a box")
    for index, box in enumerate(boxes):
        if not box and frames[index].max() > BLACK_LUMA:
            findings.add("faces", key, f"frame {index} has no face, and is not black")


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) in (0, 4) and all(map(is_number, box))


def open_strip(jpeg: bytes, size: int, frames: int):
    """Open a strip's picture without decoding it; raises ValueError where it has another shape."""
    from PIL import Image

    if not (type(size) is type(frames) is int and 16 <= size <= MAX_STRIP_PX and frames >= 1
            and frames * size * size <= MOST_PIXELS):
        raise ValueError(f"{frames} frames of {size} px are no strip")
    # Its size is checked below, before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
    rows, columns = strip_shape(frames, size)
    if image.size != (columns * size, rows * size):
        raise ValueError(f"it is {image.size[0]}×{image.size[1]} px, not {columns * size}×{rows * size}")
    if image.mode != "RGB" or image.info.get("progressive"):
        raise ValueError(f"it is a {'progressive' if image.info.get('progressive') else image.mode} JPEG")
    return image


def strip_frames(jpeg: bytes, facts: Mapping[str, Any]) -> np.ndarray:
    """Return the brightness of a strip's cells, uint8 [rows · columns, size, size]: frames, then what is left over."""
    size = facts["size"]
    with open_strip(jpeg, size, facts["frames"]) as image:
        if (columns := image.size[0] // size) != facts.get("columns", columns):
            raise ValueError(f"it has {columns} columns, and .json says {facts['columns']}")
        image.draft("L", image.size)
        img = np.asarray(image)
    return img.reshape(img.shape[0], -1, size).swapaxes(0, 1).reshape(-1, size, size)


def check_sound(findings: Findings, key: str, facts: Mapping[str, Any], flac: bytes) -> None:
    """Check that the sound decodes to `samples` at `sample_rate`, mono, 16 bit."""
    import soundfile

    with soundfile.SoundFile(io.BytesIO(flac)) as sound:
        form = (sound.format, sound.subtype, sound.channels, sound.samplerate)
        if form != ("FLAC", "PCM_16", 1, facts["sample_rate"]):
            findings.add("sound", key, f"it is {form[0]} {form[1]} with {form[2]} channels at {form[3]} Hz")
            return
        count, loudest = 0, 0
        # Piece by piece: how many there are shows only in the end, and the header may claim anything.
        while count <= facts["samples"] and len(piece := sound.read(65_536, dtype="int16")):
            count += len(piece)
            loudest = max(loudest, int(np.abs(piece.astype(np.int32)).max()))
    if count != facts["samples"]:
        there = "more" if count > facts["samples"] else str(count)
        findings.add("sound", key, f"{there} samples, and .json says {facts['samples']}")
    if not facts["has_audio"] and loudest:
        findings.add("sound", key, "has_audio is false, and it is not silent")
