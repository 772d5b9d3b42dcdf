"""A tiny wav2vec 2.0 with random weights, saved as any other model would be, and folders that are none."""

import json

import numpy as np
import pytest

from emoprep.contracts import find_extractor
from emoprep.errors import MissingInput, UsageError
from emoprep.extractors import hf_audio
from emoprep.utterance import Sample

# Kernels and strides of the real model, so that its steps are the real ones: 50 a second, 400 samples each.
KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def sample(sound, sample_rate=16000):
    return Sample("meld_train_dia0_utt0", "", None, 10.0, sound, sample_rate)


def noise(samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="needs the extra emoprep[text], which the tests do without")
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny-wav2vec2"
    Wav2Vec2Model(Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
        conv_kernel=KERNELS, conv_stride=STRIDES, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2)).save_pretrained(path)
    Wav2Vec2FeatureExtractor(sampling_rate=16000, do_normalize=True).save_pretrained(path)
    return path


def test_steps_are_fifty_a_second_and_mean_is_their_mean(folder):
    module, argument = find_extractor("audio", f"hf:{folder}")
    assert module is hf_audio
    prepared = module.prepare(argument, "none")
    rows = module.describe(sample(noise(48000)), prepared)
    assert rows.shape == (149, 16) and rows.dtype == np.float32
    assert module.clock(prepared, 10.0) == "rate:50"
    pooled = module.prepare(argument, "mean")
    np.testing.assert_allclose(module.describe(sample(noise(48000)), pooled), rows.mean(axis=0), atol=1e-6)
    assert module.clock(pooled, 10.0) == "utterance"


def test_it_is_the_models_own_output(folder):
    import torch
    from transformers import AutoFeatureExtractor, AutoModel

    sound = noise(8000)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(sound, sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder).eval()(values).last_hidden_state[0].numpy()
    found = hf_audio.describe(sample(sound), hf_audio.prepare(str(folder), "none"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 320, 399, 400, 719, 720])
@pytest.mark.parametrize("gain", [0, 1])
def test_short_sound_and_silence_give_at_least_one_finite_step(folder, samples, gain):
    rows = hf_audio.describe(sample(gain * noise(samples)), hf_audio.prepare(str(folder), "none"))
    assert len(rows) == (2 if samples == 720 else 1) and np.isfinite(rows).all()


@pytest.mark.parametrize("sample_rate", [8000, 44100])
def test_another_rate_is_resampled_to_the_models(folder, sample_rate):
    rows = hf_audio.describe(sample(noise(sample_rate), sample_rate), hf_audio.prepare(str(folder), "none"))
    assert len(rows) == 49


def test_the_same_sound_gives_the_same_bytes_and_no_sound_none(folder):
    prepared = hf_audio.prepare(str(folder), "mean")
    first, _, again = (hf_audio.describe(sample(noise(5000, seed)), prepared) for seed in (1, 2, 1))
    assert first.tobytes() == again.tobytes()
    assert hf_audio.describe(sample(None), prepared) is None


def test_the_manifest_gets_name_digests_and_rates_but_no_path(folder):
    prepared = hf_audio.prepare(str(folder), "mean")
    assert prepared.pop("argument") == str(folder)
    assert prepared.pop("sha256").keys() == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert prepared == {"pool": "mean", "model": "tiny-wav2vec2", "sample_rate": 16000, "step": 320,
                        "shortest": 400}


# ----------------------------------------------------------------------------------- without any model

@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A folder with config and weights but nothing else; transformers and torch are believed to be there."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    (tmp_path / "config.json").write_text(json.dumps({"conv_kernel": KERNELS, "conv_stride": STRIDES}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


def test_missing_packages_are_named_with_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(MissingInput, match=r'got no torch; pip install "emoprep\[text\]"'):
        hf_audio.prepare(str(tmp_path), "mean")


@pytest.mark.parametrize("config", [{"model_type": "bert"}, {"model_type": "bert", "conv_stride": [2]},
                                    {"model_type": "bert", "conv_kernel": [2], "conv_stride": [2],
                                     "add_adapter": True}])
def test_a_model_without_steps_in_time_is_refused(bare, config):
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"no speech encoder .* expected wav2vec 2\.0, HuBERT .* got bert"):
        hf_audio.prepare(str(bare), "mean")


def test_the_rate_it_was_trained_on_is_needed(bare):
    with pytest.raises(MissingInput, match=r"no preprocessor_config\.json: .* with the sampling_rate"):
        hf_audio.prepare(str(bare), "mean")
    (bare / "preprocessor_config.json").write_text('{"sampling_rate": "16k"}')
    with pytest.raises(UsageError, match=r"no usable sampling_rate: expected a rate in Hz, .* got '16k'"):
        hf_audio.prepare(str(bare), "mean")


def test_a_prepared_folder_names_its_clock(bare):
    (bare / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    assert hf_audio.clock(hf_audio.prepare(str(bare), "none"), 10.0) == "rate:50"
