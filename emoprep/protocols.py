"""Which split each utterance belongs to, where the corpus has no official one: a protocol is data, chosen late.

A corpus module's PROTOCOLS assign whole dialogues to splits, so that a store is cut once and split as often as
one likes (five-fold work never decodes twice).
"""

from __future__ import annotations

from collections.abc import Sequence

from emoprep.contracts import Assign, modules
from emoprep.errors import UsageError
from emoprep.utterance import SPLITS

__all__ = ["assign_splits", "find_protocol", "protocol_names", "protocol_notes"]

AS_IT_IS = "none"


def protocol_names(corpus: str) -> tuple[str, ...]:
    """Return the protocols of a corpus, the default first.

    >>> protocol_names("meld")
    ()
    """
    module = modules("corpora").get(corpus)
    return tuple(module.PROTOCOLS) if module is not None else ()


def find_protocol(corpus: str, protocol: str) -> tuple[Assign, str | None]:
    """Return the function of the protocol that `--protocol` names, and its argument ("loso:3" has "3")."""
    name, colon, argument = protocol.partition(":")
    known = {known.partition(":")[0]: known for known in protocol_names(corpus)}
    full = known.get(name)
    if full is None or (":" in full) != bool(argument) or (colon and not argument):
        raise UsageError("no such protocol", where="--protocol", got=protocol,
                         expected=" or ".join((*known.values(), AS_IT_IS)) if known
                         else f"none: {corpus} has no protocols")
    return modules("corpora")[corpus].PROTOCOLS[full], argument or None


def assign_splits(splits: Sequence[str | None], dialogues: Sequence[str], *, corpus: str, protocol: str | None = None,
                  all_is_train: bool = False) -> tuple[list[str | None], str | None]:
    """Return the split of each row, and the name of the protocol that gave it (None: the rows had it).

    Rows that have a split keep it, and so does everything under `--protocol none`. Rows without any get that of
    the protocol, unasked of the corpus's default; where there is none they stay as they are, unless
    `all_is_train`. Raises UsageError where a protocol is asked for and the rows have splits.

    >>> assign_splits(["train", "test"], ["d1", "d2"], corpus="meld")
    (['train', 'test'], None)
    >>> assign_splits([None, None], ["d1", "d2"], corpus="table", all_is_train=True)
    (['train', 'train'], 'all-is-train')
    """
    splits = list(splits)
    if any(split is not None for split in splits):
        for option, asked in (("--protocol", protocol), ("--all-is-train", all_is_train or None)):
            if asked is not None:
                raise UsageError("IN has splits already", where=option,
                                 got=", ".join(sorted({split for split in splits if split is not None})),
                                 remedy=f"leave {option} out")
        return splits, None
    if all_is_train:
        if protocol is not None:
            raise UsageError("--protocol and --all-is-train exclude each other", where="--all-is-train")
        return ["train"] * len(splits), "all-is-train"
    if protocol == AS_IT_IS:
        return splits, None
    names = protocol_names(corpus)
    if protocol is None and not names:
        return splits, None
    chosen = names[0] if protocol is None else protocol
    assign, argument = find_protocol(corpus, chosen)
    of_dialogue = assign(argument, list(dict.fromkeys(dialogues)))
    return [of_dialogue.get(dialogue) for dialogue in dialogues], chosen


def protocol_notes(corpus: str, protocol: str | None, splits: Sequence[str | None]) -> list[str]:
    """Tell which protocol split the rows, and which split it left empty because its part of the corpus is not there.

    >>> protocol_notes("iemocap", "loso:3", ["train", "dev"])
    ['iemocap has no official split: --protocol loso:3', '--protocol loso:3: no row is test']
    """
    if protocol is None:
        return []
    if protocol == "all-is-train":
        return [f"{corpus}: all rows are train"]
    empty = [split for split in SPLITS if split not in splits]
    return [f"{corpus} has no official split: --protocol {protocol}",
            *(f"--protocol {protocol}: no row is {split}" for split in empty)]
