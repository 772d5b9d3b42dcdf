"""TF-IDF and SVD against scikit-learn's own pipeline, and texts that say little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emoprep.extractors import tfidf
from emoprep.utterance import Sample


def described(texts):
    return [tfidf.describe(Sample("k", text, None, 10.0, None, 16000), {"pool": "mean"}) for text in texts]


def fitted_on(texts, dim=None, seed=0):
    return tfidf.fit(lambda: iter(described(texts)), dim, seed)


def sentences(count=80, seed=0):
    generator = np.random.default_rng(seed)
    words = ["no", "way", "I", "can’t", "believe", "you", "said", "that", "to", "her!", "Oh", "god?", "this",
             "is", "so", "great", "and", "sad,", "Überraschung", "怒り", "okay", "fine", "never", "again"]
    return [" ".join(generator.choice(words, generator.integers(1, 12))) for _ in range(count)]


def test_a_text_is_its_own_descriptor():
    descriptor, = described(["怒り!"])
    assert descriptor.dtype == np.uint8 and descriptor.tobytes().decode() == "怒り!"
    assert described([""])[0].shape == (0,)


@pytest.mark.parametrize("seed", [0, 7])
def test_it_is_scikit_learns_pipeline_up_to_sign(seed):
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    train, dev = sentences(), [*sentences(20, seed=1), "", "unseen words only", "great great unseen"]
    pipeline = make_pipeline(
        TfidfVectorizer(token_pattern=tfidf.WORD.pattern, ngram_range=(1, 2), sublinear_tf=True),
        TruncatedSVD(12, random_state=seed)).fit(train)
    fitted = fitted_on(train, 12, seed)
    theirs = pipeline.transform(train)
    signs = np.sign((theirs * np.array([fitted.transform(text) for text in described(train)])).sum(axis=0))
    for text, expected in zip(described(dev), pipeline.transform(dev) * signs, strict=True):
        np.testing.assert_allclose(fitted.transform(text), expected, atol=1e-5)
    assert fitted.notes == ()


def test_case_and_unseen_words_do_not_matter():
    fitted = fitted_on(["so sad", "so great", "never again"], 2)
    low, high, more = (fitted.transform(text) for text in described(["so sad", "SO SAD", "zzz so sad"]))
    assert low.tobytes() == high.tobytes() and low.any()
    np.testing.assert_allclose(more, low, atol=1e-6)
    assert not fitted.transform(described(["unseen"])[0]).any()


@pytest.mark.parametrize(("texts", "told"), [
    ([], 0), ([""], 0), (["", "…", "  "], 0), (["hi"], 1), (["hi", "hi", ""], 1), (["hi there", "hi"], 2),
    (["a b", "a b", "a b"], 1)])
def test_texts_that_say_little_leave_zeros_and_a_note(texts, told):
    fitted = fitted_on(texts)
    assert fitted.dim == 100
    assert fitted.notes == (f"100 asked, {told} can be told from {len(texts)} train texts; the rest is 0",)
    for text, descriptor in zip(texts, described(texts), strict=True):
        vector = fitted.transform(descriptor)
        assert vector.shape == (100,) and not vector[told:].any()
        assert bool(vector.any()) == bool(tfidf.WORD.search(text))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8), st.text(max_size=30), st.integers(1, 9))
def test_any_text_gives_finite_numbers(train, other, dim):
    fitted = fitted_on(train, dim)
    for descriptor in described([*train, other]):
        vector = fitted.transform(descriptor)
        assert vector.shape == (dim,) and vector.dtype == np.float32 and np.isfinite(vector).all()
