"""`emoprep report`: one page with everything there is to see of a corpus or a store, or of a pair before and after.

    contents.py     what a report shows, as values
    balancing.py    what balancing changed, and from which parents
    train.py        the train rows as columns, and what the plan says of them
    feature_map.py  the features in two dimensions
    wall.py         samples to look at and listen to
    page/           the HTML page of these values
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoprep.audit import AuditResult, audit, plan_audit
from emoprep.contracts import find
from emoprep.errors import UsageError
from emoprep.report.balancing import gather_balancing
from emoprep.report.contents import Absent, Report, name_of
from emoprep.report.feature_map import gather_map
from emoprep.report.wall import gather_wall
from emoprep.stats import Comparison, Stats, compare, stats
from emoprep.store.drafts import lone_draft
from emoprep.store.manifest import Store, is_store, open_store

__all__ = ["AUDITS", "MAPS", "Report", "Written", "check_file", "report", "write_report"]

AUDITS = ("rows", "all", "none")
MAPS = ("pca", "tsne", "none")

GENERATOR = '<meta name="generator" content="emoprep '
"""What a page of ours has in its head."""


@dataclass(frozen=True)
class Written:
    """A report, the file that was written, and its size."""

    report: Report
    out: Path
    size: int

    def to_json(self) -> dict[str, Any]:
        return {"schema": "emoprep.report/1", "out": str(self.out), "bytes": self.size,
                "sections": list(self.report.sections), "missing": dict(self.report.missing),
                "notes": list(self.report.notes)}


def report(source: Path, *, other: Path | None = None, shards: Path | None = None, features: Path | None = None,
           samples: int = 5, mapped: str = "pca", modality: str | None = None, audited: str = "rows",
           accept: Iterable[str] = (), thresholds: Iterable[str] = (), labels: str | None = None,
           protocol: str | None = None, corpus: str | None = None, options: Mapping[str, str] | None = None,
           seed: int = 0, jobs: int = 1, progress: Callable[[int, int], None] = lambda done, skipped: None) -> Report:
    """Gather what there is to see of IN, and of `other` where it is given (before and after balancing).

    `shards` and `features` are stores with IN's samples and features, where IN has none of its own. `samples` are so
    many a class, 0 for none. `mapped` is one of MAPS, `audited` one of AUDITS: "rows" leaves sounds and pictures out.
    What a section lacks is told in `missing`. Raises as `stats`, `compare` and `plan_audit` do.
    """
    _check_choices(mapped, audited, {"--shards": (shards, samples == 0, "--samples 0"),
                                     "--features": (features, mapped == "none", "--map none"),
                                     "--modality": (modality, mapped == "none", "--map none")})
    how = {"labels": labels, "protocol": protocol, "corpus": corpus}
    figures = stats(source, options=options, **how) if other is None else compare(source, other, options=options, **how)
    first = figures if other is None else figures.before
    names = (name_of(source),) if other is None else figures.names
    own = [open_store(path) for path in (other, source) if path is not None and is_store(path)]
    sampled = _stores("shards", shards, own, first.corpus)
    described = _stores("features", features, own, first.corpus)

    def audits() -> dict[str, AuditResult]:
        if audited == "none":
            raise Absent("it was not asked for (--audit none)")
        judged = {"accept": accept, "thresholds": thresholds, "media": audited == "all", **how}
        looked_at = dict(zip(names, filter(None, (source, other)), strict=True))
        if shards not in (None, source, other) and audited == "all":  # sounds and pictures lie there alone
            name = name_of(shards)
            looked_at[f"{name} (--shards)" if name in looked_at else name] = shards
        return {name: audit(plan_audit(path, options=None if is_store(path) else options, **judged), jobs=jobs,
                            progress=progress) for name, path in looked_at.items()}
    found, missing = _each({
        "audit": audits,
        "balancing": lambda: gather_balancing(_balanced(own)),
        "map": lambda: gather_map(_only(described, "features", "features", mapped != "none", "--map none"),
                                  first.scheme, method=mapped, modality=modality, seed=seed),
        "wall": lambda: gather_wall(_only(sampled, "shards", "segment", samples > 0, "--samples 0"), first.scheme,
                                    each=samples, seed=seed)})
    return Report(names, first.corpus, figures, found.get("audit", {}), found.get("balancing"), found.get("map"),
                  found.get("wall"), missing, _notes(figures, own), *_terms(own, first.corpus))


def _check_choices(mapped: str, audited: str, idle: Mapping[str, tuple[Any, bool, str]]) -> None:
    """Raise UsageError for a choice that there is none of, and for what is given and would do nothing."""
    for flag, value, known in (("--map", mapped, MAPS), ("--audit", audited, AUDITS)):
        if value not in known:
            raise UsageError("not known", where=flag, expected=", ".join(known), got=value)
    for flag, (value, unused, how) in idle.items():
        if value is not None and unused:
            raise UsageError(f"{flag} and {how} exclude each other")


def _terms(own: Sequence[Store], corpus: str) -> tuple[str, str]:
    """Return the licence and the citation of the corpus."""
    if own:
        return own[0].manifest.licence, own[0].manifest.citation
    module = find("corpora", corpus, "--corpus")
    return module.LICENCE, module.CITATION


def _each(gatherers: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what each section has, and of the others why they have nothing."""
    found, missing = {}, {}
    for name, gather in gatherers.items():
        try:
            found[name] = gather()
        except Absent as reason:
            missing[name] = str(reason)
    return found, missing


def _stores(kind: str, given: Path | None, own: Sequence[Store], corpus: str) -> list[Store]:
    """Return the stores of a kind, the one that was given first; raises UsageError where it cannot serve."""
    if given is None:
        return [store for store in own if store.manifest.kind == kind]
    store = open_store(given)
    for what, expected, got in (("corpus", corpus, store.manifest.corpus), ("kind", kind, store.manifest.kind)):
        if got != expected:
            raise UsageError(f"the store is of another {what}", where=f"--{kind} {given}", expected=expected, got=got)
    return [store]


def _only(stores: Sequence[Store], kind: str, command: str, wanted: bool, how: str) -> Store:
    """Return the store that a section is made of; raises Absent where there is none, or it is not wanted."""
    if not wanted:
        raise Absent(f"it was not asked for ({how})")
    if not stores:
        raise Absent(f"IN holds no {kind}; --{kind} STORE names them, `emoprep {command}` makes them")
    return stores[0]


def _balanced(own: Sequence[Store]) -> Store:
    """Return the store that was balanced, the second of a pair before the first."""
    store = next((store for store in own if store.manifest.balance is not None), None)
    if store is None:
        raise Absent("nothing was balanced; `emoprep balance` does it")
    return store


def _notes(figures: Stats | Comparison, own: Sequence[Store]) -> tuple[str, ...]:
    both = (figures,) if isinstance(figures, Stats) else (figures.before, figures.after)
    notes = [note for one in both for note in one.notes]
    if len(own) == 2 and own[0].manifest.balance is None and own[1].manifest.balance is not None:
        notes.append("IN was balanced and the other was not: to see before and after, exchange them")
    return tuple(dict.fromkeys(notes))


def check_file(out: Path, *, overwrite: bool = False) -> None:
    """Raise UsageError where a page cannot be written to `out`, or something else than a report lies there."""
    taken = out.exists() and not out.is_file()
    if taken or not out.parent.is_dir():
        raise UsageError("no page can be written here", where=f"-o {out}", expected="a file in a folder that is there",
                         got="something that is no file" if taken else f"{out.parent} is no folder")
    if out.exists() and not overwrite:
        with out.open("rb") as file:
            ours = GENERATOR.encode() in file.read(4096)
        if not ours:
            raise UsageError("this file is no report", where=f"-o {out}", remedy="give another name, or --overwrite")


def write_report(gathered: Report, out: Path, *, overwrite: bool = False) -> Written:
    """Write the page, whole or not at all; an earlier report of that name is replaced."""
    from emoprep.report.page import render

    check_file(out, overwrite=overwrite)
    # A name or a text may hold half of a surrogate pair: a folder's name that is no UTF-8, an escape in JSON.
    page = render(gathered).encode(errors="backslashreplace")
    with lone_draft(out) as sketch:
        sketch.write_bytes(page)
    return Written(gathered, out, len(page))
