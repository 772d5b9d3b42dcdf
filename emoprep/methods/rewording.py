"""Texts augmented: punctuation put in (AEDA), or words replaced by synonyms of the user's own list.

What carries the emotion is never touched: negations, intensifiers, words that name an emotion, names; and neither are
marks: "!" and "?!" are evidence, so only commas and semicolons are put in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emoprep.errors import UsageError

__all__ = ["PROTECTED", "Synonyms", "punctuated", "read_synonyms", "reworded"]

MARKS = (",", ";")

ALPHA = 0.1
"""The share of words that are replaced (Wei & Zou 2019, section 2), at least one."""

LOOK_BACK = 40
"""How many characters before a word tell whether a sentence begins with it: a mark, quotes, brackets and spaces."""

LARGEST_LIST = 2 ** 24
"""Bytes of a list of synonyms; a thesaurus of the whole language has less."""

_PROTECTED = """
    no not nor never none nobody nothing neither nowhere cannot without hardly barely scarcely n't
    very really so too quite rather extremely absolutely totally completely utterly highly deeply truly terribly
    awfully incredibly pretty just even more most less least
    happy happiness joy joyful glad delighted pleased cheerful excited exciting amazing wonderful
    great love loved loving
    sad sadness unhappy miserable depressed lonely hurt grief cry crying cried sorry heartbroken upset disappointed
    angry anger mad furious rage annoyed irritated hate hated hateful outraged frustrated frustrating jealous
    afraid fear feared scared scary frightened terrified terrifying nervous worried worry anxious panic
    disgust disgusted disgusting gross sick awful horrible terrible nasty
    surprise surprised surprising shocked shocking astonished stunned unbelievable wow oh god
    bad good fine calm bored proud ashamed guilty embarrassed
"""
PROTECTED = frozenset(_PROTECTED.split())
"""Words that are never replaced, in small letters."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def punctuated(text: str, rng: np.random.Generator) -> str:
    """Return the text with 1 to L/3 commas and semicolons after words that no mark follows (AEDA, Karimi et al. 2021).

    L is the number of words. A text of one word stays as it is.

    >>> punctuated("I told you that he would come.", np.random.default_rng(1))
    'I told you that; he would come.'
    """
    words = text.split(" ")
    free = [number for number, word in enumerate(words[:-1]) if word and word[-1].isalnum()]
    if not free:
        return text
    count = min(int(rng.integers(1, max(1, len(words) // 3) + 1)), len(free))
    for number in rng.choice(len(free), count, replace=False).tolist():
        words[free[number]] += MARKS[int(rng.integers(len(MARKS)))]
    return " ".join(words)


def reworded(text: str, synonyms: Mapping[str, tuple[str, ...]], rng: np.random.Generator) -> str:
    """Return the text with a tenth of its words, at least one, replaced by synonyms (EDA's SR, Wei & Zou 2019).

    A capital within a sentence is a name, and stays. A text without any word of the list stays as it is.

    >>> reworded("Coffee with Will is a drink.", {"coffee": ("espresso",), "will": ("wish",)}, np.random.default_rng(0))
    'Espresso with Will is a drink.'
    """
    words = list(_WORD.finditer(text))
    able = [word for word in words if word[0].lower() in synonyms
            and not _is_protected(word[0], text[max(0, word.start() - LOOK_BACK):word.start()])]
    count = min(max(1, int(ALPHA * len(words) + 0.5)), len(able))
    chosen = sorted(rng.choice(len(able), count, replace=False).tolist(), reverse=True) if able else []
    pieces, end = [], len(text)  # from the last to the first
    for number in chosen:
        word, choices = able[number], synonyms[able[number][0].lower()]
        other = choices[int(rng.integers(len(choices)))]
        other = other[0].upper() + other[1:] if word[0][0].isupper() else other
        pieces += [text[word.end():end], other]
        end = word.start()
    return "".join([*pieces, text[:end]][::-1])


def _is_protected(word: str, before: str) -> bool:
    """Tell whether a word carries the emotion, or is a name: it has a capital, and no sentence begins with it.

    >>> _is_protected("can't", ""), _is_protected("Will", "I saw "), _is_protected("Will", "Really? ")
    (True, True, False)
    """
    inside = bool(before.strip(" \"'“‘(")) and not re.search(r"[.!?…][\"'”’) ]*$", before)
    small = word.lower().replace("’", "'")
    return small in PROTECTED or small.endswith("n't") or (word[0].isupper() and inside)


class Synonyms(NamedTuple):
    """A list of synonyms: by word, how many words are left out since they are protected, and the sha256 of the file."""

    by_word: dict[str, tuple[str, ...]]
    left_out: int
    sha256: str


def read_synonyms(path: str) -> Synonyms:
    """Read lines of `word: one, another`.

    Empty lines and those that begin with # say nothing. Raises UsageError for a file that cannot be read as that.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST_LIST + 1)  # a device may never end
        if len(raw) > LARGEST_LIST:
            raise ValueError(f"more than {LARGEST_LIST} bytes")
        lines = raw.decode("utf-8-sig").split("\n")  # editors may begin a file with a byte order mark
    except (OSError, ValueError) as error:
        raise UsageError("the synonyms cannot be read", where=path, got=getattr(error, "strerror", None) or str(error),
                         remedy="name a UTF-8 text file with lines such as `coffee: espresso, latte`") from error
    found: dict[str, tuple[str, ...]] = {}
    left_out = 0
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, colon, others = (part.strip() for part in line.partition(":"))
        choices = tuple(dict.fromkeys(other.strip() for other in others.split(",") if other.strip()))
        if not colon or not _WORD.fullmatch(word) or not choices or word.lower() in found:
            raise UsageError("this is no line of synonyms", where=f"{path}:{number}",
                             expected="`word: one, another`, each word once", got=repr(line[:80]))
        if _is_protected(word.lower(), ""):
            left_out += 1
        else:
            found[word.lower()] = choices
    if not found:
        raise UsageError("there is no synonym to use", where=path, expected="lines such as `coffee: espresso, latte`",
                         got=f"{left_out} words, all of which carry emotion" if left_out else "no line")
    return Synonyms(found, left_out, hashlib.sha256(raw).hexdigest())
