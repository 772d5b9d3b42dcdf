"""One corpus, one file: annotations → utterances (see `contracts.CorpusModule`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from emoprep.contracts import find, modules
from emoprep.errors import MissingInput, UsageError
from emoprep.store.folder import STATE
from emoprep.utterance import Corpus

__all__ = ["annotation_digests", "open_corpus", "recognise"]


def recognise(source: Path, name: str | None = None) -> ModuleType:
    """Return the module of the corpus that lies in `source`, or of the one that is named."""
    if name is not None:
        module = find("corpora", name, "--corpus")
    if not source.exists():
        raise MissingInput("IN is not there", where=str(source), remedy="check the path")
    if not source.is_dir():
        packed = source.name.endswith((".zip", ".tar", ".gz", ".tgz"))
        raise MissingInput("IN is a file", where=str(source), expected="the folder of a corpus or of a store",
                           remedy="unpack it and give its folder" if packed else "give a folder")
    if name is not None:
        return module
    if not any(source.iterdir()):
        raise MissingInput("IN is empty", where=str(source), expected="the folder of a corpus or of a store")
    if (source / STATE).is_dir():
        raise MissingInput("IN is a store that was interrupted", where=str(source), expected="a finished store",
                           got="no manifest.json", remedy="run the command that makes it again; it goes on")
    found = [module for module in modules("corpora").values() if module.recognise(source)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(modules("corpora"))
    if found:
        raise UsageError("IN looks like more than one corpus", where=str(source),
                         got=", ".join(module.NAME for module in found), remedy="say which with --corpus")
    raise MissingInput("IN is no corpus that emoprep knows, and no store", where=str(source),
                       expected=f"the layout of {known}, or a finished store (with manifest.json)",
                       got=", ".join(sorted(entry.name for entry in source.iterdir())[:5]),
                       remedy="give the folder that holds the csv files, or say which corpus with --corpus")


def open_corpus(source: Path, name: str | None = None, options: Mapping[str, str] | None = None
                ) -> tuple[ModuleType, Corpus]:
    """Read the corpus in `source`; options that the corpus does not have are refused."""
    module = recognise(source, name)
    for option, value in (options or {}).items():
        if option not in module.OPTIONS:
            raise UsageError(f"{module.NAME} has no such option", where=f"--{option}")
        if value not in module.OPTIONS[option].choices:
            raise UsageError("not known", where=f"--{option}", got=value,
                             expected=" or ".join(module.OPTIONS[option].choices))
    try:
        return module, module.read(source, dict(options or {}))
    except OSError as error:
        raise MissingInput("IN cannot be read", where=str(error.filename or source),
                           got=error.strerror or str(error)) from error


def annotation_digests(corpus: Corpus) -> dict[str, str]:
    """Return the sha256 of each annotation file, by its path below the corpus: part of a fingerprint."""
    return {name: hashlib.sha256((corpus.root / name).read_bytes()).hexdigest() for name in corpus.annotation_files}
