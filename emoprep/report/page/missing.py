"""What the page does not show, and how it would come to be there."""

from __future__ import annotations

from emoprep.report.contents import Report
from emoprep.report.page.blocks import Column, Section, Table, text_cell
from emoprep.report.page.numbers import plural

_TITLES = {"balancing": "What balancing changed", "map": "A map of the features", "wall": "Look and listen",
           "audit": "What would make results wrong"}
_COMMANDS = {
    "balancing": "emoprep balance IN OUT --strategy smote; emoprep report IN --compare OUT",
    "map": "emoprep features IN STORE; emoprep report IN --features STORE",
    "wall": "emoprep segment IN STORE; emoprep report IN --shards STORE",
    "audit": "emoprep report IN --audit rows",
}


def missing(report: Report) -> Section | None:
    """Return the section of what is missing, None where nothing is."""
    if not report.missing:
        return None
    rows = [[text_cell(_TITLES.get(name, name)), text_cell(why.replace("`", "")), text_cell(_COMMANDS.get(name, ""))]
            for name, why in report.missing.items()]
    return Section("missing", "What is not on this page", "Missing",
                   f"{plural(len(rows), 'section has', 'sections have')} nothing to show here.",
                   [Table("Sections that are missing",
                          [Column("section", False), Column("because", False), Column("gives it", False)], rows)])
