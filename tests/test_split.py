"""Splitting a store or a table: what goes where, that nothing else changes, and what is refused."""

import csv
import io
import itertools
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoprep.corpora import open_corpus
from emoprep.errors import EmoprepError, MissingInput, UsageError
from emoprep.features import features, plan_features
from emoprep.segment import plan_segment, segment
from emoprep.split import plan_split, split
from emoprep.store.manifest import open_store
from emoprep.store.shards import read_shard
from emoprep.store.tables import read_table

EMOTIONS = ("neutral",) * 6 + ("joy",) * 3 + ("anger",) * 2 + ("fear",)


def rows_of_table(sessions=12):
    """Twelve sessions of two dialogues each, four or five turns in a dialogue; two people speak in a session."""
    random = np.random.default_rng(5)
    for session in range(sessions):
        for dialogue in range(2):
            for turn in range(4 + (session + dialogue) % 2):
                yield {"file": f"sounds/s{session:02}d{dialogue}.wav", "start": turn * 0.5, "end": turn * 0.5 + 0.4,
                       "speaker": f"P{session:02}{'AB'[turn % 2]}", "session": session + 1, "text": f"turn {turn}",
                       "emotion": EMOTIONS[random.integers(len(EMOTIONS))]}


def write_table(path, rows, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], **how)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of one's own, with its sounds and without splits. Read only."""
    path = write_table(tmp_path_factory.mktemp("own") / "clips.csv", rows_of_table())
    (path.parent / "sounds").mkdir()
    for number, name in enumerate(dict.fromkeys(row["file"] for row in rows_of_table())):
        time = np.arange(16_000 * 5 // 2) / 16_000
        soundfile.write(path.parent / name, 0.5 * np.sin(2 * np.pi * (200 + 20 * number) * time), 16_000)
    return path


@pytest.fixture(scope="module")
def unsplit(table):
    """The store of that table: shards without splits, 20 utterances each. Read only."""
    out = table.parent / "shards"
    segment(plan_segment(table, out, shard_utterances=20), out)
    return out


def index_of(store):
    return pq.read_table(store / "utterances.parquet").to_pylist()


def samples_of(store):
    """Return the shard and the members of each sample."""
    return {key: (path.name, members) for path in sorted(store.glob("*.tar")) for key, members in read_shard(path)}


def split_by(source, out, jobs=1, overwrite=False, **how):
    return split(plan_split(source, **how), out, jobs=jobs, overwrite=overwrite)


# ---------------------------------------------------------------------------------------------- shards

@pytest.fixture(scope="module")
def by_speaker(unsplit, tmp_path_factory):
    out = tmp_path_factory.mktemp("by-speaker") / "out"
    split_by(unsplit, out)
    return out


def test_no_speaker_and_no_dialogue_is_in_two_splits(by_speaker):
    rows = index_of(by_speaker)
    for column in ("speaker", "dialogue"):
        assert len({(row[column], row["split"]) for row in rows}) == len({row[column] for row in rows})
    sizes = Counter(row["split"] for row in rows)
    assert list(sizes) == ["train", "dev", "test"] and sizes.total() == 108
    assert all(abs(sizes[name] / 108 - share) < 0.06 for name, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)))


def test_samples_are_the_same_and_json_says_what_the_index_says(unsplit, by_speaker):
    before, after = samples_of(unsplit), samples_of(by_speaker)
    assert set(before) == set(after) and len(after) == 108
    rows = {row["key"]: row for row in index_of(by_speaker)}
    old_rows = {row["key"]: row for row in index_of(unsplit)}
    for key, (shard, members) in after.items():
        told, was = json.loads(members.pop("json")), json.loads(before[key][1].pop("json"))
        assert members == before[key][1] and {"flac", "txt", "words.json"} <= set(members)
        row = rows[key]
        assert {name: told[name] for name in row} == row and row["shard"] == shard
        assert shard.startswith(f"{row['split']}-")
        # Nothing but the split and the shard is new.
        assert {**told, "split": None, "shard": was["shard"]} == was
        assert {**row, "split": None, "shard": was["shard"]} == old_rows[key]


def test_shards_are_of_the_aim_and_hold_whole_dialogues(by_speaker):
    manifest = open_store(by_speaker).require_intact().manifest
    assert [piece["name"][:-11] for piece in manifest.shards] == [piece["split"] for piece in manifest.shards]
    rows, sizes = index_of(by_speaker), Counter(piece["split"] for piece in manifest.shards)
    for name, utterances in manifest.counts.items():
        assert sizes[name] == -(-utterances // 20)
    assert list(sizes) == ["train", "dev", "test"] and max(piece["utterances"] for piece in manifest.shards) <= 25
    assert len({(row["dialogue"], row["shard"]) for row in rows}) == 24
    for _, members in itertools.groupby(rows, lambda row: row["dialogue"]):  # in one piece, and in order
        assert [row["turn"] for row in members] in ([0, 1, 2, 3], [0, 1, 2, 3, 4])


def test_manifest_and_card_tell_how(unsplit, by_speaker):
    before, after = (open_store(store).manifest for store in (unsplit, by_speaker))
    assert after.facts["command"] == "split" and after.facts["inputs"] == {"store": open_store(unsplit).fingerprint}
    settings = after.facts["settings"]
    assert {name: settings[name] for name in ("by", "protocol", "dev", "test", "seed", "labels", "shard_utterances")} \
        == {"by": "speaker", "protocol": None, "dev": 0.1, "test": 0.2, "seed": 0, "labels": "table-emotion",
            "shard_utterances": 20}
    assert after.counts == Counter(row["split"] for row in index_of(by_speaker))
    assert (after.written, after.modalities, after.schemes) == (before.written, before.modalities, before.schemes)
    card = (by_speaker / "README.md").read_text()
    assert '"split": "test", "path": "test-*.tar"' in card and "| train |" in card
    assert (by_speaker / "skipped.jsonl").read_bytes() == (unsplit / "skipped.jsonl").read_bytes()
    assert not (by_speaker / ".emoprep").exists()


def test_what_was_not_cut_goes_with_its_dialogue_and_into_no_shard(demo_road, tmp_path):
    split_by(demo_road / "shards", tmp_path / "out", by="dialogue")
    rows = index_of(tmp_path / "out")
    uncut = [row for row in rows if row["shard"] is None]
    assert len(uncut) == 2 and len(samples_of(tmp_path / "out")) == 93
    for row in uncut:
        assert {other["split"] for other in rows if other["dialogue"] == row["dialogue"]} == {row["split"]}
    manifest = open_store(tmp_path / "out").manifest
    assert manifest.skipped == open_store(demo_road / "shards").manifest.skipped and manifest.written == 93
    assert (tmp_path / "out/skipped.jsonl").read_bytes() == (demo_road / "shards/skipped.jsonl").read_bytes()
    before = samples_of(demo_road / "shards")
    for key, (_, members) in samples_of(tmp_path / "out").items():
        assert members["frames.jpg"] == before[key][1]["frames.jpg"]


def test_a_new_split_of_a_split_is_the_same_from_scratch(unsplit, by_speaker, tmp_path):
    """The order of the rows decides nothing, so fold after fold may be made of whatever lies there."""
    split_by(unsplit, tmp_path / "a", by="session", seed=3, dev=0.2)
    result = split_by(by_speaker, tmp_path / "b", by="session", seed=3, dev=0.2)
    assert "IN has splits; they were not looked at" in result.plan.notes
    of_a, of_b = ({row["key"]: row["split"] for row in index_of(tmp_path / name)} for name in "ab")
    assert of_a == of_b


def test_jobs_and_interruptions_do_not_change_a_byte_but_the_seed_does(unsplit, by_speaker, tmp_path):
    split_by(unsplit, tmp_path / "jobs", jobs=2)
    plan, seen = plan_split(unsplit), []

    def interrupt(done, skipped):
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        split(plan, tmp_path / "again", progress=interrupt)
    assert not (tmp_path / "again/manifest.json").exists()
    first = (tmp_path / "again/train-000000.tar").stat().st_ino
    assert split(plan, tmp_path / "again").state == "written"
    assert (tmp_path / "again/train-000000.tar").stat().st_ino == first
    for name in ("jobs", "again"):
        assert sorted(path.name for path in (tmp_path / name).iterdir()) \
            == sorted(path.name for path in by_speaker.iterdir())
        for path in by_speaker.iterdir():
            assert path.read_bytes() == (tmp_path / name / path.name).read_bytes()
    split_by(unsplit, tmp_path / "seed", seed=1)
    assert {row["key"]: row["split"] for row in index_of(tmp_path / "seed")} \
        != {row["key"]: row["split"] for row in index_of(by_speaker)}


def test_out_that_is_complete_or_holds_another_run(unsplit, tmp_path):
    out = tmp_path / "out"
    assert split_by(unsplit, out).state == "written"
    (out / "manifest.json").touch()
    assert split_by(unsplit, out).state == "complete already"
    with pytest.raises(UsageError, match="OUT holds another run: got settings by speaker there, dialogue now"):
        split_by(unsplit, out, by="dialogue")
    assert split_by(unsplit, out, by="dialogue", overwrite=True).state == "written"
    with pytest.raises(UsageError, match="OUT is IN"):
        split_by(out, out)


def test_features_and_balance_go_on_from_there(by_speaker, emoprep, tmp_path):
    emoprep("features", by_speaker, tmp_path / "features", "--dims", "audio=4,text=4", check=True)
    done = emoprep("balance", tmp_path / "features", tmp_path / "smote", "--strategy", "smote", "-k", 1, "--json",
                   check=True)
    after = json.loads(done.stdout)["after"]
    assert len(set(after.values())) == 1
    assert open_store(tmp_path / "smote").manifest.counts["test"] \
        == sum(row["split"] == "test" for row in index_of(by_speaker))


def test_by_a_column_and_with_labels_of_ones_own(unsplit, tmp_path):
    scheme = tmp_path / "heat.toml"
    scheme.write_text('column = "emotion"\nlabels = ["hot", "cold"]\n[mapping]\nanger = "hot"\nfear = "hot"\n'
                      'joy = "hot"\nneutral = "cold"\nbored = "cold"\n')
    plan = plan_split(unsplit, by="session", dev=0, test=0.25, labels=str(scheme))
    assert list(plan.parts) == ["train", "test"] and plan.parts["test"]["asked"] == 0.25
    assert list(plan.parts["test"]["counts"]) == ["hot", "cold"]
    assert plan.notes == ("scheme heat: no row has emotion bored",)
    sessions = [row["session"] for row in index_of(unsplit)]
    assert len(set(zip(sessions, plan.splits, strict=True))) == 12


@pytest.fixture(scope="module")
def iemocap(tmp_path_factory):
    """The shards of IEMOCAP's miniature: sessions 1, 3, 4 and 5, without splits."""
    from iemocap_miniature import build_miniature

    folder = tmp_path_factory.mktemp("iemocap")
    segment(plan_segment(build_miniature(folder).folder, folder / "shards", max_mismatch=60), folder / "shards",
            max_skipped="99%")
    return folder / "shards"


def test_by_protocol(iemocap, tmp_path):
    assert {row["split"] for row in index_of(iemocap)} == {None}
    result = split_by(iemocap, tmp_path / "five", protocol="session5")
    rows = index_of(tmp_path / "five")
    assert all((row["session"] == 5) == (row["split"] == "test") for row in rows)
    assert {row["split"] for row in rows} == {"train", "dev", "test"} and result.plan.parts["test"]["asked"] is None
    settings = open_store(tmp_path / "five").manifest.facts["settings"]
    assert (settings["protocol"], settings["by"], settings["dev"], settings["seed"]) == ("session5", None, None, None)
    split_by(iemocap, tmp_path / "three", protocol="loso:3")
    assert {row["session"] for row in index_of(tmp_path / "three") if row["split"] == "test"} == {3}
    # Fold after fold may be made from the store of another fold.
    split_by(tmp_path / "five", tmp_path / "three again", protocol="loso:3")
    of = [{row["key"]: {**row, "shard": None} for row in index_of(tmp_path / name)}
          for name in ("three", "three again")]
    assert of[0] == of[1]


@pytest.mark.parametrize(("settings", "message"), [
    ({"protocol": "session5", "by": "speaker"}, "--by: a protocol draws nothing and has its own shares"),
    ({"protocol": "session5", "dev": 0.1}, "--dev: a protocol draws nothing"),
    ({"protocol": "session5", "test": 0.0}, "--test: a protocol draws nothing"),
    ({"protocol": "session5", "seed": 1}, "--seed: a protocol draws nothing"),
    ({"protocol": "none"}, "--protocol: this protocol makes no splits"),
    ({"protocol": "loso:9"}, "there is no such session"),
    ({"protocol": "folds"}, "--protocol: no such protocol: expected session5"),
])
def test_protocols_that_are_refused(iemocap, settings, message):
    with pytest.raises(UsageError, match=message):
        plan_split(iemocap, **settings)


# -------------------------------------------------------------------------------------- feature stores

@pytest.fixture(scope="module")
def brought(unsplit, by_speaker, tmp_path_factory):
    """A feature store of embeddings that somebody brought: a vector and a sequence an utterance, some missing."""
    folder, random = tmp_path_factory.mktemp("brought"), np.random.default_rng(1)
    keys = [row["key"] for row in index_of(by_speaker)]
    np.savez(folder / "voice.npz", **{key: random.normal(size=3).astype("f4") for key in keys[:-2]})
    np.savez(folder / "steps.npz", **{key: random.normal(size=(1 + number % 4, 2)).astype("f4")
                                      for number, key in enumerate(keys)})
    features(plan_features(by_speaker, extractors={"audio": "none", "video": "none", "text": "none"},
                           add={"voice": folder / "voice.npz", "steps": folder / "steps.npz"}), folder / "features")
    return folder / "features"


def test_feature_tables_are_sorted_anew(brought, tmp_path):
    split_by(brought, tmp_path / "out", by="dialogue", seed=4)
    manifest = open_store(tmp_path / "out").require_intact().manifest
    assert [piece["name"] for piece in manifest.tables] == ["train.parquet", "dev.parquet", "test.parquet"]

    def read(store):
        found = {}
        for name in ("train", "dev", "test"):
            index, of = read_table(store / f"{name}.parquet", manifest.modalities)
            assert set(index.column("split").to_pylist()) == {name}
            for number, row in enumerate(index.to_pylist()):
                found[row["key"]] = {**row, **{modality: (values.values[number].tolist(), bool(values.present[number]))
                                               for modality, values in of.items()}}
        return found
    before, after = read(brought), read(tmp_path / "out")
    assert {key: row["split"] for key, row in before.items()} != {key: row["split"] for key, row in after.items()}
    assert {key: {**row, "split": ""} for key, row in before.items()} \
        == {key: {**row, "split": ""} for key, row in after.items()}
    index = index_of(tmp_path / "out")
    assert [row["key"] for row in index] == list(after)
    assert [row["split"] for row in index] == [row["split"] for row in after.values()]
    schemas = [pq.read_schema(store / "train.parquet") for store in (brought, tmp_path / "out")]
    assert schemas[0].equals(schemas[1])


def test_the_scaler_is_that_of_the_new_train(brought, tmp_path):
    split_by(brought, tmp_path / "out", by="dialogue", seed=4)
    _, of = read_table(tmp_path / "out/train.parquet", open_store(brought).manifest.modalities)
    scaler = np.load(tmp_path / "out/scaler.npz")
    steps = np.concatenate(of["steps"].values)
    voice = of["voice"].values[of["voice"].present]
    for name, rows in (("voice", voice), ("steps", steps)):
        np.testing.assert_allclose(scaler[f"{name}_mean"], rows.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(scaler[f"{name}_deviation"], rows.std(axis=0), rtol=1e-4)
    assert set(scaler.files) == set(np.load(brought / "scaler.npz").files)
    assert scaler["voice_mean"].tolist() != np.load(brought / "scaler.npz")["voice_mean"].tolist()


def test_tables_that_lost_rows_are_not_split(brought, tmp_path):
    shutil.copytree(brought, tmp_path / "cut")
    table = pq.read_table(tmp_path / "cut/train.parquet")
    pq.write_table(table.slice(1), tmp_path / "cut/train.parquet")
    with pytest.raises(EmoprepError, match="the index and the tables have other rows"):
        split_by(tmp_path / "cut", tmp_path / "out", by="dialogue")
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("kind", ["unsplit", "brought"])
def test_what_a_protocol_leaves_out_stays_without_a_split(kind, request, tmp_path):
    plan = plan_split(request.getfixturevalue(kind), by="dialogue")
    left = replace(plan, splits=tuple(None if name == "dev" else name for name in plan.splits),
                   parts={"train": plan.parts["train"], "test": plan.parts["test"], "none": plan.parts["dev"]})
    split(left, tmp_path / "out")
    rows, manifest = index_of(tmp_path / "out"), open_store(tmp_path / "out").require_intact().manifest
    assert [name for name, _ in itertools.groupby(row["split"] for row in rows)] == ["train", "test", None]
    assert manifest.counts["none"] == plan.parts["dev"]["utterances"] == sum(row["split"] is None for row in rows)
    if kind == "unsplit":
        assert {piece["name"][:-11]: piece["split"] for piece in manifest.shards} \
            == {"train": "train", "test": "test", "all": None}
        assert all(json.loads(members["json"])["split"] is None for shard, members in
                   samples_of(tmp_path / "out").values() if shard.startswith("all-"))
    else:
        assert [piece["name"] for piece in manifest.tables] == ["train.parquet", "test.parquet", "all.parquet"]


# ---------------------------------------------------------------------------------------- what is told

def test_the_report_counts_what_is_there(unsplit):
    plan = plan_split(unsplit, by="dialogue")
    rows = index_of(unsplit)
    for name, part in plan.parts.items():
        members = [row for row, split in zip(rows, plan.splits, strict=True) if split == name]
        assert (part["utterances"], part["dialogues"], part["speakers"]) == (
            len(members), len({row["dialogue"] for row in members}), len({row["speaker"] for row in members}))
        assert part["counts"] == {**dict.fromkeys(part["counts"], 0), **Counter(row["emotion"] for row in members)}
        assert part["share"] == len(members) / 108 and sum(part["shares"].values()) == pytest.approx(1)
    far = plan.deviation
    assert abs(far["share"] - far["in_all"]) == max(abs(share - plan.whole["shares"][label]) for part
                                                    in plan.parts.values() for label, share in part["shares"].items())


def test_what_could_not_be_met_is_told(tmp_path):
    rows = list(rows_of_table(5))
    for number, row in enumerate(rows):
        row["emotion"] = "fear" if number == 0 else "joy"
    plan = plan_split(write_table(tmp_path / "five.csv", rows))
    assert plan.unmet == ("train has 60.0 % of the utterances, asked was 70.0 %",
                          "dev has 20.0 % of the utterances, asked was 10.0 %",
                          "dev: fear is 0.0 % there, 2.2 % in all", "test: fear is 0.0 % there, 2.2 % in all")


def test_several_labels_an_utterance(tmp_path):
    random = np.random.default_rng(2)
    rows = [{"file": f"v{video}.mp4", "start": clip, "end": clip + 1, "happy": round(float(random.random() < 0.5), 1),
             "sad": float(random.random() < 0.2), "afraid": float(random.random() < 0.1)}
            for video in range(60) for clip in range(random.integers(2, 9))]
    plan = plan_split(write_table(tmp_path / "own.csv", rows), by="dialogue")
    assert plan.to_json()["task"] == "multi-label" and plan.to_json()["labels"] == ["happy", "sad", "afraid"]
    none = sum(not (row["happy"] or row["sad"] or row["afraid"]) for row in rows)
    assert plan.whole["none"] == none == sum(part["none"] for part in plan.parts.values())
    assert plan.whole["counts"]["sad"] == sum(row["sad"] for row in rows)
    for part in plan.parts.values():
        assert all(abs(share - plan.whole["shares"][label]) < 0.03 for label, share in part["shares"].items())
        assert abs(part["none"] / part["utterances"] - none / len(rows)) < 0.03


def test_dry_run_and_json(unsplit, emoprep, tmp_path):
    done = emoprep("split", unsplit, tmp_path / "out", "--dry-run", "--json", check=True)
    document = json.loads(done.stdout)
    assert document["schema"] == "emoprep.split/1" and document["dry_run"] and not document["fresh"]
    assert document["by"] == "speaker" and document["labels"] == ["anger", "fear", "joy", "neutral"]
    assert sum(part["utterances"] for part in document["splits"].values()) == 108
    assert document["seconds"] == pytest.approx(108 * 0.4) and document["estimated_bytes"] > 100_000
    assert not (tmp_path / "out").exists()
    written = json.loads(emoprep("split", unsplit, tmp_path / "out", "--json", check=True).stdout)
    assert written == {**document, "dry_run": False, "fresh": True}
    shown = emoprep("split", unsplit, tmp_path / "out", check=True).stdout
    assert "complete already" in shown and "largest deviation of a class" in shown and "asked" in shown


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["--by", "rank"], 2, "--by: not known: expected speaker or dialogue or session"),
    (["--dev", "0.6", "--test", "0.4"], 2, "leave something for train"),
    (["--dev", "-0.1"], 2, "these shares cannot be"),
    (["--dev", "nan"], 2, "these shares cannot be"),
    (["--dev", "0", "--test", "0"], 2, "not both 0"),
    (["--protocol", "session5"], 2, "expected none: table has no protocols"),
    (["--corpus", "meld"], 2, "the store is of another corpus: expected table, got meld"),
    (["--labels", "meld-7"], 2, "this label scheme is not known"),
])
def test_refusals_and_their_exit_codes(unsplit, emoprep, tmp_path, arguments, code, message):
    done = emoprep("split", unsplit, tmp_path / "out", *arguments)
    assert done.returncode == code and message in done.stderr and done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_split(demo_road, table, unsplit, tmp_path):
    for source, kind, message in (
            (demo_road / "MELD.Raw", UsageError, "IN is a raw corpus.*run `emoprep segment` first"),
            (demo_road / "features", UsageError, "fitted on the train split that is there: got audio, video, text"),
            (demo_road / "smote", UsageError, "IN is balanced already: got smote"),
            (demo_road / "oversample", UsageError, "IN is balanced already: got oversample"),
            (demo_road / "weights", UsageError, "IN has neither shards nor features"),
            (tmp_path / "nothing", MissingInput, "IN is not there")):
        with pytest.raises(kind, match=message):
            plan_split(source, by="dialogue")
    from emoprep.balance import balance

    balance(unsplit, tmp_path / "masked", strategy="undersample", all_is_train=True)
    with pytest.raises(UsageError, match="IN is balanced already: got undersample"):
        plan_split(tmp_path / "masked")


def test_a_piece_that_is_too_large_is_named(demo_road):
    with pytest.raises(UsageError, match=r"--by speaker: what is to stay in one piece is too large: expected at most "
                                         r"85.0 % of the utterances, got 100.0 % in 18 dialogues linked by 5 speakers "
                                         r"\(.*; --by dialogue keeps dialogues whole"):
        plan_split(demo_road / "shards")


def test_unknown_speakers_are_counted(tmp_path):
    rows = list(rows_of_table())
    for row in rows[:7]:
        row["speaker"] = ""
    for row in rows[:7]:
        row["session"] = ""
    path = write_table(tmp_path / "own.csv", rows)
    for by in ("speaker", "session"):
        with pytest.raises(UsageError, match=f"the {by} is not known of every utterance: got 7 of 108 without"):
            plan_split(path, by=by)
    assert plan_split(path, by="dialogue").whole["utterances"] == 108


# ----------------------------------------------------------------------------------------------- tables

def read_csv(path, **how):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), **how))


def test_a_table_gets_a_column_and_keeps_the_rest(table, tmp_path):
    out = table.parent / "split.csv"
    result = split_by(table, out)
    before, after = read_csv(table), read_csv(out)
    assert [{name: value for name, value in row.items() if name != "split"} for row in after] == before
    assert list(after[0]) == [*before[0], "split"]
    parts = result.plan.parts
    assert Counter(row["split"] for row in after) == {name: part["utterances"] for name, part in parts.items()}
    _, read = open_corpus(out)
    assert {one.key: one.split for one in read.utterances} == dict(zip(result.plan.source.keys, result.plan.splits,
                                                                       strict=True))
    out.unlink()


def test_the_store_and_the_table_get_the_same_splits(table, unsplit):
    plans = [plan_split(source, seed=2) for source in (table, unsplit)]
    of = [dict(zip(plan.source.keys, plan.splits, strict=True)) for plan in plans]
    assert of[0] == of[1]


def test_files_are_named_as_seen_from_out(table, tmp_path):
    for out, there in (("below/out.csv", "../sounds/s00d0.wav"), ("out.csv", "sounds/s00d0.wav"),
                       ("../out.csv", f"{table.parent.name}/sounds/s00d0.wav")):
        path = table.parent / out
        split_by(table, path)
        assert read_csv(path)[0]["file"] == there and (path.parent / there).is_file()
        path.unlink()
    rows = [{**row, "file": str(table.parent / row["file"])} for row in rows_of_table()]
    split_by(write_table(tmp_path / "a/absolute.csv", rows), tmp_path / "b/out.csv")
    assert [row["file"] for row in read_csv(tmp_path / "b/out.csv")] == [row["file"] for row in rows]


def test_a_folder_that_is_a_link(table, tmp_path):
    (tmp_path / "deep/down").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/down")
    split_by(table, tmp_path / "link/out.csv")
    assert (tmp_path / "link" / read_csv(tmp_path / "link/out.csv")[0]["file"]).is_file()


def test_the_csv_of_another_program(tmp_path):
    """Semicolons, CRLF, a byte order mark, line ends and quotes in cells, an empty row, a split that is there."""
    text = ("\ufeffSplit;File;speaker;emotion;note\r\n"
            + "".join(f'test;a{n}.wav;P{n};joy;"line one\nline ""{n}"";"\r\n' for n in range(10)) + "\r\n;;;;\r\n")
    (tmp_path / "own.csv").write_text(text, encoding="utf-8", newline="")
    split_by(tmp_path / "own.csv", tmp_path / "out.csv", dev=0.2, test=0.2)
    raw = (tmp_path / "out.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfSplit;File;speaker;emotion;note\r\n") and raw.endswith(b"\r\n\r\n;;;;\r\n")
    rows = read_csv(tmp_path / "out.csv", delimiter=";")[:10]
    assert Counter(row["Split"] for row in rows) == {"train": 6, "dev": 2, "test": 2}
    assert [row["note"] for row in rows] == [f'line one\nline "{n}";' for n in range(10)]


def test_numbers_in_jsonl_stay_letter_by_letter(tmp_path):
    lines = [f'{{ "file":"a{n}.wav" , "speaker": "P{n}", "emotion": "joy", "x": 1.50E+3, "id": {"9" * 5000}, '
             f'"said": "\\"split\\": \\u00e9 }}" }}' for n in range(10)]
    (tmp_path / "own.jsonl").write_text("\n".join([lines[0], "", *lines[1:]]) + "\n")
    split_by(tmp_path / "own.jsonl", tmp_path / "out.jsonl", dev=0.2, test=0.2)
    made = (tmp_path / "out.jsonl").read_text().split("\n")
    assert made[1] == made[-1] == ""
    for line, new in zip(lines, [made[0], *made[2:-1]], strict=True):
        assert new in {f'{line[:-2]}, "split": "{name}"}}' for name in ("train", "dev", "test")}
    # A split that is there is replaced where it stands, and a row of nothing stays nothing.
    (tmp_path / "again.jsonl").write_text("".join(f'{{"\\u0073plit": "train", "file": "a{n}.wav", "speaker": "P{n}"}}\n'
                                                  for n in range(10)) + '{"split": null, "file": null}\n{}\n')
    split_by(tmp_path / "again.jsonl", tmp_path / "other/out.jsonl", dev=0.2, test=0.2)
    made = [json.loads(line) for line in (tmp_path / "other/out.jsonl").read_text().splitlines()]
    assert Counter(row["split"] for row in made[:10]) == {"train": 6, "dev": 2, "test": 2}
    assert [row["file"] for row in made[:10]] == [f"../a{n}.wav" for n in range(10)]
    assert made[10:] == [{"split": None, "file": None}, {}]


def test_types_in_parquet_stay(table, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(table)
    frame["speaker"] = frame["speaker"].astype("category")
    frame["score"] = frame["start"].astype("float32")
    frame.to_parquet(tmp_path / "own.parquet")
    split_by(tmp_path / "own.parquet", tmp_path / "below/out.parquet")
    before, after = pq.read_table(tmp_path / "own.parquet"), pq.read_table(tmp_path / "below/out.parquet")
    assert after.schema.remove(len(after.schema) - 1).equals(before.schema) and after.column_names[-1] == "split"
    assert after.drop_columns(["split", "file"]).equals(before.drop_columns(["file"]))
    assert after.column("file").to_pylist()[0] == "../sounds/s00d0.wav"
    again = pandas.read_parquet(tmp_path / "below/out.parquet")
    assert list(again.columns) == [*frame.columns, "split"] and str(again["speaker"].dtype) == "category"


def test_the_format_decides_nothing(table, tmp_path):
    rows = list(rows_of_table())
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "own.parquet")
    write_table(tmp_path / "own.tsv", rows, delimiter="\t")
    found = []
    for ending in ("jsonl", "parquet", "tsv"):
        split_by(tmp_path / f"own.{ending}", tmp_path / f"out.{ending}")
        found.append({one.key: one.split for one in open_corpus(tmp_path / f"out.{ending}")[1].utterances})
    assert found[0] == found[1] == found[2] and len(found[0]) == 108


@settings(deadline=None, max_examples=40)
@example(["\r", "a\rb", "\u2028", '"'])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=4, max_size=12))
def test_whatever_stands_in_a_cell_is_there_again(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("cells")
    rows = [{"note": cell, "file": f"a{n}.wav", "speaker": f"P{n}"} for n, cell in enumerate(cells)]
    path = write_table(folder / "own.csv", rows, quoting=csv.QUOTE_ALL)
    (folder / "own.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8",
                                      newline="")
    split_by(path, folder / "out.csv")
    split_by(folder / "own.jsonl", folder / "out.jsonl")
    with (folder / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["note"] for row in csv.DictReader(file)] == cells
    made = (folder / "out.jsonl").read_text("utf-8").split("\n")[:-1]
    assert [json.loads(line)["note"] for line in made] == cells
    shutil.rmtree(folder)


def test_out_of_a_table(table, emoprep, tmp_path):
    out = tmp_path / "new/out.csv"
    assert emoprep("split", table, out).returncode == 0
    (before := out.read_bytes()) and (first := out.stat().st_mtime_ns)
    done = emoprep("split", table, out)
    assert done.returncode == 0 and "complete already" in done.stdout
    assert out.read_bytes() == before and out.stat().st_mtime_ns > first  # make compares times
    done = emoprep("split", table, out, "--seed", 7)
    assert done.returncode == 2 and "OUT is there, and is another table" in done.stderr and out.read_bytes() == before
    assert emoprep("split", table, out, "--seed", 7, "--overwrite").returncode == 0 and out.read_bytes() != before
    assert [path.name for path in out.parent.iterdir()] == ["out.csv"]
    for wrong, message in (("out.jsonl", "another format than IN: expected a name that ends in .csv, got .jsonl"),
                           ("out", "got no ending"), (table, "OUT is IN")):
        done = emoprep("split", table, tmp_path / wrong)
        assert done.returncode == 2 and message in done.stderr, done.stderr
    (tmp_path / "folder.csv").mkdir()
    assert "OUT is a folder" in emoprep("split", table, tmp_path / "folder.csv").stderr
    done = emoprep("split", table, "/proc/1/out.csv")
    assert done.returncode == 1 and "cannot write" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.shared
def test_on_the_real_rows_of_meld(shared, tmp_path):
    """As a table: MELD's 13,708 rows by dialogue, and why not by speaker."""
    rows = []
    for name in ("train", "dev", "test"):
        with (shared / f"real/meld/{name}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            rows += [{"file": f"{name}{row['Dialogue_ID']}.mp4", "turn": number, "emotion": row["Emotion"],
                      "speaker": row["Speaker"], "start": number, "end": number + 1}
                     for number, row in enumerate(csv.DictReader(file))]
    path = write_table(tmp_path / "meld.csv", rows)
    with pytest.raises(UsageError, match=r"99.9 % in 1431 dialogues linked by 303 speakers \(Joey, Ross, Rachel …\)"):
        plan_split(path)
    plan = plan_split(path, by="dialogue")
    assert not plan.unmet and abs(plan.deviation["share"] - plan.deviation["in_all"]) < 0.001
    assert plan.whole["dialogues"] == 1432 and plan.whole["counts"]["fear"] == 358
