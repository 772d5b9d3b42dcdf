"""What `emoprep verify` tells."""

from __future__ import annotations

from emoprep.terminal.console import Terminal, compact
from emoprep.verify import VerifyResult

SHOWN = 10


def show(terminal: Terminal, result: VerifyResult) -> None:
    """Show one line where all is well, else the first ten findings (all with --verbose) and how many more there are."""
    if terminal.json:
        terminal.document(result.to_json())
        return
    pieces = [f"{compact(number)} {name}" for number, name in (
        (result.utterances, "utterances"), (result.shards, "shards"), (result.tables, "tables"),
        (result.sources, "media files")) if number]
    if not result.findings:
        terminal.show(f"OK: {result.path}: {', '.join(pieces) or 'annotation only'}")
        return
    shown = result.findings if terminal.verbose else result.findings[:SHOWN]
    terminal.show(*(f"{finding.check}  {finding.where}: {finding.detail}" for finding in shown))
    more = len(result.findings) - len(shown)
    terminal.show(f"{result.path}: {compact(len(result.findings))} findings"
                  + (f"; {compact(more)} more with --verbose or --json" if more else ""))
