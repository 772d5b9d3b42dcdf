"""The samplers of the installed imbalanced-learn, found by their base class, and their parameters read from texts."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from emoprep.errors import UsageError
from emoprep.methods.recorder import recording

__all__ = ["KINDS", "built_sampler", "find_sampler", "first_sentence", "read_parameters", "samplers"]

KINDS = {"over-sampling": "over", "under-sampling": "under", "clean-sampling": "own"}
"""imbalanced-learn's `_sampling_type` and how such a sampler's target is read: cleaning follows a rule of its own."""

_OURS = {"random_state": "use --seed", "sampling_strategy": "use --target, or --clean where the sampler cleans",
         "n_jobs": "leave it out: what comes out must not depend on the cores"}
_CATEGORIES = ("SMOTEN", "SMOTENC")
# No parameter that means anything is longer, and Python's parser need not see it.
_LONGEST = 200


def samplers() -> dict[str, type]:
    """Return the samplers by their class names.

    >>> {"SVMSMOTE", "NearMiss", "SMOTEENN"} <= set(samplers())
    True
    """
    from imblearn import combine, over_sampling, under_sampling
    from imblearn.base import BaseSampler

    found = {name: kind for package in (over_sampling, under_sampling, combine) for name, kind in vars(package).items()
             if inspect.isclass(kind) and issubclass(kind, BaseSampler) and not inspect.isabstract(kind)
             and getattr(kind, "_sampling_type", None) in KINDS}
    return dict(sorted(found.items()))


def find_sampler(name: str, where: str) -> type:
    """Return the sampler called `name`; raise UsageError where there is none, or where it is for categories."""
    known = samplers()
    if name in _CATEGORIES:
        raise UsageError(f"{name} votes on categories, and features are numbers", where=where,
                         remedy="use imblearn:SMOTE, or --strategy smote")
    if name not in known:
        raise UsageError("imbalanced-learn has no such sampler", where=where,
                         expected=", ".join(other for other in known if other not in _CATEGORIES), got=repr(name))
    return known[name]


def read_parameters(texts: Sequence[str], kind: type, where: str) -> dict[str, Any]:
    """Return the parameters that texts as "out_step=0.5" give to a sampler, checked by the sampler itself.

    >>> from imblearn.over_sampling import SVMSMOTE
    >>> read_parameters(["out_step=0.25", "k_neighbors=3"], SVMSMOTE, "imblearn:SVMSMOTE")
    {'out_step': 0.25, 'k_neighbors': 3}
    """
    plain = built_sampler(kind, {}, "auto", 0)
    known = sorted(name for name in plain.get_params() if name.rpartition("__")[2] not in _OURS)
    read: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if remedy := _OURS.get(name.rpartition("__")[2]):
            raise UsageError("emoprep sets this parameter", where=f"--param {name}", remedy=remedy)
        if name not in known or not equals or name in read:
            what = "this parameter is given twice" if name in read else f"{kind.__name__} has no such parameter"
            raise UsageError(what, where=f"--param {text}", got=name, remedy="see its page in imbalanced-learn's guide",
                             expected=", ".join(f"{other}=…" for other in known) or f"none: {where} takes none")
        read[name] = _literal(value)
    try:
        # scikit-learn's own check: a parameter out of its range is refused before any feature is taken.
        plain.set_params(**read)._validate_params()
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError("this parameter is not possible", where=f"--param {' --param '.join(texts)}",
                         got=" ".join(str(error).split())[:300], remedy="mend it, or leave it out") from error
    return read


def built_sampler(kind: type, parameters: Mapping[str, Any], strategy: Any, seed: int) -> Any:
    """Return a sampler that tells its parents (see `methods.recorder`).

    `strategy` is imbalanced-learn's `sampling_strategy`: final counts of classes, or the classes to clean.
    """
    names = inspect.signature(kind.__init__).parameters
    settings = {name: value for name, value in (("sampling_strategy", strategy), ("random_state", seed))
                if name in names}
    if "smote" in names:
        from imblearn.over_sampling import SMOTE

        # SMOTEENN and SMOTETomek make just this one, unless they are given one.
        settings["smote"] = recording(SMOTE)(sampling_strategy=strategy, random_state=seed)
    return recording(kind)(**settings).set_params(**parameters)


def first_sentence(error: Exception) -> str:
    """Return the first sentence of a message of the library, on one line and without its own numbers of classes.

    >>> first_sentence(RuntimeError("No clusters found with\\nsufficient samples of class 3. Try lowering it."))
    'No clusters found with sufficient samples'
    """
    return re.sub(r" of class \d+", "", " ".join(str(error).split())[:300].partition(". ")[0].rstrip("."))


def _literal(text: str) -> Any:
    """Return a JSON or Python literal, and what is neither as the text it is.

    >>> [_literal(text) for text in ("0.5", "null", "None", "True", "borderline-2")]
    [0.5, None, None, True, 'borderline-2']
    """
    if len(text) > _LONGEST:
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return text
