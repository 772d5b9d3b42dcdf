"""A caption as a picture: who speaks, what was said, and what it counts as, to stand below a film's pictures.

Pillow draws it, and not ffmpeg's drawtext: that one wants text escaped for three parsers at once (shell words aside:
filter graph, filter options, its own expansion of %{…}), does not break lines, and is missing from ffmpeg programs that
were built without freetype.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = ["GROUND", "Caption", "draw_caption"]

GROUND, INK, QUIET, TELLING = (22, 23, 27), (240, 240, 240), (140, 143, 150), (255, 205, 90)
MOST_LINES, MOST_LETTERS = 8, 600
MOST_CODES = 400  # letters that a font is asked for
PATIENCE_S = 5.0


@dataclass(frozen=True)
class Caption:
    """What is told of an utterance below its pictures; `label` is its class, "" where it has none."""

    speaker: str
    label: str
    text: str
    key: str


def draw_caption(caption: Caption, width: int) -> np.ndarray:
    """Return the caption as uint8 [h, width, 3] in RGB, h even and as large as the text needs.

    Letters are drawn in a font of the system that has them, where fontconfig finds one; what it lacks is an empty box.
    """
    from PIL import Image, ImageDraw

    size, edge = max(18, width // 26), width // 40
    told = [_one_line(part) for part in (caption.speaker, caption.label, caption.text, caption.key)]
    find = _fonts("".join(told))
    font, small = find(size), find(max(12, size * 5 // 8))
    lines = list(_wrapped(told[2], width - 2 * edge, font.getlength))
    lines = lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES - 1], lines[MOST_LINES - 1] + "…"]
    step = size * 4 // 3
    height = 2 * edge + step * (1 + len(lines)) + size
    picture = Image.new("RGB", (width, height + height % 2), GROUND)  # 4:2:0 halves both sides
    draw = ImageDraw.Draw(picture)
    # The class stands at the right, so that it is found without reading.
    label = _fitting(told[1], (width - 3 * edge) * 2 / 3, font.getlength)
    beside = width - 2 * edge - font.getlength(label)
    draw.text((edge, edge), _fitting(told[0], beside - edge, font.getlength), QUIET, font)
    draw.text((edge + beside, edge), label, TELLING, font)
    for number, line in enumerate(lines, 1):
        draw.text((edge, edge + number * step), line, INK, font)
    draw.text((edge, edge + (1 + len(lines)) * step + size // 4),
              _fitting(told[3], width - 2 * edge, small.getlength), QUIET, small)
    return np.asarray(picture)


def _one_line(text: str) -> str:
    """Return text without anything that is no letter: Pillow would begin a line at each "\\n".

    >>> _one_line("no\\n\\x1b way ")
    'no way'
    """
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text[:MOST_LETTERS]).split())
    return shown + "…" * (len(text) > MOST_LETTERS)


def _fitting(text: str, width: float, length: Callable[[str], float]) -> str:
    """Return as much of a text as fits.

    >>> _fitting("Monica", 7, len), _fitting("The Interviewer", 7, len)
    ('Monica', 'The In…')
    """
    if length(text) <= width:
        return text
    return next((text[:end] + "…" for end in range(len(text) - 1, 0, -1) if length(text[:end] + "…") <= width), "")


def _wrapped(text: str, width: float, length: Callable[[str], float]) -> Iterator[str]:
    """Yield lines no longer than `width`; words that are longer, and scripts without spaces, break anywhere.

    >>> list(_wrapped("who are you calling", 7, len)), list(_wrapped("incomprehensible", 7, len))
    (['who are', 'you', 'calling'], ['incompr', 'ehensib', 'le'])
    """
    line = ""
    for word in text.split():
        if line and length(f"{line} {word}") > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
        while length(line) > width and len(line) > 1:
            fits = next(end for end in range(len(line) - 1, 0, -1) if end == 1 or length(line[:end]) <= width)
            yield line[:fits]
            line = line[fits:]
    if line:
        yield line


def _fonts(text: str) -> Callable[[int], FreeTypeFont | ImageFont]:
    """Return what gives a font that has the letters of a text, in any size in px."""
    from PIL import ImageFont

    file, number = _font_file(text)

    def find(size: int) -> Any:
        try:
            if file:
                return ImageFont.truetype(file, size, index=number)
        except OSError:  # a bitmap font, or colour pictures of one size
            pass
        return ImageFont.load_default(size)
    return find


def _font_file(text: str) -> tuple[str, int]:
    """Return the file of the system's sans-serif font that lacks fewest letters of a text, and its number in there.

    ("", 0) where there is no fontconfig.
    """
    program = shutil.which("fc-match")
    if program is None:
        return "", 0
    codes = " ".join(f"{ord(letter):x}" for letter in sorted(set(text) - {" "})[:MOST_CODES])
    try:
        done = subprocess.run([program, "--format=%{file}\n%{index}", f"sans-serif:charset={codes or '41'}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        file, number = done.stdout.splitlines()
        # The upper half of the number is a named instance of a variable font.
        return file, int(number) & 0xFFFF
    except (OSError, ValueError, subprocess.SubprocessError):
        return "", 0
