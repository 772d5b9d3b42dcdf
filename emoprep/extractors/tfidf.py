"""Words and pairs of words, weighted by rarity, in a latent space: Deerwester et al. (1990).

A text is its own descriptor (its UTF-8 bytes), so that workers hand over arrays for every modality and all
that is learnt (vocabulary, rarity, directions) is learnt in `fit`, from train alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from emoprep.contracts import check_pool
from emoprep.methods.projection import one_blas_thread

if TYPE_CHECKING:
    from emoprep.contracts import Fitted
    from emoprep.utterance import Sample

__all__ = ["NAME", "Latent", "clock", "describe", "fit", "prepare", "terms"]

NAME = "tfidf"
MODALITY = "text"
HELP = "TF-IDF of words and word pairs, reduced by SVD (learnt from train, nothing to download)"
DEFAULT = True
DIM = 100
POOLS = ("mean",)

# Unlike scikit-learn's default this keeps words of one letter, "I" above all, and the marks that shout or
# ask: both tell of emotion. A straight or curly apostrophe stays inside its word.
WORD = re.compile(r"\w+(?:['’]\w+)*|[!?]")

NEGLIGIBLE = 1e-6
"""Directions below this share of the largest singular value tell of rounding, not of data."""


# ------------------------------------------------------------------------------------------ interface

def prepare(argument: str | None, pool: str) -> dict[str, Any]:
    """Return the settings: the only way to pool."""
    return {"pool": check_pool(NAME, POOLS, pool)}


def clock(settings: dict[str, Any], fps: float) -> str:
    """Return "utterance": a text is one vector."""
    return "utterance"


def describe(sample: Sample, settings: dict[str, Any]) -> np.ndarray | None:
    """Return the text's UTF-8 bytes, uint8 [n], n = 0 for an empty text; None without text."""
    if sample.text is None:
        return None
    return np.frombuffer(sample.text.encode("utf-8", "replace"), np.uint8)


def fit(descriptors: Callable[[], Iterable[np.ndarray]], dim: int | None, seed: int) -> Fitted:
    """Learn vocabulary, rarity and the latent directions from the train texts; `seed` starts the SVD.

    Dimensions beyond what the texts can tell are 0, and a note says so.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    dim = dim or DIM
    texts = [_text(descriptor) for descriptor in descriptors()]
    # The vectorizer raises where no text has any word; such a train split is poor, not wrong.
    if not any(WORD.search(text) for text in texts):
        return Latent(dim, _notes(dim, 0, len(texts)), {}, np.zeros(0), np.zeros((0, 0)))
    vectorizer = TfidfVectorizer(analyzer=terms, sublinear_tf=True)
    weights = vectorizer.fit_transform(texts)
    # A fresh look at the loaded libraries: scipy brings a BLAS of its own, and splits sums over threads.
    with threadpool_limits(1, user_api="blas"):
        # What TruncatedSVD does with its defaults; but that refuses a vocabulary of one word.
        _, values, directions = randomized_svd(weights, min(dim, *weights.shape), n_iter=5, random_state=seed)
    directions = directions[values > NEGLIGIBLE * values[0]]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions *= np.sign(largest)
    vocabulary = {term: int(column) for term, column in vectorizer.vocabulary_.items()}
    return Latent(dim, _notes(dim, len(directions), len(texts)), vocabulary, vectorizer.idf_,
                  np.ascontiguousarray(directions.T))


# --------------------------------------------------------------------------------------------- fitted

@dataclass(frozen=True, eq=False)
class Latent:
    """What was learnt: `vocabulary` term → row, `rarity` float64 [terms], `directions` float64 [terms, rank].

    `transform` looks words up by itself, since scikit-learn's way costs a hundred times as much a text.
    """

    dim: int
    notes: tuple[str, ...]
    vocabulary: dict[str, int]
    rarity: np.ndarray
    directions: np.ndarray

    def transform(self, descriptor: np.ndarray) -> np.ndarray:
        """Return float32 [dim] of a text's bytes; zeros where no word of it is known."""
        vector = np.zeros(self.dim, np.float32)
        counts = Counter(self.vocabulary[term] for term in terms(_text(descriptor))
                         if term in self.vocabulary)
        if counts:
            rows = np.fromiter(counts, np.intp)
            weights = (1 + np.log(np.fromiter(counts.values(), np.float64))) * self.rarity[rows]
            weights /= np.sqrt(np.square(weights).sum())
            with one_blas_thread():
                vector[:self.directions.shape[1]] = weights @ self.directions[rows]
        return vector


# ---------------------------------------------------------------------------------------------- parts

def terms(text: str) -> list[str]:
    """Return the words and marks of a text in small letters, then each pair of neighbours.

    >>> terms("I'm fine!")
    ["i'm", 'fine', '!', "i'm fine", 'fine !']
    """
    words = WORD.findall(text.lower())
    return words + [f"{word} {following}" for word, following in pairwise(words)]


def _text(descriptor: np.ndarray) -> str:
    return descriptor.tobytes().decode("utf-8")


def _notes(dim: int, told: int, texts: int) -> tuple[str, ...]:
    if told == dim:
        return ()
    return (f"{dim} asked, {told} can be told from {texts} train texts; the rest is 0",)
