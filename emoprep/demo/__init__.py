"""`emoprep demo`: a small corpus in MELD's real layout, and the whole road on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emoprep.balance import balance
from emoprep.demo.corpus import write_demo_corpus
from emoprep.errors import UsageError
from emoprep.features import features, plan_features
from emoprep.report import report, write_report
from emoprep.segment import plan_segment, segment
from emoprep.stats import stats

__all__ = ["CORPUS", "demo"]

CORPUS, PAGE = "MELD.Raw", "report.html"


def demo(out: Path, *, seed: int = 0, jobs: int = 1, overwrite: bool = False,
         show: Callable[[str, Any], None] = lambda command, result: None) -> dict[str, Any]:
    """Make the corpus below OUT and run segment → stats → features → balance → report on it.

    `show(command, result)` is called with what a user would have typed and what came of it. Returns the
    results by command. A second run on the same OUT finds everything complete.
    """
    if out.exists() and not (out / CORPUS).is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("OUT holds something else", where=str(out), expected="a name that is free")
    corpus = _corpus(out, seed, overwrite)
    shards, vectors = out / "shards", out / "features"
    results: dict[str, Any] = {}

    def done(name: str, command: str, result: Any) -> None:
        results[name] = result
        show(command, result)
    # Two of the planted faults are skipped: a clip that does not decode, and a row without one.
    done("segment", f"emoprep segment {corpus} {shards}",
         segment(plan_segment(corpus, shards), shards, jobs=jobs, overwrite=overwrite))
    done("stats", f"emoprep stats {shards}", stats(shards))
    done("features", f"emoprep features {shards} {vectors}",
         features(plan_features(shards, seed=seed), vectors, jobs=jobs, overwrite=overwrite))
    for strategy, source in (("smote", vectors), ("oversample", shards), ("weights", corpus)):
        target = out / strategy
        done(strategy, f"emoprep balance {source} {target} --strategy {strategy}",
             balance(source, target, strategy=strategy, seed=seed, jobs=jobs, overwrite=overwrite))
    page, smote = out / PAGE, out / "smote"
    done("report", f"emoprep report {vectors} --compare {smote} --shards {shards} -o {page}",
         write_report(report(vectors, other=smote, shards=shards, seed=seed, jobs=jobs), page, overwrite=overwrite))
    return results


def _corpus(out: Path, seed: int, overwrite: bool) -> Path:
    """Write the corpus under another name first, so that half a corpus never passes for one."""
    corpus, sketch = out / CORPUS, out / f".{CORPUS}.draft"
    if overwrite:
        shutil.rmtree(corpus, ignore_errors=True)
    if not corpus.is_dir():
        shutil.rmtree(sketch, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        try:
            made = write_demo_corpus(sketch, seed=seed)
            made.folder.rename(corpus)
        finally:
            shutil.rmtree(sketch, ignore_errors=True)
    return corpus
