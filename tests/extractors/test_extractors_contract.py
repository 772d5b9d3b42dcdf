"""What every extractor must have and do; a new one is held to it by lying in its folder."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from emoprep.contracts import find_extractor, modules
from emoprep.errors import UsageError
from emoprep.utterance import Sample

EXTRACTORS = modules("extractors")
OWN = {name: module for name, module in EXTRACTORS.items() if not name.endswith(":")}
POOLED = [(name, pool) for name, module in OWN.items() for pool in module.POOLS]

HEAVY = ("sklearn", "scipy", "torch", "transformers", "onnxruntime", "imblearn", "cv2", "pandas", "PIL")


def samples(count=12):
    """Twelve utterances of different lengths that have all modalities."""
    generator = np.random.default_rng(0)
    words = ["no", "way", "I", "can", "not", "believe", "you", "said", "that", "to", "her", "God", "!", "?"]
    return [
        Sample(key=f"meld_train_dia0_utt{number}", text=" ".join(generator.choice(words, 6)),
               frames=generator.integers(0, 256, (3 + number, 32, 32, 3), dtype=np.uint8), fps=10.0,
               samples=generator.uniform(-0.5, 0.5, (3 + number) * 1600).astype(np.float32),
               sample_rate=16000)
        for number in range(count)]


@pytest.mark.parametrize("name", EXTRACTORS)
def test_a_module_defines_what_the_contract_names(name):
    module = EXTRACTORS[name]
    assert name == f"{module.MODALITY}/{module.NAME}"
    assert module.MODALITY in ("audio", "video", "text")
    assert isinstance(module.HELP, str) and 10 < len(module.HELP) < 110 and "\n" not in module.HELP
    assert isinstance(module.DEFAULT, bool)
    assert module.DIM is None or (isinstance(module.DIM, int) and module.DIM > 0)
    assert isinstance(module.POOLS, tuple) and module.POOLS and set(module.POOLS) <= {"mean", "cls", "none"}
    for function in ("prepare", "clock", "describe", "fit"):
        assert getattr(module, function).__doc__, function
    assert set(module.__all__) <= set(vars(module))


def test_each_modality_has_one_default_which_needs_no_argument():
    defaults = sorted(name for name, module in EXTRACTORS.items() if module.DEFAULT)
    assert defaults == ["audio/mfcc", "text/tfidf", "video/strip"]


def test_importing_all_of_them_loads_nothing_heavy():
    program = ("import sys; from emoprep.contracts import modules; modules('extractors'); "
               f"print([name for name in {HEAVY!r} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "pool"), POOLED)
def test_describe_fit_and_transform_keep_the_asked_width(name, pool):
    module, utterances = OWN[name], samples()
    prepared = module.prepare(None, pool)
    json.dumps(prepared)
    described = [module.describe(sample, prepared) for sample in utterances]
    for dim in (None, 5):
        fitted = module.fit(lambda: iter(described), dim, 0)
        assert fitted.dim == (dim or module.DIM)
        assert all(isinstance(note, str) for note in fitted.notes)
        for sample, descriptor in zip(utterances, described, strict=True):
            value = fitted.transform(descriptor)
            steps = (len(sample.frames),) if pool == "none" else ()
            assert value.shape == (*steps, fitted.dim)
            assert value.dtype == np.float32 and np.isfinite(value).all()
    clock = module.clock(prepared, 10.0)
    assert clock == ("fps:10" if pool == "none" else "utterance")


@pytest.mark.parametrize(("name", "pool"), POOLED)
def test_the_same_input_gives_the_same_bytes_here_and_in_a_worker(name, pool):
    module, utterances = OWN[name], samples()
    prepared = module.prepare(None, pool)

    def run(utterances):
        described = [module.describe(sample, prepared) for sample in utterances]
        fitted = module.fit(lambda: iter(described), 6, 3)
        sent = pickle.loads(pickle.dumps(fitted))
        # Backwards, so that a result hanging on what went before would differ.
        return [sent.transform(descriptor).tobytes() for descriptor in reversed(described)]

    assert run(utterances) == run(pickle.loads(pickle.dumps(utterances)))


@pytest.mark.parametrize(("name", "pool"), POOLED)
def test_what_is_fitted_hangs_on_train_alone(name, pool):
    module, utterances = OWN[name], samples()
    train, dev = utterances[:8], utterances[8:]
    prepared = module.prepare(None, pool)
    described = [module.describe(sample, prepared) for sample in train]
    before = module.fit(lambda: iter(described), 4, 0)
    expected = [before.transform(descriptor).tobytes() for descriptor in described]
    for sample in dev:
        other = replace(sample, text="zebra " * 9, frames=255 - sample.frames, samples=-0.1 * sample.samples)
        before.transform(module.describe(other, prepared))
    after = module.fit(lambda: iter(described), 4, 0)
    for fitted in (before, after):
        assert [fitted.transform(descriptor).tobytes() for descriptor in described] == expected


@pytest.mark.parametrize(("name", "pool"), POOLED)
def test_a_missing_modality_is_none(name, pool):
    bare = Sample("meld_train_dia0_utt0", None, None, 10.0, None, 16000)
    assert OWN[name].describe(bare, OWN[name].prepare(None, pool)) is None


@pytest.mark.parametrize("name", OWN)
def test_an_unknown_pool_is_refused_with_those_known(name):
    with pytest.raises(UsageError) as caught:
        OWN[name].prepare(None, "median")
    known = " or ".join(OWN[name].POOLS)
    assert str(caught.value) == (f"--pool: {OWN[name].NAME} cannot pool like this: expected {known}, "
                                 "got 'median'")


@pytest.mark.parametrize(("modality", "text", "known"), [
    ("audio", "", "hf:… or mfcc or opensmile:…"), ("audio", "mfc", "hf:… or mfcc or opensmile:…"),
    ("audio", "tfidf", "hf:… or mfcc or opensmile:…"),
    ("audio", "mfcc:3", "hf:… or mfcc or opensmile:…"), ("text", "hf", "hf:… or tfidf"),
    ("text", "hf:", "hf:… or tfidf"), ("video", "hf:DIR", "onnx:… or strip")])
def test_an_unknown_extractor_is_refused_with_those_known(modality, text, known):
    with pytest.raises(UsageError) as caught:
        find_extractor(modality, text)
    assert str(caught.value) == f"--{modality}: no such extractor: expected {known}, got {text!r}"


def test_an_extractor_is_found_by_modality_and_name():
    assert find_extractor("audio", "mfcc") == (EXTRACTORS["audio/mfcc"], None)
    assert find_extractor("audio", "hf:a/b") == (EXTRACTORS["audio/hf:"], "a/b")
    assert find_extractor("text", "hf:C:\\b") == (EXTRACTORS["text/hf:"], "C:\\b")
    assert find_extractor("video", "onnx:x.onnx") == (EXTRACTORS["video/onnx:"], "x.onnx")
