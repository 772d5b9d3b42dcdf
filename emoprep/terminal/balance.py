"""What `emoprep balance` tells."""

from __future__ import annotations

from emoprep.balance import BalanceResult
from emoprep.labels import MULTI
from emoprep.methods.skew import measure
from emoprep.terminal.console import Terminal, compact, table


def show(terminal: Terminal, result: BalanceResult, *, print_weights: bool = False) -> None:
    """Show each class before and after, its weight, and what could not be reached; or the weights alone."""
    terminal.notes(result.notes)
    if print_weights:
        terminal.show(result.plan.weighing.line())
        return
    if terminal.json:
        terminal.document(result.to_json())
        return
    plan = result.plan
    title = f"{plan.strategy} ({plan.scheme.name}, train)" + (" – dry run" if result.state == "dry run" else "")
    multi, weighed = plan.scheme.task == MULTI, plan.weighing.weights
    rows = table(title, "label" if multi else "class", "before", "requested", "after", "change",
                 "pos_weight" if multi else "weight")
    weights = weighed.pos_weight if multi else weighed.weights
    for label in plan.scheme.labels:
        before, after = plan.before[label], plan.after[label]
        rows.add_row(label, compact(before), compact(plan.requested[label]), compact(after),
                     f"{after - before:+,}" if after != before else "",
                     "–" if weights[label] is None else f"{weights[label]:.4f}")
    skews = [measure(counts) for counts in (plan.before, plan.after)]
    rows.add_section()
    if not multi:  # an utterance with two labels would count twice
        rows.add_row("all", compact(sum(plan.before.values())), compact(sum(plan.requested.values())),
                     compact(sum(plan.after.values())))
    rows.add_row("imbalance ratio", compact(skews[0].imbalance_ratio), "", compact(skews[1].imbalance_ratio))
    terminal.show(rows)
    if plan.shortfall:
        terminal.show("not reached: " + ", ".join(f"{label} {compact(lack)}" for label, lack
                                                  in plan.shortfall.items()))
    if weighed.absent:
        terminal.notes([f"none or all of the train utterances are {', '.join(weighed.absent)}: no pos_weight"
                        if multi else f"no train utterance is {', '.join(weighed.absent)}: weight 0"])
    if result.state == "dry run":
        estimate = plan.estimate()
        size = f", about {compact(estimate['estimated_bytes'] / 1e6, 1)} MB" if estimate["estimated_bytes"] else ""
        terminal.show(f"train: {compact(estimate['seconds'] / 60, 1)} minutes of speech{size}")
    terminal.show({"dry run": "nothing was written", "written": f"{result.out}: written",
                   "complete already": f"{result.out}: complete already; nothing to do"}[result.state])
