"""One corpus, one file: annotations → utterances (see `contracts.CorpusModule`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from emoprep.contracts import Corpus, find, modules
from emoprep.errors import MissingInput, UsageError
from emoprep.store.folder import STATE

__all__ = ["annotation_digests", "open_corpus", "recognise"]


ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".rar", ".7z")


def recognise(source: Path, name: str | None = None) -> ModuleType:
    """Return the module of the corpus that lies in `source`, a folder or a file, or of the one that is named."""
    if name is not None:
        module = find("corpora", name, "--corpus")
    if not source.exists():
        raise MissingInput("IN is not there", where=str(source), remedy="check the path")
    if not source.is_dir():
        return _recognise_file(source, name)
    if name is not None:
        return module
    if not any(source.iterdir()):
        raise MissingInput("IN is empty", where=str(source), expected="the folder of a corpus or of a store")
    if (source / STATE).is_dir():
        raise MissingInput("IN is a store that was interrupted", where=str(source), expected="a finished store",
                           got="no manifest.json", remedy="run the command that makes it again; it goes on")
    found = _recognised(source)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError("IN looks like more than one corpus", where=str(source),
                         got=", ".join(module.NAME for module in found), remedy="say which with --corpus")
    raise MissingInput("IN is no corpus that emoprep knows, and no store", where=str(source),
                       expected=f"the layout of {', '.join(modules('corpora'))}, or a finished store (with "
                                "manifest.json)",
                       got=", ".join(sorted(entry.name for entry in source.iterdir())[:5]),
                       remedy="give the folder that holds the csv files, or say which corpus with --corpus; a table "
                              "of your own is given as the file itself")


def _recognised(source: Path) -> list[ModuleType]:
    return [module for module in modules("corpora").values() if module.recognise(source)]


def _recognise_file(source: Path, name: str | None) -> ModuleType:
    """Return the module of a corpus that comes as one file; raise MissingInput with what to give instead."""
    ending = source.suffix.lower()
    if ending in ARCHIVES:
        raise MissingInput("IN is an archive", where=str(source), expected="the folder of a corpus or of a store",
                           remedy="unpack it and give its folder")
    if ending in (".pkl", ".pickle"):
        raise MissingInput("IN is a pickle", where=str(source), expected="a corpus, a table or a store",
                           remedy=f"`emoprep features {source.name} OUT` makes a store of features from it")
    found = _recognised(source) if source.is_file() else []
    if name is not None and name not in (module.NAME for module in found):
        raise MissingInput(f"IN is a file, and not one that {name} can be", where=str(source),
                           expected=" or ".join(module.NAME for module in found) or f"the folder of {name}",
                           remedy="give the folder, or another --corpus")
    if not found:
        raise MissingInput("IN is a file", where=str(source), expected="the folder of a corpus or of a store, or a "
                           "table (.csv, .tsv, .jsonl, .parquet)", got=ending or "no ending", remedy="give a folder")
    return found[0]


def open_corpus(source: Path, name: str | None = None, options: Mapping[str, str] | None = None
                ) -> tuple[ModuleType, Corpus]:
    """Read the corpus in `source`; options that the corpus does not have are refused."""
    module = recognise(source, name)
    for option, value in (options or {}).items():
        if option not in module.OPTIONS:
            raise UsageError(f"{module.NAME} has no such option", where=f"--{option}")
        if module.OPTIONS[option].choices and value not in module.OPTIONS[option].choices:
            raise UsageError("not known", where=f"--{option}", got=value,
                             expected=" or ".join(module.OPTIONS[option].choices))
    try:
        return module, module.read(source, dict(options or {}))
    except OSError as error:
        raise MissingInput("IN cannot be read", where=str(error.filename or source),
                           got=error.strerror or str(error)) from error


# A folder with more annotation files than this has one digest: IEMOCAP's ten thousand would fill a manifest.
MOST_NAMED = 20


def annotation_digests(corpus: Corpus) -> dict[str, str]:
    """Return the sha256 of the annotation, by path below the corpus: part of a fingerprint.

    Each file has its own, unless its folder has many; then the folder has one over its files' names and bytes.
    """
    folders: dict[str, list[str]] = {}
    for name in corpus.annotation_files:
        folders.setdefault(name.rpartition("/")[0], []).append(name)
    found = {}
    for folder, names in folders.items():
        digests = {name: hashlib.sha256((corpus.root / name).read_bytes()).hexdigest() for name in names}
        if len(names) <= MOST_NAMED:
            found |= digests
        else:
            listed = "".join(f"{name}\0{digest}\n" for name, digest in sorted(digests.items()))
            found[f"{folder}/*"] = hashlib.sha256(listed.encode()).hexdigest()
    return found
