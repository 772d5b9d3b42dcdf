"""What `emoprep show` tells."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from rich.style import Style
from rich.text import Text

from emoprep.show import Line, Shown
from emoprep.show.waveform import levels, outline
from emoprep.terminal.console import Terminal, compact, plain

NAMED, WIDEST = 12, 110  # columns: of a line's name, of all of it
MOST_TEXT, MOST_WORDS = 4000, 60
PLACE = ("season", "episode", "source_start", "source_end")
"""Columns of the annotation that say where in a series an utterance lies."""

LONGEST = 1e9  # seconds that are told as minutes

ROOM_FOR_SCALE = 6  # columns that the last number of the scale may take beyond the outline
INLINE, INLINE_WIDTH = 3, 36  # frames, and columns a frame
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the dots of a Braille letter (U+2800), four rows of two."""

Entry = tuple[str, str | list[str]]


def show(terminal: Terminal, shown: Shown) -> None:
    """Show an utterance; on a terminal with all colours some of its frames too."""
    if terminal.json:
        terminal.document(shown.to_json())
        return
    width = max(20, min(terminal.out.width, WIDEST) - NAMED)
    terminal.show(Text(plain(shown.key), "bold"))
    _entries(terminal, (*_facts(shown), *_made(shown)), width)
    terminal.show("")
    _entries(terminal, _conversation(shown), width)
    if shown.opened.facts:
        terminal.show("")
    _entries(terminal, _media(shown, width), width)
    if shown.opened.frames is not None and _all_colours(terminal):
        terminal.show(*_pictures(shown, terminal.out.width))
    _entries(terminal, [(name, [str(path)]) for name, path in (("strip", shown.strip), ("clip", shown.clip)) if path],
             width)


def _entries(terminal: Terminal, entries: Iterable[Entry], width: int) -> None:
    """Show names and what belongs to them: a text, broken where it is too long, or lines as they are; "" not at all."""
    for name, value in entries:
        lines = value if isinstance(value, list) else textwrap.wrap(
            value, width, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines):
            terminal.show(Text.assemble((("" if number else name).ljust(NAMED), "dim"),
                                        (line, "bold" if name == "now" else "")))


# ------------------------------------------------------------------------------------------------- rows

def _facts(shown: Shown) -> Iterator[Entry]:
    """Yield what the index says of an utterance, by name."""
    row, facts = shown.row, shown.opened.facts
    yield "in", f"{shown.path}{'' if row['shard'] is None else '/' + plain(row['shard'])} ({plain(shown.kind)})"
    yield "place", " · ".join([plain(row["split"] or "no split"), f"dialogue {plain(str(row['dialogue']))}",
                               f"turn {row['turn']}"])
    yield "source", _source(shown)
    if shown.seconds is not None:
        yield "length", " · ".join([
            f"{shown.seconds:.3f} s",
            *([f"{compact(facts['frames'])} frames of {facts['size']} px at {compact(facts['fps'])} a second"]
              if shown.opened.frames is not None else []),
            *([f"{compact(facts['samples'])} samples at {compact(facts['sample_rate'])} Hz"]
              if shown.opened.sound is not None else [])])
    yield "annotation", " · ".join(f"{plain(name)} {_value(value)}" for name, value in shown.annotation.items()
                                   if value is not None and name not in PLACE)
    yield "labels", " · ".join(f"{plain(name)} {_class(shown.line, name)}" for name in shown.line.labels)
    yield "flags", plain(", ".join(row["flags"] or ()), MOST_TEXT)
    if shown.opened.reason:
        yield "missing", "; ".join(filter(None, [plain(shown.opened.reason), plain(shown.remedy, MOST_TEXT)]))
    for name, found in shown.features.items():
        length = f"{found.dim}" if found.steps is None else f"{compact(found.steps)} steps of {found.dim}"
        yield plain(name), f"{length} numbers, norm {compact(found.norm)} · {plain(found.extractor)}, clock " \
                    f"{plain(found.clock)}" if found.there else "none"


def _source(shown: Shown) -> str:
    """Return where in its source an utterance lies, "" where nobody knows."""
    start, end = shown.row["start"], shown.row["end"]
    season, episode, begins, ends = map(shown.annotation.get, PLACE)
    told = [] if start is None or end is None else [f"{_clock(start)}–{_clock(end)} of its media"]
    if season is not None and episode is not None:
        told.append(f"season {_value(season)}, episode {_value(episode)}" + (
            "" if begins is None or ends is None else f", {_clock(begins)}–{_clock(ends)}"))
    return " · ".join(told)


def _clock(seconds: Any) -> str:
    """Return a time as minutes, seconds and milliseconds.

    >>> _clock(986.82), _clock(2.75275), _clock(float("nan")), _clock(1e308)
    ('16:26.820', '0:02.753', '–', '1e+308 s')
    """
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return "–"
    if abs(seconds) > LONGEST:
        return f"{seconds:g} s"
    whole = round(abs(seconds) * 1000)
    return f"{'-' if seconds < 0 else ''}{whole // 60_000}:{whole % 60_000 / 1000:06.3f}"


def _value(value: Any) -> str:
    """Return a value of the annotation; an inner list in brackets.

    >>> _value(0.6666667), _value(["neu", "fru"]), _value("joy")
    ('0.667', 'neu fru', 'joy')
    """
    if isinstance(value, (list, tuple)):
        return plain(" ".join(map(_value, value)), MOST_TEXT)
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else plain(str(value))


def _class(line: Line, scheme: str) -> str:
    found = line.labels[scheme]
    return "outside" if found is None else ", ".join(map(plain, found)) or "none"


def _made(shown: Shown) -> Iterator[Entry]:
    """Yield how an utterance was made, and of what."""
    row, opened = shown.row, shown.opened
    if row["loss_mask"] is not None and row["loss_mask"] != 1:
        yield "loss mask", f"{row['loss_mask']:g}" + (": context only" if row["loss_mask"] == 0 else "")
    if row["op"] == "keep" and not opened.parents and not opened.parameters:
        return
    how = [f"λ {opened.lam:.4f}: base + λ (neighbour − base)"] if opened.lam is not None else []
    how += [plain(f"{name} {value}") for name, value in opened.parameters.items()]
    yield "made", " · ".join([plain(row["op"]), *how])
    names = ["base", "neighbour"] if len(opened.parents) == 2 else ["of"] * len(opened.parents)
    lines = {parent.key: parent for parent in shown.parents}
    for name, key in zip(names, opened.parents, strict=True):
        yield name, f"{plain(key)}  {_spoken(lines[key])}" if key in lines else f"{plain(key)} (not in this store)"


def _conversation(shown: Shown) -> Iterator[Entry]:
    """Yield what is said before, now and after."""
    of = "" if shown.context == shown.key else f" (around {plain(shown.context)})"
    yield "before", f"{_spoken(shown.before)}{of}" if shown.before else ""
    yield "now", _spoken(shown.line)
    yield "after", f"{_spoken(shown.after)}{of}" if shown.after else ""


def _spoken(line: Line) -> str:
    """Return speaker, class and text.

    >>> _spoken(Line("a", "Joey", "Hey!", {"meld-7": ("joy",)}))
    'Joey (joy): Hey!'
    """
    label = "" if line.label is None else f" ({plain(line.label)})"
    return f"{plain(line.speaker or 'somebody')}{label}: {plain(line.text, MOST_TEXT)}"


# ------------------------------------------------------------------------------------------------ sound

def _media(shown: Shown, width: int) -> Iterator[Entry]:
    """Yield level and outline of the sound, as high as its peak, and the words."""
    if shown.opened.sound is not None:
        sound, rate = shown.opened.sound
        peak, rms = levels(sound)
        columns = width - ROOM_FOR_SCALE
        if peak is None:
            yield "sound", "silence"
        else:
            yield "sound", f"peak {peak:.1f} dBFS, RMS {rms:.1f} dBFS"
            yield "", [*waveform(*outline(sound, 2 * columns)), scale(len(sound) / rate, columns)]
    words = shown.opened.words
    # A time stays with its word where the line is broken.
    told = [f"{word['start']:.2f}\N{NO-BREAK SPACE}{plain(word['word'])}" for word in words[:MOST_WORDS]]
    yield "words", "  ".join(told + [f"… {len(words) - MOST_WORDS} more"] * (len(words) > MOST_WORDS))


def waveform(low: np.ndarray, high: np.ndarray) -> list[str]:
    """Return an outline float32 [2n], [2n] as two lines of n Braille letters, as high as its largest value.

    >>> print("\\n".join(waveform(np.array([0, -1, -.5, 0.]), np.array([0, 1, .5, 0.]))))
    ⣸⣄
    ⢸⠃
    """
    most = max(-low.min(), high.max()) or 1.0
    up, down = np.maximum(1, np.rint(high / most * 4)), np.rint(-low / most * 4)
    rows = np.arange(4)[:, np.newaxis]
    dots = np.concatenate([rows >= 4 - up, rows < down])  # eight rows of them, and two letters high
    return ["".join(map(chr, 0x2800 + (half.reshape(4, -1, 2) * DOTS[:, np.newaxis]).sum(axis=(0, 2))))
            for half in (dots[:4], dots[4:])]


def scale(seconds: float, columns: int) -> str:
    """Return a scale of seconds for so many columns, a number every eight or more of them.

    >>> scale(2.2, 40)
    '0        0.5      1        1.5      2 s'
    """
    least = 8 * seconds / columns
    power = 10.0 ** math.floor(math.log10(least))
    step = next((power * tick for tick in (1, 2, 5) if power * tick >= least), power * 10)
    line = ""
    for number in range(int(seconds / step) + 1):
        line = line.ljust(round(number * step / seconds * columns)) + f"{number * step:.6g}"
    return line + " s"


# --------------------------------------------------------------------------------------------- pictures

def _all_colours(terminal: Terminal) -> bool:
    """Tell whether this is a real terminal with 24-bit colours, and its user wants them (NO_COLOR)."""
    # FORCE_COLOR makes rich take a pipe for a terminal.
    return sys.stdout.isatty() and terminal.out.color_system == "truecolor" and not terminal.out.no_color


def _pictures(shown: Shown, width: int) -> list[Text]:
    """Return some frames side by side as lines of half blocks, each of which shows two pixels."""
    from PIL import Image

    frames = shown.opened.frames
    count = min(INLINE, len(frames), max(1, width // (INLINE_WIDTH + 1)))
    height = 2 * max(1, round(INLINE_WIDTH / shown.opened.aspect / 2))
    chosen = [frames[(2 * number + 1) * len(frames) // (2 * count)] for number in range(count)]
    small = [np.asarray(Image.fromarray(frame).resize((INLINE_WIDTH, height), Image.Resampling.BOX))
             for frame in chosen]
    lines = []
    for above in range(0, height, 2):
        line = Text()
        for picture in small:
            for upper, lower in zip(picture[above].tolist(), picture[above + 1].tolist(), strict=True):
                line.append("▀", Style.parse("rgb({},{},{}) on rgb({},{},{})".format(*upper, *lower)))
            line.append(" ")
        lines.append(line)
    return lines
