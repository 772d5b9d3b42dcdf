"""A tiny BERT with random weights, saved as any other model would be, and folders that are none."""

import json
import socket

import numpy as np
import pytest

from emoprep.contracts import find_extractor
from emoprep.errors import MissingInput, UsageError
from emoprep.extractors import hf_text
from emoprep.utterance import Sample

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "no", "way", "i", "am", "so", "sad", "happy", "!", "?"]


def sample(text):
    return Sample("meld_train_dia0_utt0", text, None, 10.0, None, 16000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch = pytest.importorskip("torch", reason="needs the extra emoprep[text], which the tests do without")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "tiny-bert"
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]",
                            model_max_length=16).save_pretrained(path)
    BertModel(BertConfig(vocab_size=len(WORDS), hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
                         intermediate_size=32, max_position_embeddings=16)).save_pretrained(path)
    return path


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# -------------------------------------------------------------------------------------- with a model

def test_pools_are_views_of_the_same_tokens(folder, no_network):
    module, argument = find_extractor("text", f"hf:{folder}")
    assert module is hf_text
    mean, cls, tokens = (module.describe(sample("so sad !"), module.prepare(argument, pool))
                         for pool in ("mean", "cls", "none"))
    assert tokens.shape == (5, 24) and tokens.dtype == np.float32
    np.testing.assert_allclose(mean, tokens.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(cls, tokens[0], atol=1e-6)
    assert module.clock({"pool": "none"}, 10.0) == "tokens"
    assert module.clock({"pool": "cls"}, 10.0) == "utterance"


def test_it_is_the_models_own_output(folder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)("no way ?", return_tensors="pt")
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].numpy()
    found = hf_text.describe(sample("no way ?"), hf_text.prepare(str(folder), "none"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("text", ["", " ", "怒り", "sad " * 400])
def test_any_text_gives_finite_numbers(folder, text):
    rows = hf_text.describe(sample(text), hf_text.prepare(str(folder), "none"))
    assert 2 <= len(rows) <= 16 and np.isfinite(rows).all()


def test_the_same_text_gives_the_same_bytes_and_no_text_none(folder):
    prepared = hf_text.prepare(str(folder), "mean")
    first, _, again = (hf_text.describe(sample(text), prepared) for text in ("so sad", "!", "so sad"))
    assert first.tobytes() == again.tobytes()
    assert hf_text.describe(sample(None), prepared) is None


def test_its_own_dimension_is_kept_unless_one_is_asked_for(folder):
    prepared = hf_text.prepare(str(folder), "mean")
    rows = [hf_text.describe(sample(text), prepared) for text in WORDS]
    assert hf_text.fit(lambda: iter(rows), None, 0).dim == 24
    assert hf_text.fit(lambda: iter(rows), 6, 0).transform(rows[0]).shape == (6,)


def test_the_manifest_gets_name_and_digests_but_no_path(folder):
    prepared = hf_text.prepare(str(folder), "mean")
    assert prepared.pop("argument") == str(folder)
    assert prepared["model"] == "tiny-bert" and prepared["pool"] == "mean"
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(prepared["sha256"])
    assert str(folder.parent) not in json.dumps(prepared)


def test_weights_that_do_not_fit_are_not_filled_in_at_random(folder, tmp_path):
    import safetensors.numpy as safetensors

    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = safetensors.load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "layer.1" not in name}
    safetensors.save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"the weights do not fit the config: expected 16 more weights"):
        hf_text.describe(sample("so"), hf_text.prepare(str(tmp_path), "mean"))


@pytest.mark.parametrize(("name", "content"), [
    ("model.safetensors", b"this is none"), ("tokenizer.json", b"{}"),
    ("config.json", b'{"model_type": "?"}'),
    ("config.json", b'{"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}')])
def test_a_spoilt_folder_is_one_line(folder, tmp_path, name, content, no_network):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(content)
    (tmp_path / "code.py").write_text("raise AssertionError('a model ran its code')")
    prepared = hf_text.prepare(str(tmp_path), "mean")
    with pytest.raises(UsageError, match="cannot read this folder: expected a model saved by") as caught:
        hf_text.describe(sample("so sad"), prepared)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


# ----------------------------------------------------------------------------------- without any model

@pytest.fixture
def packages(monkeypatch):
    """Make the check of a folder believe that transformers and torch are there."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)


def test_missing_packages_are_named_with_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingInput) as caught:
        hf_text.prepare(str(tmp_path), "mean")
    assert str(caught.value) == ("an optional package is missing: got no transformers and no torch; "
                                 'pip install "emoprep[text]"')


def test_a_missing_folder_is_named(packages, tmp_path):
    with pytest.raises(MissingInput, match=r"gone: this is no folder: expected a local folder with"):
        hf_text.prepare(str(tmp_path / "gone"), "mean")


def test_a_folder_without_config_is_no_model(packages, tmp_path):
    with pytest.raises(MissingInput) as caught:
        hf_text.prepare(str(tmp_path), "mean")
    assert str(caught.value) == (f"{tmp_path}: this folder has no config.json: expected a model saved by "
                                 "save_pretrained, with config.json and model.safetensors")


@pytest.mark.parametrize(("content", "what"), [("{", "this is no JSON:"), ("[]", "this is no JSON object:")])
def test_a_config_that_is_no_object_is_named(packages, tmp_path, content, what):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match=rf"config\.json: {what}"):
        hf_text.prepare(str(tmp_path), "mean")


def test_pickled_weights_are_refused(packages, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(MissingInput, match=r"no safetensors weights: expected model\.safetensors, "
                                           r"got pytorch_model\.bin; pickled weights are not opened"):
        hf_text.prepare(str(tmp_path), "mean")


def test_a_tokenizer_and_an_encoder_are_needed(packages, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(MissingInput, match="this folder has no tokenizer"):
        hf_text.prepare(str(tmp_path), "mean")
    (tmp_path / "config.json").write_text('{"is_encoder_decoder": true, "model_type": "t5"}')
    with pytest.raises(UsageError, match=r"this model also writes text: expected an encoder .* got t5"):
        hf_text.prepare(str(tmp_path), "mean")
