"""The HTML page of a report: one file, nothing to load, readable without its script.

    blocks.py       what a section is made of: tables, figures, folds, cards; each names its template
    charts.py       numbers → SVG
    drawing.py      what charts are drawn of
    colours.py      which colour a class has throughout
    numbers.py      numbers as a person reads them
    splits.py       which splits a section shows, and of which side of a pair
    head.py         what the page is of
    skew.py transitions.py speakers.py durations.py together.py balancing.py feature_map.py findings.py wall.py
    missing.py      the sections: report → Section, or None where there is nothing to show
    templates/      their HTML (Jinja2, everything escaped); style.css; script.js

A new section is a file with such a function, and a line in SECTIONS.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from emoprep import __version__
from emoprep.report.contents import Report
from emoprep.report.page.balancing import balancing
from emoprep.report.page.blocks import Section
from emoprep.report.page.durations import durations
from emoprep.report.page.feature_map import feature_map
from emoprep.report.page.findings import audit
from emoprep.report.page.head import head
from emoprep.report.page.missing import missing
from emoprep.report.page.skew import skew
from emoprep.report.page.speakers import speakers
from emoprep.report.page.together import together
from emoprep.report.page.transitions import transitions
from emoprep.report.page.wall import wall

__all__ = ["SECTIONS", "render"]

SECTIONS: tuple[Callable[[Report], Section | None], ...] = (
    skew, transitions, speakers, durations, together, balancing, feature_map, audit, wall)
"""The sections in the order of the page; what they lack is told at its end."""

_HERE = Path(__file__).parent


def render(report: Report) -> str:
    """Return the page: HTML without a byte from elsewhere; what comes from the corpus is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    sections = [section for make in SECTIONS if (section := make(report)) is not None]
    if (lacking := missing(report, sections)) is not None:
        sections.append(lacking)
    script = (_HERE / "script.js").read_text(encoding="utf-8")
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        head=head(report, sections), sections=sections, style=style, script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(), version=__version__)
