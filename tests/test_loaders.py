"""Each block of docs/loaders.md is run as it stands on the demo's stores, and what it makes is looked into.

EMOPREP_LOADERS_PYTHON names another interpreter for the blocks, where PyTorch or Keras live in one of their own.
"""

import ast
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

PAGE = Path(__file__).resolve().parent.parent / "docs" / "loaders.md"
PYTHON = os.environ.get("EMOPREP_LOADERS_PYTHON") or sys.executable
IGNORE = -100
ALL_BLOCKS = ["a", "b", "c", "d", "e", "f1", "f2", "g", "h", "i"]


def blocks(language):
    """Return the page's fenced blocks of a language by letter; the second of a letter is `f2`, its first `f1`."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        codes = re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.M | re.S)
        for number, code in enumerate(codes, 1):
            found[section[0] + (str(number) if len(codes) > 1 else "")] = code
    return found


@pytest.fixture(scope="module")
def stores(demo_road, once, emoprep):
    """Return the folder that a reader of the page would stand in."""
    def sequences(folder):
        """Text steps of their own number, as a transformer's tokens: TF–IDF knows no sequences."""
        draw = np.random.default_rng(0)
        words = folder.parent / f"{folder.name}-words.npz"
        keys = pd.read_parquet(demo_road / "shards" / "utterances.parquet")["key"]
        np.savez(words, **{key: draw.normal(size=(draw.integers(2, 9), 6)).astype(np.float32) for key in keys})
        emoprep("features", demo_road / "shards", folder, "--pool", "none", "--dims", "audio=8,video=16",
                "--add", f"text={words}", "-q", check=True)
    made = once("loader-sequences", sequences)

    def lay(folder):
        for name, store in {"shards/meld": demo_road / "shards", "features/meld": demo_road / "features",
                            "features/meld-sequences": made, "balanced/meld-smote": demo_road / "smote",
                            "weights/meld": demo_road / "weights"}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(store)
    return once("loader-stores", lay)


@functools.cache
def lacks(module):
    """Tell whether the interpreter of the blocks lacks a module."""
    return bool(subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False,
                               env={**os.environ, "KERAS_BACKEND": "torch"}).returncode)


def require(*modules):
    for module in modules:
        if lacks(module):
            pytest.skip(f"the block needs {module}, which {PYTHON} has not; EMOPREP_LOADERS_PYTHON names another")


def run_block(name, stores, tmp_path, checks="", **replacements):
    """Run a block in a process and a folder of its own, and `checks` after it; return what the checks hand back.

    The checks see the block's names, and leave JSON in `result`.
    """
    code = blocks("python")[name]
    for old, new in replacements.items():
        code, number = re.subn(rf"^{old} = .*$", f"{old} = {new!r}", code, flags=re.M)
        assert number == 1, old
    for folder in stores.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    script = tmp_path / "block.py"
    script.write_text(code + f"\nresult = None\n{checks}\nimport json as _json\n"
                      "with open('result.json', 'w') as _file:\n    _json.dump(result, _file)\n", encoding="utf-8")
    done = subprocess.run([PYTHON, "-W", "ignore", str(script)], cwd=tmp_path, text=True, encoding="utf-8",
                          capture_output=True, timeout=300, check=False,
                          env={**os.environ, "KERAS_BACKEND": "torch", "HF_HOME": str(tmp_path / "cache"),
                               "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return SimpleNamespace(out=done.stdout, result=json.loads((tmp_path / "result.json").read_text()))


def functions(name):
    """Return a block's functions and settings without running it: what needs neither PyTorch nor Keras."""
    wanted = []
    for node in ast.parse(blocks("python")[name]).body:
        if isinstance(node, ast.Import) and {alias.name for alias in node.names} & {"torch", "keras"}:
            continue
        constant = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and \
            node.targets[0].id.isupper()
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) or constant:
            wanted.append(node)
    names = {}
    exec(compile(ast.Module(wanted, []), f"{PAGE.name}:{name}", "exec"), names)
    return SimpleNamespace(**names)


def index_of(store):
    return pd.read_parquet(store / "utterances.parquet")


def media(shard, key):
    """Return the strip's picture rows, sound and row of a sample, by other means than the page's."""
    with tarfile.open(shard) as tar:
        def member(suffix):
            return tar.extractfile(f"{key}.{suffix}").read()
        row = json.loads(member("json"))
        strip = np.asarray(Image.open(io.BytesIO(member("frames.jpg"))))
        return strip, soundfile.read(io.BytesIO(member("flac")), dtype="float32")[0], row


# ------------------------------------------------------------------------------------------- the page

def test_the_page_has_its_blocks():
    assert list(blocks("python")) == ALL_BLOCKS
    assert list(blocks("sh")) == ["h"]


@pytest.mark.parametrize("name", ALL_BLOCKS)
def test_no_block_needs_emoprep(name):
    code = blocks("python")[name]
    assert "import emoprep" not in code
    assert "emoprep" not in {node.module for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
    # Complete as it stands: nothing to fill in.
    assert "..." not in re.sub(r'""".*?"""|#.*', "", code, flags=re.S | re.M)


# ---------------------------------------------------------------------------- a: pictures and sound

def sample_of(seconds, fps=10.0, rate=16000, size=16, columns=1, mask=1.0):
    """Return a decoded sample whose picture i is of colour i, and whose sound is its own sample numbers."""
    frames, samples = int(seconds * fps + 0.5), int(seconds * rate + 0.5)
    rows = -(-frames // columns)
    pictures = np.zeros((rows * columns, size, size, 3), np.uint8)
    pictures[:frames] = np.arange(frames)[:, None, None, None] % 251
    strip = pictures.reshape(columns, rows * size, size, 3).swapaxes(0, 1).reshape(rows * size, columns * size, 3)
    return {"frames.jpg": strip, "flac": np.arange(samples, dtype=np.float32),
            "json": {"key": "k", "size": size, "frames": frames, "fps": fps, "samples": samples, "sample_rate": rate,
                     "has_video": True, "has_audio": True, "loss_mask": mask, "y_meld_7": 3}}


@pytest.mark.parametrize("fps", [10.0, 25.0, 24000 / 1001])
@pytest.mark.parametrize("columns", [1, 3])
def test_a_picture_and_sound_are_cut_at_the_same_moment(fps, columns):
    block = functions("a")
    long = block.utterance(sample_of(7.3, fps, columns=columns), seconds=4.0)
    keep = int(4 * fps + 0.5)
    assert long["pictures"].shape == (keep, 16, 16, 3)
    assert (long["pictures"][:, 0, 0, 0] == np.arange(keep) % 251).all()
    # The first sample that is gone is the first that picture `keep` would have covered.
    exact = keep * 16000 // 10 if fps == 10 else keep * 640 if fps == 25 else keep * 16000 * 1001 // 24000
    assert len(long["sound"]) == exact
    short = block.utterance(sample_of(2.04, fps, columns=columns), seconds=4.0)
    assert len(short["pictures"]) == int(2.04 * fps + 0.5)
    assert len(short["sound"]) == 32640  # all of it: up to half a picture follows the last
    barely = block.utterance(sample_of(4.04), seconds=4.0)
    assert (len(barely["pictures"]), len(barely["sound"])) == (40, 64000)


def test_a_padding_masks_and_labels():
    block = functions("a")
    batch = block.collate([block.utterance(sample_of(1.0)), block.utterance(sample_of(2.5, mask=0.0)),
                           block.utterance(sample_of(9.0))])
    assert batch["pictures"].shape == (3, 40, 16, 16, 3) and batch["pictures"].dtype == np.uint8
    assert batch["sound"].shape == (3, 64000) and batch["sound"].dtype == np.float32
    assert batch["pictures_length"].tolist() == batch["pictures_mask"].sum(1).tolist() == [10, 25, 40]
    assert batch["sound_length"].tolist() == batch["sound_mask"].sum(1).tolist() == [16000, 40000, 64000]
    for name in ("pictures", "sound"):
        assert not batch[name][~batch[name + "_mask"]].any()
        assert (np.diff(batch[name + "_mask"].astype(int), axis=1) <= 0).all()  # real first, padding after
    assert batch["sound"][1][batch["sound_mask"][1]].tolist() == list(range(40000))
    assert batch["label"].tolist() == [3, IGNORE, 3]


def test_a_weights_are_those_of_the_labels(demo_road, tmp_path):
    block = functions("a")
    facts = json.loads((demo_road / "weights" / "class_weights.json").read_text())
    facts["weights"] = dict(reversed(facts["weights"].items()))  # the order of an object means nothing
    (tmp_path / "weights.json").write_text(json.dumps(facts))
    found = block.class_weights(tmp_path / "weights.json", "y_meld_7")
    assert found == pytest.approx([60 / 7 / count for count in (28, 7, 2, 4, 10, 3, 6)])
    assert found == pytest.approx(np.load(demo_road / "weights" / "class_weights.npy"))
    with pytest.raises(ValueError, match=r"weighs y_meld_7, not y_meld_3"):
        block.class_weights(tmp_path / "weights.json", "y_meld_3")


def test_a_reads_every_sample_by_plain_webdataset(demo_road):
    webdataset = pytest.importorskip("webdataset")
    block = functions("a")
    shard = demo_road / "shards" / "train-000000.tar"
    data = webdataset.WebDataset(str(shard), shardshuffle=False).decode(
        "rgb8", webdataset.handle_extension("flac", block.read_sound)).map(block.utterance)
    index = index_of(demo_road / "shards").set_index("key")
    seen = list(data)
    assert [one["key"] for one in seen] == list(index[index["shard"] == shard.name].index)
    for one in seen:
        row = index.loc[one["key"]]
        assert one["pictures"].shape == (min(row["frames"], 40), 112, 112, 3)
        assert one["sound"].shape == (min(row["samples"], 64000),)
        assert one["label"] == row["y_meld_7"]
    strip, sound, _ = media(shard, seen[0]["key"])
    assert (seen[0]["pictures"] == strip.reshape(-1, 112, 112, 3)).all()
    assert (seen[0]["sound"] == sound).all()


def test_a_runs(stores, tmp_path):
    require("torch", "webdataset", "soundfile")
    done = run_block("a", stores, tmp_path, """
model.eval()
seen, found = [], []
for batch in batches("train", shuffle=False):
    seen += batch["key"]
    found.append({"pictures": list(batch["pictures"].shape), "longest": int(batch["pictures_length"].max()),
                  "masks": bool((batch["pictures_mask"].sum(1) == batch["pictures_length"]).all())})
    last = batch
shuffled = [key for batch in batches("train", shuffle=True) for key in batch["key"]]
with torch.no_grad():
    logits = model(batch)
    # Each utterance alone, without any padding: the same answer.
    alone = torch.cat([model(torch.utils.data.default_convert(collate([{
        "key": batch["key"][i], "label": int(batch["label"][i]), "has": batch["has"][i].numpy(),
        "pictures": batch["pictures"][i, :batch["pictures_length"][i]].numpy(),
        "sound": batch["sound"][i, :batch["sound_length"][i]].numpy()}]))) for i in range(len(logits))])
    masked = batch["label"].clone()
    masked[::2] = IGNORE
    loss = criterion(logits, masked).item()
result = {"seen": seen, "shuffled": shuffled, "found": found, "apart": (logits - alone).abs().max().item(),
          "loss": loss, "logits": logits.double().tolist(), "labels": masked.tolist(), "weights": weights.tolist(),
          "sound": max(batch["sound"].shape[1] for batch in batches("train", shuffle=False)),
          "trained": all(parameter.grad is not None for parameter in model.parameters())}
""", BATCH=4, SECONDS=2.0)
    found = done.result
    assert re.search(r"epoch 0: last loss \d+\.\d+, dev \d+ of 14 right", done.out)
    keys = index_of(stores / "shards" / "meld").query("split == 'train' and shard.notna()")["key"].tolist()
    assert found["seen"] == keys
    assert sorted(found["shuffled"]) == sorted(keys) and found["shuffled"] != keys
    assert [one["pictures"][0] for one in found["found"]] == [4] * 14 + [3]
    assert max(one["longest"] for one in found["found"]) == 20 and found["sound"] == 32000
    assert all(one["pictures"][1] == one["longest"] and one["masks"] for one in found["found"])
    assert len({one["longest"] for one in found["found"]}) > 1  # padded to each batch's own longest
    assert found["apart"] < 1e-5 and found["trained"]
    assert found["weights"] == pytest.approx([60 / 7 / count for count in (28, 7, 2, 4, 10, 3, 6)])
    assert found["loss"] == pytest.approx(weighted_loss(found["logits"], found["labels"], found["weights"]), rel=1e-5)


def weighted_loss(logits, labels, weights):
    """Σ w·(−log p) / Σ w over the rows that count, written out."""
    logits, labels, weights = np.array(logits), np.array(labels), np.array(weights)
    counts = labels != IGNORE
    assert counts.any()
    log_p = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True)) \
        - logits.max(-1, keepdims=True)
    chosen = log_p[counts, labels[counts]]
    return -(weights[labels[counts]] * chosen).sum() / weights[labels[counts]].sum()


# -------------------------------------------------------------------------------- b: whole dialogues

def test_b_a_torn_order_is_mended_and_a_gap_stays_a_gap():
    block = functions("b")

    def sample(shard, dialogue, turn, speaker="Ada", mask=1.0):
        row = {"dialogue": dialogue, "turn": turn, "speaker": speaker, "loss_mask": mask, "y_meld_7": turn}
        return {"__url__": shard, "json": json.dumps(row).encode()}
    stream = [sample("s0", "d0", 1, "Bo"), sample("s0", "d1", 0), sample("s0", "d0", 0),
              sample("s0", "d0", 3, mask=0.0), sample("s1", "d2", 0)]
    dialogues = list(block.whole_dialogues(stream))
    assert [[(one["json"]["dialogue"], one["json"]["turn"]) for one in dialogue] for dialogue in dialogues] == [
        [("d0", 0), ("d0", 1), ("d0", 3)], [("d1", 0)], [("d2", 0)]]
    batch = block.collate(dialogues[:2])
    assert batch["umask"].tolist() == [[True, True, False, True], [True, False, False, False]]
    assert batch["label"].tolist() == [[0, 1, IGNORE, IGNORE], [0, IGNORE, IGNORE, IGNORE]]
    assert batch["speaker"].tolist() == [[0, 1, -1, 0], [0, -1, -1, -1]]
    placed = block.place(np.array([[1.0], [2], [3], [4]]), batch)
    assert placed[..., 0].tolist() == [[1, 2, 0, 3], [4, 0, 0, 0]]


def test_b_runs(stores, tmp_path):
    require("webdataset", "soundfile")
    done = run_block("b", stores, tmp_path, """
epochs, found = [[], []], []
for epoch in epochs:
    for batch in data:
        epoch += batch["dialogue"]
        flat = iter(batch["utterances"])
        features = place(np.stack([encode(sample) for sample in batch["utterances"]]), batch)
        for b, dialogue in enumerate(batch["dialogue"]):
            turns = [[next(flat)["__key__"], int(t), int(batch["label"][b, t]), int(batch["speaker"][b, t]),
                      features[b, t].tolist()] for t in np.flatnonzero(batch["umask"][b])]
            found.append([dialogue, turns])
            assert not features[b][~batch["umask"][b]].any()
result = {"epochs": epochs, "found": found[:len(epochs[0])]}
""")
    index = index_of(stores / "shards" / "meld").query("split == 'train' and shard.notna()")
    whole = dict(iter(index.groupby("dialogue")))
    found = dict(done.result["found"])
    assert sorted(found) == sorted(whole)
    for name, turns in found.items():
        assert [turn[:3] for turn in turns] == whole[name][["key", "turn", "y_meld_7"]].values.tolist()
        assert [turn[3] for turn in turns] == pd.factorize(whole[name]["speaker"])[0].tolist()
    assert [turn[1] for turn in found["meld_train_dia9"]] == [0, 1, 3, 4, 5]  # utterance 2 does not decode
    assert done.result["epochs"][0] != list(dict.fromkeys(index["dialogue"]))
    assert sorted(done.result["epochs"][0]) == sorted(done.result["epochs"][1])
    key, *_, features = found["meld_train_dia0"][0]
    strip, sound, row = media(stores / "shards" / "meld" / "train-000000.tar", key)
    assert features == pytest.approx([*strip[:row["frames"] * 112].mean((0, 1)), np.sqrt((sound ** 2).mean())],
                                     rel=1e-5)


# ------------------------------------------------------------------------- c: dialogues of vectors

def test_c_collate_is_dialogue_rnns_layout():
    block = functions("c")

    def dialogue(turns, speaker, label):
        return {"dialogue": "d", "speaker": np.array(speaker), "label": np.array(label),
                **{name: np.full((turns, size), turns, np.float32) for name, size in
                   (("text", 2), ("video", 3), ("audio", 4))}}
    batch = block.collate([dialogue(3, [0, 1, 0], [5, IGNORE, 2]), dialogue(1, [-1], [6])], parties=2)
    assert {name: batch[name].shape for name in ("text", "video", "audio", "qmask", "umask", "label")} == {
        "text": (3, 2, 2), "video": (3, 2, 3), "audio": (3, 2, 4), "qmask": (3, 2, 2), "umask": (2, 3), "label": (2, 3)}
    assert batch["qmask"].tolist() == [[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[1, 0], [0, 0]]]
    assert batch["umask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["label"].tolist() == [[5, IGNORE, 2], [6, IGNORE, IGNORE]]
    assert (batch["text"][:, 0] == 3).all() and (batch["text"][0, 1] == 1).all() and not batch["text"][1:, 1].any()


def test_c_dialogues_are_whole_scaled_by_train_and_know_what_is_missing(demo_road):
    block = functions("c")
    table = pd.read_parquet(demo_road / "features" / "train.parquet")
    dialogues = block.read_dialogues(demo_road / "features", "train")
    assert [one["dialogue"] for one in dialogues] == list(dict.fromkeys(table["dialogue"]))
    assert np.concatenate([one["label"] for one in dialogues]).tolist() == table["y_meld_7"].tolist()
    for name in ("audio", "video", "text"):
        stacked = np.concatenate([one[name] for one in dialogues])
        there = table[f"has_{name}"].to_numpy()
        assert stacked.shape == (60, len(table[name].iloc[0])) and stacked.dtype == np.float32
        assert not stacked[~there].any()
        informative = stacked[there].std(0) > 0.01
        assert informative.sum() > 10
        assert stacked[there][:, informative].mean(0) == pytest.approx(0, abs=0.05)
        assert stacked[there][:, informative].std(0) == pytest.approx(1, abs=0.1)
    assert table[~table["has_video"]]["key"].tolist() != []  # or the line above would say nothing


def test_c_masked_rows_are_context_and_not_learnt_from(demo_road, tmp_path):
    block = functions("c")
    table = pd.read_parquet(demo_road / "features" / "train.parquet")
    table.loc[1, "loss_mask"], table.loc[2, "y_meld_7"] = 0, IGNORE
    table.sample(frac=1, random_state=0).to_parquet(tmp_path / "train.parquet")  # the order of rows must not matter
    shutil.copy(demo_road / "features" / "scaler.npz", tmp_path)
    first = next(one for one in block.read_dialogues(tmp_path, "train") if one["dialogue"] == table["dialogue"][0])
    whole = table[table["dialogue"] == first["dialogue"]]
    assert first["label"].tolist() == [*whole["y_meld_7"][:1], IGNORE, IGNORE, *whole["y_meld_7"][3:]]
    assert len(first["audio"]) == len(whole)


@pytest.mark.parametrize("folder", ["features/meld", "balanced/meld-smote"])
def test_c_runs(stores, tmp_path, folder):
    require("torch", "pandas", "pyarrow")
    weighed = folder if "balanced" in folder else "weights/meld"
    done = run_block("c", stores, tmp_path, """
batch = next(iter(batches("test")))
with torch.no_grad():
    logits = model(batch)
    result = {"loss": criterion(logits.flatten(0, 1), batch["label"].flatten()).item(), "parties": int(parties),
              "logits": logits.flatten(0, 1).tolist(), "labels": batch["label"].flatten().tolist(),
              "weights": weights.tolist(), "umask": batch["umask"].tolist(), "people": batch["qmask"].sum(-1).tolist(),
              "train": sum(len(one["label"]) for one in splits["train"]), "text": list(batch["text"].shape)}
""", FEATURES=folder, WEIGHTS=f"{weighed}/class_weights.json")
    found = done.result
    assert "epoch 1: last loss" in done.out
    test = index_of(stores / folder).query("split == 'test'")
    lengths = test.groupby("dialogue", sort=False).size()
    assert found["text"] == [lengths.max(), len(lengths), 100]
    assert np.array(found["umask"]).sum(1).tolist() == lengths.tolist()
    assert np.array(found["people"]).T.tolist() == found["umask"]  # one speaker a turn, none in the padding
    assert found["train"] == (196 if "balanced" in folder else 60)
    assert found["weights"] == ([1] * 7 if "balanced" in folder else pytest.approx(
        [60 / 7 / count for count in (28, 7, 2, 4, 10, 3, 6)]))
    assert found["parties"] == index_of(stores / folder).groupby("dialogue")["speaker"].nunique().max()
    assert found["loss"] == pytest.approx(weighted_loss(found["logits"], found["labels"], found["weights"]), rel=1e-4)


# ------------------------------------------------------------------------------- d: three sequences

def test_d_sequences_have_their_own_lengths(stores):
    block = functions("d")
    table = pd.read_parquet(stores / "features" / "meld-sequences" / "train.parquet")
    utterances = block.read_utterances(stores / "features" / "meld-sequences", "train")
    assert [one["key"] for one in utterances] == table["key"].tolist()
    assert [one["label"] for one in utterances] == table["y_meld_7"].tolist()
    scaler = np.load(stores / "features" / "meld-sequences" / "scaler.npz")
    for one, row in zip(utterances, table.itertuples(), strict=True):
        for name, size in (("video", 16), ("audio", 8)):  # one clock: aligned
            assert one[name].shape == (row.frames if getattr(row, f"has_{name}") else 1, size)
            assert getattr(row, f"has_{name}") or not one[name].any()
        expected = (np.stack(row.text) - scaler["text_mean"]) / scaler["text_deviation"]
        assert one["text"] == pytest.approx(expected, rel=1e-5) and one["text"].shape[1] == 6
    assert len({len(one["text"]) for one in utterances}) > 3
    assert not table["has_video"].all()
    batch = block.collate(utterances[:5])
    for name in ("text", "video", "audio"):
        lengths = [len(one[name]) for one in utterances[:5]]
        assert batch[name].shape[:2] == batch[f"{name}_mask"].shape == (5, max(lengths))
        assert batch[f"{name}_mask"].sum(1).tolist() == lengths
        assert not batch[name][~batch[f"{name}_mask"]].any()
        assert (batch[name][3][batch[f"{name}_mask"][3]] == utterances[3][name]).all()


def test_d_vectors_become_one_step_and_long_ones_are_cut(demo_road):
    block = functions("d")
    vectors = block.read_utterances(demo_road / "features", "dev")
    assert {one[name].shape for one in vectors for name in ("audio",)} == {(1, 100)}
    block.read_utterances.__globals__["STEPS"] = {"text": 1, "video": 1, "audio": 1}
    assert all(len(one["video"]) == 1 for one in block.read_utterances(demo_road / "features", "dev"))


@pytest.mark.parametrize("folder", ["features/meld-sequences", "features/meld"])
def test_d_runs(stores, tmp_path, folder):
    require("torch", "pyarrow")
    done = run_block("d", stores, tmp_path, """
model.eval()
utterances = read_utterances(FEATURES, "test")
with torch.no_grad():
    together = model(torch.utils.data.default_convert(collate(utterances)))
    alone = torch.cat([model(torch.utils.data.default_convert(collate([one]))) for one in utterances])
    labels = torch.tensor([one["label"] for one in utterances])
    result = {"apart": (together - alone).abs().max().item(), "loss": criterion(together, labels).item(),
              "logits": together.tolist(), "labels": labels.tolist(), "weights": weights.tolist()}
""", FEATURES=folder)
    found = done.result
    assert re.search(r"epoch 0: last loss \d+\.\d+", done.out)
    assert found["apart"] < 1e-4  # padding changes nothing
    assert found["loss"] == pytest.approx(weighted_loss(found["logits"], found["labels"], found["weights"]), rel=1e-4)
    assert found["weights"] == pytest.approx([60 / 7 / count for count in (28, 7, 2, 4, 10, 3, 6)])


# ---------------------------------------------------------------------------------- e: scikit-learn

def test_e_made_rows_keep_away_from_all_their_parents(demo_road):
    block = functions("e")
    frame = block.read_rows(demo_road / "smote", "train")
    assert len(frame) == 196
    originals = set(frame[frame["base"].isna()].index)
    plan = pd.read_parquet(demo_road / "smote" / "plan.parquet").set_index("key")
    dialogue = frame.set_index("key")["dialogue"]
    validated = []
    for learn, validate in block.grouped_folds(frame, 3):
        held = set(frame.loc[validate, "dialogue"])
        assert set(validate) <= originals and not set(learn) & set(validate)
        validated += list(validate)
        crossing = 0
        for at in learn:
            row = frame.loc[at]
            parents = [name for name in plan.loc[row["key"], ["base", "neighbor"]] if isinstance(name, str)]
            assert not {dialogue[parent] for parent in parents or [row["key"]]} & held
            crossing += len(row["groups"]) > 1
        assert crossing  # rows with parents in two dialogues are there, and none is near
        # Nothing was given up but what has a parent there.
        gone = set(frame.index) - set(learn)
        assert all(held & set(frame.loc[at, "groups"]) for at in gone)
    assert sorted(validated) == sorted(originals)


def test_e_runs(stores, tmp_path):
    require("sklearn", "pandas", "pyarrow")
    done = run_block("e", stores, tmp_path, """
inner = {name: model[-1] for name, model in models.items()}
result = {"scores": scores, "names": names, "weight": {str(at): value for at, value in weight.items()},
          "classes": {name: model.classes_.tolist() for name, model in models.items()},
          "weighted": {name: model.get_params()["class_weight"] is not None for name, model in inner.items()},
          "train": {name: float(model.score(matrix(frame), frame[LABEL])) for name, model in models.items()
                    for frame in [read_rows(FEATURES, "train")]}}
""")
    assert done.result["names"] == ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
    assert done.result["weight"] == pytest.approx(
        {str(at): 60 / 7 / count for at, count in enumerate((28, 7, 2, 4, 10, 3, 6))})
    assert done.result["weighted"] == {"weights": True, "smote": False}  # one correction, not two
    assert done.result["classes"] == {"weights": list(range(7)), "smote": list(range(7))}
    assert all(len(scores) == 3 and 0 <= min(scores) <= max(scores) <= 1 for scores in done.result["scores"].values())
    assert min(done.result["train"].values()) > 0.8
    assert done.out.count("macro avg") == 2 and done.out.count("disgust") == 2


# ----------------------------------------------------------------------------------------- f: Keras

def test_f_weights_of_turns(demo_road, tmp_path):
    block = functions("f2")
    table = pd.read_parquet(demo_road / "features" / "train.parquet")
    table.loc[1, "loss_mask"], table.loc[2, "y_meld_7"] = 0, IGNORE
    table.to_parquet(tmp_path / "train.parquet")
    weights = np.arange(1, 8, dtype=np.float32)
    x, y, weight = block.read_dialogues(tmp_path, "train", weights)
    lengths = table.groupby("dialogue", sort=False).size().to_numpy()
    assert x.shape == (11, lengths.max(), 712) and y.shape == weight.shape == x.shape[:2]
    expected = np.where((table["loss_mask"] > 0) & (table["y_meld_7"] >= 0), table["y_meld_7"] + 1, 0)
    real = np.arange(lengths.max()) < lengths[:, None]
    assert weight[real].tolist() == expected.tolist() and not weight[~real].any() and not x[~real].any()
    assert y.min() == 0 and (y[real] == np.maximum(expected - 1, 0)).all()


def test_f_weights_of_several_labels():
    block = functions("f2")
    y = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    positive = block.positive_weights(y)
    assert positive.tolist() == [1, 1, 1] and block.positive_weights(y[:3]).tolist() == [0.5, 0.5, 1]
    assert block.label_weights(y, np.float32([5, 6, 7])).tolist() == [[5, 1, 1], [1, 6, 1], [5, 6, 1], [1, 1, 1]]
    # What the page warns of: the first positive label, and class 0 where there is none.
    assert block.what_class_weight_does(y, {0: 5, 1: 6, 2: 7}).tolist() == [5, 6, 5, 5]


def test_f_single_label_runs(stores, tmp_path):
    require("keras", "torch", "pandas", "pyarrow")
    done = run_block("f1", stores, tmp_path, """
def one_step(**how):
    model.compile(keras.optimizers.SGD(0.0), loss)
    return float(np.ravel(model.train_on_batch(x, y, **how))[0])
named = dict(zip(("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"), weights.values()))
result = {"weighted": one_step(class_weight=weights), "plain": one_step(), "named": one_step(class_weight=named),
          "logits": model.predict(x, verbose=0).astype(float).tolist(), "y": y.tolist(),
          "weights": [weights[at] for at in range(7)], "epochs": {k: len(v) for k, v in history.history.items()}}
""")
    found = done.result
    assert set(found["epochs"].values()) == {3} and "val_accuracy" in found["epochs"]
    weights, y = np.array(found["weights"]), np.array(found["y"])
    total = weighted_loss(found["logits"], y, weights) * weights[y].sum()
    assert found["weighted"] == pytest.approx(total / len(y), rel=1e-4)  # Keras divides by the rows
    assert found["named"] == pytest.approx(found["plain"], rel=1e-5)  # names as keys: silently no weight at all
    assert found["weighted"] != pytest.approx(found["plain"], rel=1e-2)


def test_f_several_labels_run(stores, tmp_path):
    require("keras", "torch", "pandas", "pyarrow")
    done = run_block("f2", stores, tmp_path, """
def one_step(model, loss, x, y, **how):
    model.compile(keras.optimizers.SGD(0.0), loss)
    return float(np.ravel(model.train_on_batch(x, y, **how))[0])
def refused(table):
    try:
        return one_step(model, mean, x[:2], y[:2], class_weight=table)
    except Exception as error:
        return type(error).__name__
mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
bce = keras.losses.BinaryCrossentropy(from_logits=True)
table = dict(enumerate(weights.tolist()))
pair = dict(enumerate(positive.tolist()))
flat = keras.Sequential([keras.Input(inputs.shape[1:]), several.layers[0]])
result = {
    "turns": one_step(model, loss, x, y, sample_weight=weight),
    "turns_wrong": one_step(model, mean, x[:1], y[:1], class_weight=table),
    "square_wrong": one_step(model, mean, x[:y.shape[1]], y[:y.shape[1]], class_weight=table),
    "refused": refused(table), "as_said": what_class_weight_does(y, table).tolist(),
    "logits": model.predict(x, verbose=0).astype(float).tolist(), "y": y.tolist(), "weight": weight.tolist(),
    "labels": one_step(several, bce, inputs, labels[..., None], sample_weight=label_weights(labels, positive)),
    "labels_wrong": one_step(flat, bce, inputs, labels, class_weight=pair),
    "labels_as_said": one_step(flat, bce, inputs, labels, sample_weight=what_class_weight_does(labels, pair)),
    "scores": flat.predict(inputs, verbose=0).astype(float).tolist(), "targets": labels.tolist(),
    "positive": positive.tolist()}
""")
    found = done.result
    weight, y = np.array(found["weight"]), np.array(found["y"])
    logits = np.array(found["logits"])
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = -np.take_along_axis(log_p, y[..., None], -1)[..., 0]
    assert found["turns"] == pytest.approx((chosen * weight).sum() / weight.sum(), rel=1e-4)
    # The page's account of what class_weight does is what Keras does; and it is another loss.
    as_said, length = np.array(found["as_said"]), y.shape[1]
    assert len(y) > length > 2
    assert found["turns_wrong"] == pytest.approx(chosen[0].mean() * as_said[0], rel=1e-4)
    assert found["turns_wrong"] != pytest.approx((chosen[0] * weight[0]).mean(), rel=1e-2)
    # One weight a dialogue, laid along time.
    assert found["square_wrong"] == pytest.approx((chosen[:length] * as_said[:length]).mean(), rel=1e-4)
    assert isinstance(found["refused"], str)
    scores, targets, positive = (np.array(found[name]) for name in ("scores", "targets", "positive"))
    each = np.log1p(np.exp(-np.abs(scores))) + np.maximum(scores, 0) - scores * targets
    assert found["labels"] == pytest.approx((each * np.where(targets > 0, positive, 1)).mean(), rel=1e-4)
    assert found["labels_wrong"] == pytest.approx(found["labels_as_said"], rel=1e-5)
    assert found["labels_wrong"] != pytest.approx(found["labels"], rel=1e-2)
    assert "class_weight would have weighed" in done.out


# ------------------------------------------------------------- g, h: datasets, pandas and the shell

def test_g_runs(stores, tmp_path):
    require("datasets", "soundfile", "PIL")
    done = run_block("g", stores, tmp_path, """
rows = features["train"]
result = {"keys": [one["key"] for one in utterances], "labels": [one["label"] for one in utterances],
          "shapes": [[len(one["pictures"]), len(one["sound"])] for one in utterances],
          "mean": float(utterances[0]["pictures"].mean()),
          "transcripts": list(rows["transcript"]), "rows": {split: part.num_rows for split, part in features.items()},
          "audio": np.stack([row["audio"] for row in rows]).astype(float).tolist()}
""")
    found = done.result
    dev = index_of(stores / "shards" / "meld").query("split == 'dev' and shard.notna()")
    assert found["keys"] == dev["key"].tolist() and found["labels"] == dev["y_meld_7"].tolist()
    assert found["shapes"] == dev[["frames", "samples"]].astype(int).values.tolist()
    strip, _, row = media(stores / "shards" / "meld" / "dev-000000.tar", found["keys"][0])
    assert found["mean"] == pytest.approx(strip[:row["frames"] * 112].mean(), rel=1e-6)
    table = pd.read_parquet(stores / "features" / "meld" / "train.parquet")
    assert found["rows"] == {"train": 60, "dev": 15, "test": 20}
    assert found["transcripts"] == table["transcript"].tolist()
    assert np.array(found["audio"]) == pytest.approx(np.stack(table["audio"]), rel=1e-6)


def test_h_runs(stores, tmp_path):
    require("pandas", "pyarrow")
    done = run_block("h", stores, tmp_path, """
result = {"counts": {split: counts[split].to_dict() for split in counts}, "said": said, "columns": list(table.columns),
          "lost": index[index["shard"].isna()]["key"].tolist(), "seconds": seconds.to_dict()}
""")
    index = index_of(stores / "shards" / "meld")
    assert done.result["counts"]["train"] == {"neutral": 28, "surprise": 7, "fear": 2, "sadness": 4, "joy": 10,
                                              "disgust": 3, "anger": 6}
    assert done.result["said"] == index.query("split == 'train' and shard.notna()").set_index("key")["text"].to_dict()
    assert done.result["lost"] == ["meld_train_dia9_utt2", "meld_dev_dia1_utt4"]
    assert done.result["columns"] == ["key", "transcript", "y_meld_7", "has_audio"]
    assert set(done.result["seconds"]) == set(index["emotion"])


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar program")
def test_h_the_shell_lines_run(stores, tmp_path):
    if "GNU" not in subprocess.run(["tar", "--version"], capture_output=True, text=True, check=False).stdout:
        pytest.skip("--wildcards is GNU tar's")
    for folder in stores.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    done = subprocess.run(["sh", "-e", "-c", blocks("sh")["h"]], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["meld_train_dia0_utt0.flac", "meld_train_dia0_utt0.frames.jpg"]
    assert '"key":"meld_train_dia0_utt0"' in done.stdout
    index = index_of(stores / "shards" / "meld")
    assert f"shards/meld/train-000000.tar {(index['shard'] == 'train-000000.tar').sum()}" in done.stdout
    dialogue = index[index["dialogue"] == "meld_train_dia0"]["key"]
    assert {path.name.split(".")[0] for path in (tmp_path / "look").iterdir()} == set(dialogue)
