"""Samples of each class to look at and listen to, before a label is trusted."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from emoprep.report.contents import Report, Sample
from emoprep.report.page.blocks import Block, Partial, Prose, Section
from emoprep.report.page.colours import colour_slots
from emoprep.report.page.numbers import count, plural, worded

MOST_TEXT = 4000
"""So many letters of a text are shown, as `show` does: one of a megabyte would be all there is on the page."""


def wall(report: Report) -> Section | None:
    """Return the section of the samples, None where there are none."""
    found = report.wall
    if found is None:
        return None
    slots = colour_slots(report.stats.scheme.labels)
    shelves = [{"label": label, "slot": slots.get(label), "many": plural(len(samples), "sample"),
                "samples": [_card(one, slots) for one in samples]}
               for label, samples in found.samples.items()]
    shown = sum(len(samples) for samples in found.samples.values())
    blocks: list[Block] = [Prose(note) for note in found.notes]
    return Section("wall", "Look and listen", "Samples",
                   f"{plural(shown, 'utterance')} of {found.source}, class by class: look and listen before you trust "
                   "a label.",
                   [*blocks, Partial("wall.html", {"shelves": shelves})])


def _card(sample: Sample, slots: dict[str, int]) -> dict[str, Any]:
    """Return what the template shows of a sample."""
    who = _short(sample.speaker or "") or "no speaker named"
    return {
        "key": sample.key, "text": _short(sample.text), "who": who, "facts": _facts(sample),
        "labels": [(label, slots.get(label)) for label in sample.labels],
        "annotation": _told({name: value for name, value in sample.annotation.items() if value is not None}),
        "flags": list(map(_short, sample.flags)),
        "op": "" if sample.op == "keep" else sample.op, "parents": sample.parents,
        "parameters": _told(sample.parameters),
        "strip": _data("image/jpeg", sample.strip), "width": sample.size[0], "height": sample.size[1],
        "alt": _alt(sample.times), "sound": _data("audio/mpeg", sample.sound),
        "cut": _cut(sample)}


def _facts(sample: Sample) -> list[str]:
    facts = [sample.split] if sample.split else []
    if sample.seconds is not None:
        facts.append(f"{sample.seconds:.1f} s")
    if sample.turn is not None:
        facts.append(f"turn {count(sample.turn)}")
    return facts


def _alt(times: Sequence[float]) -> str:
    return f"{plural(len(times), 'picture')} of the clip, at {', '.join(f'{time:.1f}' for time in times)} s"


def _cut(sample: Sample) -> str:
    """Return how much of the sound there is, where that is not all of it."""
    if sample.sound is None or sample.seconds is None or sample.heard_seconds >= sample.seconds - 0.1:
        return ""
    return f"the first {sample.heard_seconds:.1f} s of the sound"


def _data(kind: str, content: bytes | None) -> str:
    return "" if content is None else f"data:{kind};base64,{b64encode(content).decode()}"


def _told(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, _short(worded(value, 3))) for name, value in facts.items()]


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
