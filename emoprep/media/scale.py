"""Pictures scaled straight from the film's YUV to the strip's YCbCr, without RGB on the way."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from emoprep.media.decode import DecodeFailure, Recipe
from emoprep.media.encode import BLACK
from emoprep.media.whole import Whole

__all__ = ["Scaler"]


class Scaler:
    """Scales pictures, or halves of them, to a recipe's square; each view once a picture."""

    def __init__(self, recipe: Recipe, film):
        self.size, self.fit = recipe.size, recipe.fit
        self.pixel_aspect = (film is not None and film.sample_aspect_ratio) or 1
        # One for each view, because their widths may differ, and a new width makes all tables anew.
        self.reformatters: dict[str | None, VideoReformatter] = {}
        self.cutters: dict[tuple, _Cutter] = {}
        # The picture last wanted at its full size, by view: many frames may show it.
        self.wholes: dict[str | None, tuple[av.VideoFrame, Whole]] = {}

    def of(self, frame: av.VideoFrame) -> Callable[[str | None], np.ndarray]:
        """Return a function that scales a view of `frame` once, when it is first wanted."""
        made: dict[str | None, np.ndarray] = {}

        def scaled(view: str | None) -> np.ndarray:
            if view not in made:
                try:
                    made[view] = self._scale(frame, view)
                except (av.FFmpegError, ValueError, OSError) as error:
                    raise DecodeFailure(f"pictures of {frame.width}×{frame.height} {frame.format.name} cannot be "
                                        f"scaled: {error}") from error
            return made[view]
        return scaled

    def whole(self, frame: av.VideoFrame, view: str | None) -> Whole:
        """Return a view of `frame` at its full size; the same object as long as it is the same picture."""
        if view not in self.wholes or self.wholes[view][0] is not frame:
            turns = _turns(frame)
            whole = Whole(frame, turns, self.pixel_aspect)
            if view is not None:
                width = whole.width
                whole = Whole(self._half(frame, view, turns), turns, self.pixel_aspect)
                whole.corner = width - whole.width if view == "right" else 0.0
            self.wholes[view] = frame, whole
        return self.wholes[view][1]

    def _scale(self, frame, view: str | None) -> np.ndarray:
        turns = _turns(frame)
        if view is not None:
            frame = self._half(frame, view, turns)
        width, height = self._fitted(frame)
        reformatter = self.reformatters.get(view)
        if reformatter is None:
            reformatter = self.reformatters[view] = VideoReformatter()
        # JPEG is full-range BT.601, whatever the film is (unspecified counts as BT.601, as in ffmpeg itself).
        small = reformatter.reformat(frame, width, height, "yuvj444p", interpolation=Interpolation.AREA, threads=1,
                                     dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG)
        planes = np.empty((3, height, width), np.uint8)
        for channel, plane in enumerate(small.planes):
            planes[channel] = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, :width]
        # Only seen as [height, width, 3]: to move the values costs more than to scale a small picture.
        return np.rot90(_centre(planes.transpose(1, 2, 0), self.size), turns)

    def _half(self, frame, view: str, turns: int):
        """Return the half of a picture that is displayed at the left or at the right, still as it is stored."""
        key = frame.width, frame.height, frame.format.name, view, turns
        if key not in self.cutters:
            self.cutters[key] = _Cutter(frame, *half(frame.width, frame.height, view, turns,
                                                     _chroma_step(frame.format)))
        return self.cutters[key].cut(frame)

    def _fitted(self, frame) -> tuple[int, int]:
        """Return the width and height to scale to, before the square is cut or filled."""
        if self.fit == "stretch":
            return self.size, self.size
        aspect = Fraction(frame.width, frame.height) * self.pixel_aspect
        wide = (aspect > 1) == (self.fit == "pad")  # does the width fill the square exactly?
        if wide:
            return self.size, max(1, round(self.size / aspect))
        return max(1, round(self.size * aspect)), self.size


class _Cutter:
    """Cuts a part out of pictures of one form, without copying: libav's crop only moves where the planes begin.

    (A picture put together anew would lose where its colour samples lie, and be scaled to other colours.)
    """

    def __init__(self, frame, x: int, y: int, width: int, height: int):
        self.graph = Graph()  # held, because its filters do not hold it
        self.graph.threads = 1
        self.source = self.graph.add_buffer(width=frame.width, height=frame.height, format=frame.format,
                                            time_base=Fraction(1))
        crop = self.graph.add("crop", f"w={width}:h={height}:x={x}:y={y}:exact=1")
        self.sink = self.graph.add("buffersink")
        self.graph.link_nodes(self.source, crop, self.sink).configure()

    def cut(self, frame):
        self.source.push(frame)
        return self.sink.pull()


def half(width: int, height: int, view: str, turns: int, step: tuple[int, int] = (2, 2)) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) of the stored picture that is displayed as its left or right half.

    `turns` are quarter turns against the clock before display. A colour sample stands for `step` (across, down)
    pixels; those that belong to both halves are left out of both.

    >>> half(720, 480, "right", 0), half(721, 480, "left", 0), half(721, 480, "right", 0)
    ((360, 0, 360, 480), (0, 0, 360, 480), (362, 0, 359, 480))
    >>> half(720, 480, "left", 1), half(720, 480, "left", 2), half(720, 480, "left", 3)
    ((0, 0, 720, 240), (360, 0, 360, 480), (0, 240, 720, 240))
    """
    length, unit = (height, step[1]) if turns % 2 else (width, step[0])
    if (view == "right") == (turns in (0, 1)):
        begin, end = -(-length // (2 * unit)) * unit, length
    else:
        begin, end = 0, length // (2 * unit) * unit
    return (0, begin, width, end - begin) if turns % 2 else (begin, 0, end - begin, height)


def _turns(frame) -> int:
    """Return the quarter turns against the clock before display."""
    return round(frame.rotation / 90) % 4


def _chroma_step(form: av.VideoFormat) -> tuple[int, int]:
    """Return how many pixels (across, down) share a colour sample.

    >>> _chroma_step(av.VideoFormat("yuv420p")), _chroma_step(av.VideoFormat("yuv411p"))
    ((2, 2), (4, 1))
    """
    return 64 // form.chroma_width(64), 64 // form.chroma_height(64)


def _centre(picture: np.ndarray, size: int) -> np.ndarray:
    """Cut or fill with black to a centred square."""
    if picture.shape[:2] == (size, size):
        return picture
    square = np.empty((size, size, 3), np.uint8)
    square[:] = BLACK
    (top, height), (left, width) = ((abs(length - size) // 2, min(length, size)) for length in picture.shape[:2])
    rows, columns = slice(top, top + height), slice(left, left + width)
    whole_rows, whole_columns = slice(0, height), slice(0, width)
    tall, broad = picture.shape[0] > size, picture.shape[1] > size
    square[whole_rows if tall else rows, whole_columns if broad else columns] = \
        picture[rows if tall else whole_rows, columns if broad else whole_columns]
    return square
