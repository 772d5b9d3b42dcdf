"""The frames of an utterance for people: side by side in one picture, and as a film with its caption."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emoprep.media.caption import GROUND, Caption, draw_caption
from emoprep.sample import Opened
from emoprep.store.drafts import lone_draft

if TYPE_CHECKING:
    from PIL import Image

    from emoprep.show.shown import Shown

__all__ = ["film_size", "sheet", "write_film", "write_sheet"]

A_ROW, GAP, LETTERS = 10, 4, 12  # frames, px, px
MOST_FRAMES, MOST_WIDE = 300, 320
"""What a sheet shows at most, and how wide a frame is on it."""

NARROW, LARGEST = 448, 1080
"""The shorter side of a film: large enough to see a face's expression, and no larger than a screen."""


# ------------------------------------------------------------------------------------------- one picture

def write_sheet(opened: Opened, path: Path) -> None:
    """Write the frames of an utterance as one picture, whole or not at all; the ending names the format."""
    picture = sheet(opened.frames, opened.facts["fps"], opened.aspect)
    with lone_draft(path) as sketch:
        picture.save(sketch, "PNG" if path.suffix.lower() == ".png" else "JPEG", quality=90)


def sheet(frames: np.ndarray, fps: float, aspect: float = 1.0) -> Image.Image:
    """Return frames uint8 [F, s, s, 3] as one picture: ten a row, in their true proportions, their times below.

    Of more than 300 frames every second, third … is there.
    """
    from PIL import Image, ImageDraw, ImageFont

    chosen = range(0, len(frames), math.ceil(len(frames) / MOST_FRAMES))
    width = min(MOST_WIDE, round(frames.shape[1] * max(aspect, 1.0)))
    height = max(1, round(width / aspect))
    columns, row = min(A_ROW, len(chosen)), height + LETTERS + 2 * GAP
    made = Image.new("RGB", (GAP + columns * (width + GAP), GAP + math.ceil(len(chosen) / columns) * row), GROUND)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(LETTERS)
    for place, number in enumerate(chosen):
        corner = GAP + place % columns * (width + GAP), GAP + place // columns * row
        made.paste(Image.fromarray(frames[number]).resize((width, height), Image.Resampling.BICUBIC), corner)
        draw.text((corner[0], corner[1] + height + 1), f"{(number + 0.5) / fps:.2f}", (150, 153, 160), font)
    return made


# ---------------------------------------------------------------------------------------------- the film

def write_film(shown: Shown, path: Path) -> None:
    """Write an utterance as a film with its sound, and its caption below the pictures.

    Without pictures it is black, without sound silent.
    """
    from emoprep.media.clip import write_clip  # and with it FFmpeg's libraries

    opened, facts = shown.opened, shown.opened.facts
    width, height = film_size(facts["size"], opened.aspect)
    caption = Caption(str(shown.row["speaker"] or ""), shown.label or "", shown.row["text"], shown.key)
    below = draw_caption(caption, width)
    write_clip(path, _pictures(opened, width, height, below), (width, height + len(below)), facts["fps"], opened.sound)


def film_size(size: int, aspect: float) -> tuple[int, int]:
    """Return (width, height) in px of the pictures of a film of frames of `size` px, both even.

    >>> film_size(112, 16 / 9), film_size(112, 1.0), film_size(640, 0.75)
    ((796, 448), (448, 448), (640, 854))
    """
    short = min(max(size, NARROW), LARGEST)
    return round(short * max(aspect, 1) / 2) * 2, round(short / min(aspect, 1) / 2) * 2


def _pictures(opened: Opened, width: int, height: int, below: np.ndarray) -> Iterator[np.ndarray]:
    from PIL import Image

    if opened.frames is None:
        black = np.concatenate([np.zeros((height, width, 3), np.uint8), below])
        yield from (black for _ in range(opened.facts["frames"]))
        return
    for frame in opened.frames:
        picture = Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
        yield np.concatenate([np.asarray(picture), below])
