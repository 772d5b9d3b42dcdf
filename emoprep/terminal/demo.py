"""What `emoprep demo` tells: each command of the road with its output, then what to try next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from emoprep.balance import BalanceResult
from emoprep.features import FeaturesResult
from emoprep.report import Written
from emoprep.segment import SegmentResult
from emoprep.stats import Stats
from emoprep.terminal import balance as balance_output
from emoprep.terminal import features as features_output
from emoprep.terminal import report as report_output
from emoprep.terminal import segment as segment_output
from emoprep.terminal import stats as stats_output
from emoprep.terminal.console import Terminal

_SHOW = {SegmentResult: segment_output.show, Stats: stats_output.show, FeaturesResult: features_output.show,
         BalanceResult: balance_output.show, Written: report_output.show}


def show_step(terminal: Terminal, command: str, result: Any) -> None:
    """Show one command as a user would have typed it, and its output."""
    if not terminal.json:
        terminal.show(f"\n$ {command}")
        _SHOW[type(result)](terminal, result)


def show_end(terminal: Terminal, out: Path, results: dict[str, Any]) -> None:
    """Show what to try next, or everything as one document."""
    if terminal.json:
        terminal.document({"schema": "emoprep.demo/1", "out": str(out),
                           **{name: result.to_json() for name, result in results.items()}})
        return
    out = shlex.quote(str(out))
    terminal.show(f"""
Next, open {out}/report.html in a browser, and try:
  tar tf {out}/shards/train-000000.tar | head          what is in a shard
  emoprep stats {out}/MELD.Raw --by speaker            who says what
  emoprep stats {out}/smote --json                     the balanced store, for a program
  emoprep balance {out}/features {out}/alpha --strategy smote --target alpha=0.5
  emoprep segment /data/MELD.Raw shards/meld           the same on the real corpus""")
