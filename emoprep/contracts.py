"""What a module in `corpora/`, `processed/`, `strategies/` or `extractors/` must define, and how it is found.

A module is found because it lies in its folder. It must be cheap to import: heavy packages are imported in
the function that needs them. The contract tests (in `tests/corpora`,
`tests/strategies`, `tests/extractors`) run over every module there is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from emoprep.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from emoprep.labels import LabelScheme
    from emoprep.utterance import Sample, Skip, Utterance

__all__ = ["Assign", "Corpus", "CorpusModule", "Decision", "ExtractorModule", "Fitted", "Modality", "Option", "Problem",
           "Processed", "ProcessedModule", "Setting", "StrategyModule", "check_pool", "find", "find_extractor",
           "find_strategy", "modules", "settle"]


# --------------------------------------------------------------------------------------------- corpora

@dataclass(frozen=True)
class Option:
    """An option that only one corpus has, such as MELD's `--twins`: one of `choices`.

    Without choices any text is taken; `read` checks it and raises UsageError, and `metavar` says what it is.
    """

    choices: tuple[str, ...]
    default: str
    help: str
    metavar: str = ""


@dataclass(frozen=True)
class Corpus:
    """What a corpus module reads.

    `utterances` come in the order of the index: split by split, dialogue by dialogue, turn by turn.
    `annotation` names their annotation columns with their Arrow types ("string", "int32", "float64", "strings"
    for a list), `schemes` are the label schemes over them, the default first.
    `skips` are those whose media the reader already knows to be missing, or that a rule of the corpus leaves
    out. `annotation_files` are below `root`. `settings` are the reader's options that change the result.
    `bare_splits` (splits, or units where there is no split) have annotation but no clip at all; their
    utterances are counted by `stats`, and are neither cut nor counted as skipped.
    """

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    skips: tuple[Skip, ...] = ()
    annotation_files: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    bare_splits: tuple[str, ...] = ()
    unused_clips: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    annotation: Mapping[str, str] = field(default_factory=dict)
    schemes: tuple[LabelScheme, ...] = ()


Assign = Callable[[str | None, Sequence[str]], dict[str, str]]
"""A protocol: (its argument, dialogues) → the split of each dialogue."""


class CorpusModule(Protocol):
    """One corpus: annotation files → utterances.

    ANNOTATION and SCHEMES are what every Corpus of it has (empty where they depend on what is read).
    PROTOCOLS are the ways to split a corpus that has no official split, by name ("loso:K" takes an argument),
    the default first. `recognise` looks only at names, `read` opens the annotation and lists the media; it
    raises CorpusError (file and line) and never drops a row silently. `source` is a folder, or a file where the
    corpus comes as one.
    """

    NAME: str
    TITLE: str
    CITATION: str
    LICENCE: str
    ANNOTATION: dict[str, str]
    SCHEMES: tuple[LabelScheme, ...]
    OPTIONS: dict[str, Option]
    PROTOCOLS: dict[str, Assign]

    def recognise(self, source: Path) -> bool: ...

    def read(self, source: Path, options: dict[str, str]) -> Corpus: ...


# ------------------------------------------------------------------------------------- processed sets

@dataclass(frozen=True)
class Processed:
    """A set of features that somebody else extracted: what it annotates, and its features row by row.

    `corpus` has the utterances in the order of the index: train, dev, test, then those without a split; its media
    and skips are not looked at. `modalities` says of each modality its `dim`, `clock` and `extractor`, and whatever
    else is known of how it was made (JSON values). `rows()` yields the features of each utterance, in that order,
    by modality: float32 [dim] where the clock is "utterance", else [L, dim] with L > 0. A modality that an utterance
    lacks is left out; NaN and infinity stay as they are. It may be called more than once, and its arrays are not
    held. `settings` are JSON values that change bytes. `versions` names the packages that decided the bytes.
    """

    corpus: Corpus
    modalities: Mapping[str, Mapping[str, Any]]
    rows: Callable[[], Iterator[Mapping[str, np.ndarray]]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: tuple[str, ...] = ("numpy", "pyarrow")


class ProcessedModule(Protocol):
    """One format of processed sets: a loaded object → Processed.

    TITLE, LICENCE and CITATION are those of the features; the corpus has its own. `recognise` looks at the shape
    of what was unpickled (`emoprep.formats.pickles` admits arrays and plain containers only) and never raises; `read`
    raises CorpusError for what is not as the format says. `path` is only named.
    """

    NAME: str
    TITLE: str
    LICENCE: str
    CITATION: str

    def recognise(self, loaded: Any) -> bool: ...

    def read(self, loaded: Any, path: Path) -> Processed: ...


# ------------------------------------------------------------------------------------------ strategies

@dataclass(frozen=True)
class Modality:
    """One modality of the train split: `values` float32 [N, d], or a list of N arrays [L, d] (a sequence).

    `present` is bool [N]; rows without the modality hold zeros (a sequence: one zero step). `clock` is
    "utterance" for vectors, else "fps:10", "rate:50" or "words".
    """

    values: np.ndarray | list[np.ndarray]
    present: np.ndarray
    clock: str = "utterance"


@dataclass(frozen=True)
class Setting:
    """An option of `emoprep balance` that a strategy reads. Strategies may share one, of the same default and metavar.

    Its type is that of the default: True or False a flag, a number, a text (None: a text that may be left out), a
    tuple of texts for an option that may be given several times. `short` is a second spelling ("-k").
    """

    default: bool | int | float | str | tuple[str, ...] | None
    help: str
    metavar: str = ""
    short: str = ""


@dataclass(frozen=True)
class Problem:
    """What a strategy sees: the train split only, and targets that are already decided.

    `y` is int16 [N], the class of each row, −100 outside the scheme or masked; of a multi-label scheme int8 [N, K] with
    1 for each label of a row, −100 throughout outside the scheme. `targets` has the requested final count of every
    class (none where the strategy takes no target). `options` are those the user gave; `settle` adds the defaults.
    `features` is None unless the strategy NEEDS "features"; `seconds` is float64 [N]. `speakers` and `sessions`
    [N] are None where nobody knows them, and so are `texts` [N], what was said. Of a sequence of strategies (`--then`),
    `made` counts the items of each class that earlier ones made, and `copied` int64 [N] how many they made of each row.
    """

    keys: tuple[str, ...]
    dialogues: tuple[str, ...]
    y: np.ndarray
    labels: tuple[str, ...]
    targets: dict[str, int]
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Modality] | None = None
    seconds: np.ndarray | None = None
    speakers: tuple[str | None, ...] | None = None
    sessions: tuple[str | None, ...] | None = None
    made: dict[str, int] = field(default_factory=dict)
    copied: np.ndarray | None = None
    texts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Decision:
    """What a strategy decides: which rows stay, and which items are made of which parents.

    `kept` [N] holds "keep", "drop" or "mask" for each row. Each made item i is `op` ("repeat", "augment",
    "interpolate", "generate") of row `base[i]`, with row `neighbor[i]` (−1: none) and weight `lam[i]` (NaN: none).
    Made items come class by class; where they end up in the store is not the strategy's business, unless it makes
    whole dialogues: items with the same number in `dialogue` [n] are one made dialogue, in this order (−1: the item
    stands alone; None: all do). `loss_mask` float [n] is 1 where not given.

    `parameters` [n] are JSON values that say how an item is made, beyond its parents. `altered` are train rows that
    change in their place, with their parameters. `noise` gives for some of the made items (their numbers [m]) the
    float64 [m, d] to be added to each modality before it is rounded. `label_rows` int64 [n, K] (multi-label) names
    for each label of a made item the train row whose annotation it takes; the base's unless given. `notes` are told
    to the user.
    """

    kept: np.ndarray
    op: np.ndarray
    base: np.ndarray
    neighbor: np.ndarray
    lam: np.ndarray
    notes: tuple[str, ...] = ()
    dialogue: np.ndarray | None = None
    loss_mask: np.ndarray | None = None
    parameters: Sequence[Mapping[str, Any]] | None = None
    altered: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    noise: Callable[[np.ndarray], Mapping[str, np.ndarray]] | None = None
    label_rows: np.ndarray | None = None

    @classmethod
    def of(cls, problem: Problem, op: Any = "repeat", base: Any = (), neighbor: Any = None, lam: Any = None,
           **more: Any) -> Decision:
        """Return a decision that keeps every row and makes `op` (one, or [n]) of `base` [n].

        >>> import numpy as np
        >>> rows = Problem(("a", "b"), ("d", "d"), np.array([0, 1]), ("joy", "fear"), {})
        >>> Decision.of(rows, "repeat", [1, 1]).neighbor.tolist()
        [-1, -1]
        """
        import numpy as np

        base = np.asarray(base, dtype=np.int64)
        return cls(**{
            "kept": np.full(len(problem.keys), "keep"), "op": np.full(len(base), op) if isinstance(op, str) else op,
            "base": base, "neighbor": np.full(len(base), -1) if neighbor is None else neighbor,
            "lam": np.full(len(base), np.nan) if lam is None else lam, **more})


class StrategyModule(Protocol):
    """One strategy: labels (+ features) → a Decision, a pure function of the problem.

    NEEDS is "labels" or "features". DIRECTION is "over" or "under": how `--target` is read; "own" where the strategy
    sets the counts by rules of its own and takes no target; "none" where the counts stay. TASKS are those it knows
    ("single-label", "multi-label"). MAKES is "nothing", "copies" (of media or vectors), "media" or "vectors". OPTIONS
    are the options of `emoprep balance` that it reads.

    `recorded(options)`, where a strategy has it, returns what the manifest says of its options, JSON values: a file is
    recorded by its name and sha256, never by its path.

    A NAME ending in ":" takes an argument (`imblearn:SMOTEN`). A strategy whose attributes follow from that or from
    its options defines `chosen(argument, given)`, which returns an object with these attributes, and with CALLED where
    an error should call it by more than its NAME.
    """

    NAME: str
    HELP: str
    NEEDS: str
    DIRECTION: str
    TASKS: tuple[str, ...]
    MAKES: str
    OPTIONS: dict[str, Setting]

    def decide(self, problem: Problem) -> Decision: ...


# ------------------------------------------------------------------------------------------ extractors

class Fitted(Protocol):
    """An extractor after fitting: `transform` takes one descriptor to float32 [dim] or [L, dim]."""

    dim: int
    notes: tuple[str, ...]

    def transform(self, descriptor: np.ndarray) -> np.ndarray: ...


class ExtractorModule(Protocol):
    """One extractor: sample → descriptor (in a worker) → vector or sequence (fitted on train only).

    MODALITY is "audio", "video" or "text". DEFAULT says whether it is taken when none is named. DIM is the
    dimension it gives unasked, None for the model's own. POOLS are the values of `--pool` it knows, the
    default first: "none" keeps a sequence. A NAME ending in ":" takes an argument (`hf:DIR`).

    `prepare` checks the argument and returns settings that are JSON and stand in the manifest (paths do not:
    a file is recorded by its name and sha256) plus, under the key "argument", what `describe` needs, which
    does not go into the manifest. `describe` returns None where the sample lacks the modality. `clock` gives
    the clock of the result for these settings. `fit` sees the train descriptors (as often as it iterates).
    """

    NAME: str
    MODALITY: str
    HELP: str
    DEFAULT: bool
    DIM: int | None
    POOLS: tuple[str, ...]

    def prepare(self, argument: str | None, pool: str) -> dict[str, Any]: ...

    def clock(self, settings: dict[str, Any], fps: float) -> str: ...

    def describe(self, sample: Sample, settings: dict[str, Any]) -> np.ndarray | None: ...

    def fit(self, descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted: ...


# ------------------------------------------------------------------------------------------- discovery

def modules(folder: str) -> dict[str, ModuleType]:
    """Return the modules of `emoprep/<folder>` by their NAME, in alphabetical order of their files.

    Extractors are known by "MODALITY/NAME", since one name may stand for several modalities (`hf:`).

    >>> sorted(modules("corpora"))
    ['iemocap', 'meld', 'mosei', 'table']
    >>> [name for name, module in modules("extractors").items() if module.DEFAULT]
    ['audio/mfcc', 'video/strip', 'text/tfidf']
    """
    package = importlib.import_module(f"emoprep.{folder}")
    found = [importlib.import_module(f"emoprep.{folder}.{entry.name}")
             for entry in pkgutil.iter_modules(package.__path__)]
    if folder == "extractors":
        return {f"{module.MODALITY}/{module.NAME}": module for module in found}
    return {module.NAME: module for module in found}


def find(folder: str, name: str, option: str) -> ModuleType:
    """Return the module called `name`, or raise with what there is."""
    known = modules(folder)
    if name not in known:
        raise UsageError("not known", where=option, expected=" or ".join(sorted(known)), got=name)
    return known[name]


def find_strategy(text: str, given: Mapping[str, Any] = {}, option: str = "--strategy") -> StrategyModule:
    """Return the strategy that `--strategy` or `--then` names, as its argument and the options given make it.

    >>> find_strategy("smote").NAME
    'smote'
    """
    name, colon, argument = text.partition(":")
    module = find("strategies", name + colon, option)
    if colon and not argument:
        raise UsageError("this strategy takes an argument", where=option, expected=f"{name}:NAME", got=text)
    return module.chosen(argument, given) if hasattr(module, "chosen") else module


def settle(options: Mapping[str, Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each option: what was given, else its default.

    >>> settle({"k_neighbors": Setting(5, "neighbours", "K"), "even": Setting(False, "each alike")}, {"even": True})
    {'k_neighbors': 5, 'even': True}
    """
    return {name: given.get(name, setting.default) for name, setting in options.items()}


def find_extractor(modality: str, text: str) -> tuple[ModuleType, str | None]:
    """Return the extractor that `--audio`, `--video` or `--text` names, and its argument.

    >>> module, argument = find_extractor("text", "hf:models/minilm")
    >>> module.MODALITY, module.NAME, argument
    ('text', 'hf:', 'models/minilm')
    >>> find_extractor("audio", "mfcc")[1] is None
    True
    """
    name, colon, argument = text.partition(":")
    extractors = modules("extractors").values()
    known = {module.NAME: module for module in extractors if modality == module.MODALITY}
    module = known.get(name + colon)
    if module is None or (colon and not argument):
        listed = sorted(name + "…" if name.endswith(":") else name for name in known)
        raise UsageError("no such extractor", where=f"--{modality}", expected=" or ".join(listed) or "none",
                         got=repr(text))
    return module, argument or None


def check_pool(extractor: str, pools: tuple[str, ...], pool: str) -> str:
    """Return `pool` if the extractor knows it, else raise.

    >>> check_pool("mfcc", ("mean", "none"), "none")
    'none'
    """
    if pool not in pools:
        raise UsageError(f"{extractor} cannot pool like this", where="--pool", expected=" or ".join(pools),
                         got=repr(pool))
    return pool
