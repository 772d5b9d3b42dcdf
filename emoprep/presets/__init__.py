"""What papers did to their data, as data: settings of `emoprep balance` by corpus, one TOML file a paper.

A file has `title`, `paper` (who, what, where), `notes` (told with every run), and a table a corpus: settings by the
name of the option with _ for -, and further `notes`. What a paper leaves open and how it was decided stands on its
page, `docs/recipes/<name>.md`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from emoprep.errors import UsageError

__all__ = ["Preset", "corpora", "names", "read"]

_WHERE = "--preset"


@dataclass(frozen=True)
class Preset:
    """The settings of one paper for one corpus: texts, numbers, or tuples of texts for options given several times."""

    name: str
    title: str
    paper: str
    settings: dict[str, Any]
    notes: tuple[str, ...]


def names() -> tuple[str, ...]:
    """Return the presets there are.

    >>> names()
    ('cberl-table6', 'mcea', 'meld-lightweight', 'mosei-class-weights')
    """
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in resources.files(__name__).iterdir()
                        if entry.name.endswith(".toml")))


def corpora(name: str) -> tuple[str, ...]:
    """Return the corpora that a preset is for; raise UsageError where there is none of that name.

    >>> corpora("cberl-table6")
    ('meld', 'iemocap')
    """
    return tuple(corpus for corpus, table in _document(name).items() if isinstance(table, dict))


def read(name: str, corpus: str) -> Preset:
    """Return the preset for a corpus; raise UsageError where there is none of that name, or none for this corpus.

    >>> read("cberl-table6", "meld").settings["target"]
    'preset:cberl-table6'
    """
    known = corpora(name)
    if corpus not in known:
        others = [other for other in names() if corpus in corpora(other)]
        raise UsageError(f"{name} is of another corpus", where=_WHERE, expected=" or ".join(known), got=corpus,
                         remedy=f"for {corpus} there is {' or '.join(others)}" if others
                         else f"no preset is for {corpus}; give --strategy and its options")
    document = _document(name)
    settings = dict(document[corpus])
    notes = (*document.get("notes", ()), *settings.pop("notes", ()))
    return Preset(name, document["title"], document["paper"],
                  {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}, notes)


def _document(name: str) -> dict[str, Any]:
    # Compared with what is there, so that a name can never be a path.
    if name not in names():
        raise UsageError("no such preset", where=_WHERE, expected=" or ".join(names()), got=name)
    return tomllib.loads((resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
