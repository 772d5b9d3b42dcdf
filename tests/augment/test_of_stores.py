"""Samples that `emoprep segment` cut, augmented: `emoprep verify` finds nothing in what is made."""

import json
import shutil

import pytest
from test_sample import checked

from emoprep.augment.sample import augmented
from emoprep.methods.augmentation import augmented_row, draw_parameters, read_ranges
from emoprep.store.index import read_index
from emoprep.store.shards import read_shard, write_shard


def test_what_is_made_of_the_demos_samples_is_whole(demo_road):
    ranges, made_of = read_ranges(["time-stretch=0.9:1.1"]), 0
    for path in sorted((demo_road / "shards").glob("train-*.tar")):
        for seed, (key, members) in enumerate(read_shard(path)):
            facts = json.loads(members["json"])
            parameters = draw_parameters(ranges, seed, facts["end"] - facts["start"])
            made = augmented(members, parameters)
            assert set(made) == set(members) and checked(made) == [], key
            planned = {**facts, **augmented_row(facts, parameters)}
            assert {**planned, "columns": 1 if facts["has_video"] else planned["columns"]} == json.loads(made["json"])
            made_of += 1
    assert made_of > 50


def test_where_faces_were_looked_for_the_boxes_follow(shared, tmp_path):
    from emoprep.segment import plan_segment, segment

    corpus = tmp_path / "clips.csv"
    corpus.write_text("file,emotion\n" + "".join(f"{path},joy\n" for path in sorted(
        (shared / "real" / "video").glob("talking_25fps.mp4"))))
    segment(plan_segment(corpus, tmp_path / "out", faces="retinaface"), tmp_path / "out")
    (_, members), = read_shard(next((tmp_path / "out").glob("*.tar")))
    facts = json.loads(members["json"])
    assert sum(facts["face_mask"]) > 0.9 * facts["frames"]
    made = augmented(members, {"flip": True})
    after, (left, _, wide, _) = json.loads(made["json"]), facts["view"]
    for box, mirrored in zip(facts["faces"], after["faces"], strict=True):
        assert not box or (abs(2 * left + wide - box[0] - box[2] - mirrored[0]) < 0.02 and box[1:] == mirrored[1:])
    for seed in range(5):
        assert checked(augmented(members, draw_parameters(read_ranges(["time-stretch=0.9:1.1"]), seed))) == []


# --------------------------------------------------------------------------------- damaged stores, all the way

BALANCE = "--strategy", "augment", "--target", "max-multiplier=2", "-q"


@pytest.fixture(scope="module")
def augmented_store(demo_road, emoprep, tmp_path_factory):
    out = tmp_path_factory.mktemp("augmented") / "out"
    emoprep("balance", demo_road / "shards", out, *BALANCE, check=True)
    return out


def tamper(store, change):
    """Do `change(members)` to one sample of fear; return its shard and its key. The manifest has the new size."""
    row = next(row for row in read_index(store / "utterances.parquet").to_pylist()
               if row["y_meld_7"] == 2 and row["split"] == "train")
    path, manifest = store / row["shard"], json.loads((store / "manifest.json").read_bytes())
    samples = [(key, change(members) if key == row["key"] else members) for key, members in read_shard(path)]
    write_shard(path, samples)
    shutil.rmtree(store / ".emoprep")
    for facts in manifest["shards"]:
        facts["size"] = (store / facts["name"]).stat().st_size
    (store / "manifest.json").write_text(json.dumps(manifest))
    return path, row["key"]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def halved(name):
    return lambda members: {**members, name: members[name][:len(members[name]) // 2]}


def told(**facts):
    return lambda members: {**members, "json": json.dumps({**json.loads(members["json"]), **facts}).encode()}


@pytest.mark.parametrize("change, message", [
    (halved("frames.jpg"), ".frames.jpg cannot be read: expected a JPEG of "),
    (halved("flac"), ".flac cannot be read: expected FLAC of one channel, "),
    (told(frames=10 ** 12), "frames in .json is not possible: expected a whole number of at least 1, got 10000000000"),
    (told(view=[0, 0, 1e300, 1e-300]), "view in .json is not possible: expected [x, y, w, h] of the film, no side "),
    (told(has_audio=False), "has_audio in .json and in the index differ: expected True, got False; "),
])
def test_a_damaged_sample_is_told_and_the_run_goes_on_once_it_is_mended(demo_road, augmented_store, emoprep, tmp_path,
                                                                        change, message):
    store, out = shutil.copytree(demo_road / "shards", tmp_path / "in"), tmp_path / "out"
    path, key = tamper(store, change)
    done = emoprep("balance", store, out, *BALANCE)
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and line.startswith(f"emoprep: {path} {key}: {message}")
    assert line.endswith("; run `emoprep verify` on IN, and make that store again") and "Traceback" not in done.stderr
    assert not (out / "manifest.json").exists() and not list(out.glob("*.tar"))
    shutil.copytree(demo_road / "shards", store, dirs_exist_ok=True)
    emoprep("balance", store, out, *BALANCE, check=True)
    assert files(out) == files(augmented_store)
