"""What `emoprep report` tells."""

from __future__ import annotations

from emoprep.report import Written
from emoprep.terminal.console import Terminal


def show(terminal: Terminal, written: Written) -> None:
    """Show where the page lies and how large it is, and on stderr what it lacks, and why."""
    if terminal.json:
        terminal.document(written.to_json())
        return
    terminal.notes(written.report.notes)
    terminal.notes(f"not on the page: {name}: {why}" for name, why in written.report.missing.items())
    terminal.show(f"{written.out}: {', '.join(written.report.sections)}; {written.size / 1e6:.1f} MB")
