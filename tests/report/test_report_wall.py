"""The wall of samples: what is drawn, and that what is shown is what lies in the shards."""

import io
import math
import os
import shutil

import av
import mosei_miniature
import numpy as np
import pyarrow
import pyarrow.compute as pc
import pytest
from PIL import Image

from emoprep.errors import EmoprepError
from emoprep.films import numbered, read_number, write_film
from emoprep.labels import LabelScheme
from emoprep.report.contents import Absent
from emoprep.report.wall import gather_wall
from emoprep.sample import open_sample
from emoprep.store.index import read_index, with_column, write_index
from emoprep.store.manifest import open_store
from emoprep.store.shards import read_shard, write_shard

INDEX = "utterances.parquet"


def wall_of(folder, labels=None, **options):
    store = open_store(folder)
    schemes = store.manifest.schemes
    return gather_wall(store, schemes[labels] if labels else next(iter(schemes.values())), **options)


def shown(wall):
    return [sample for samples in wall.samples.values() for sample in samples]


def keys(wall):
    return {label: [sample.key for sample in samples] for label, samples in wall.samples.items()}


def heard(mp3):
    with av.open(io.BytesIO(mp3)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.channels) == ("mp3float", 1)
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)]), stream.rate


def changed(folder, name, values):
    """Give the index of a store other values in a column: `values(row)` for each."""
    index = read_index(folder / INDEX)
    write_index(folder / INDEX, with_column(index, name, [values(row) for row in index.to_pylist()]))


@pytest.fixture
def shards(demo_road, tmp_path):
    """Return a copy of the demo's shards, to be harmed."""
    return shutil.copytree(demo_road / "shards", tmp_path / "shards")


@pytest.fixture(scope="module")
def augmented(demo_road, once, emoprep):
    return once("wall-augmented", lambda out: emoprep("balance", demo_road / "shards", out, "--strategy", "augment",
                                                      "-q", check=True))


# ------------------------------------------------------------------------------------------ what is drawn

def test_each_class_has_samples_of_its_own_from_all_splits_and_several_speakers(demo_road):
    store, wall = open_store(demo_road / "shards"), wall_of(demo_road / "shards")
    assert tuple(wall.samples) == store.manifest.schemes["meld-7"].labels and wall.notes == ()
    there = {row["key"]: row for row in store.index().to_pylist()}
    for label, samples in wall.samples.items():
        members = [row for row in there.values() if row["emotion"] == label and row["shard"]]
        assert len(samples) == min(5, len(members))
        for sample in samples:
            row = there[sample.key]
            assert row["emotion"] == label == sample.annotation["emotion"] and list(sample.labels) == [label]
            assert (sample.text, sample.speaker, sample.dialogue, sample.turn, sample.split) == \
                tuple(row[name] for name in ("text", "speaker", "dialogue", "turn", "split"))
            assert sample.seconds == pytest.approx(row["end"] - row["start"])
        assert {sample.split for sample in samples} == {row["split"] for row in members}
        assert len({sample.speaker for sample in samples}) >= min(3, len({row["speaker"] for row in members}))
    drawn = [sample.key for sample in shown(wall)]
    assert len(drawn) == len(set(drawn))
    assert [len(samples) for samples in wall_of(demo_road / "shards", each=2).samples.values()] == [2] * 7


def test_draws_are_the_seeds_and_do_not_depend_on_other_classes(demo_road):
    store = open_store(demo_road / "shards")
    wall = wall_of(demo_road / "shards", seed=3)
    assert wall == wall_of(demo_road / "shards", seed=3)
    assert keys(wall) != keys(wall_of(demo_road / "shards", seed=4))
    few = LabelScheme("two", "emotion", ("joy", "anger"), {"joy": "joy", "anger": "anger"})
    assert keys(gather_wall(store, few, seed=3)) == {label: keys(wall)[label] for label in ("joy", "anger")}


def test_what_counts_in_no_loss_or_is_outside_the_scheme_is_not_drawn(shards):
    changed(shards, "loss_mask", lambda row: 0.0 if row["emotion"] == "joy" or row["split"] == "dev" else 1.0)
    changed(shards, "emotion", lambda row: "bliss" if row["split"] == "test" else row["emotion"])
    changed(shards, "y_meld_7", lambda row: 0)  # the annotation is what counts
    wall = wall_of(shards)
    assert wall.samples["joy"] == [] and wall.samples["anger"]
    assert {sample.split for sample in shown(wall)} == {"train"}
    assert all(sample.annotation["emotion"] == label for label, some in wall.samples.items() for sample in some)


def test_copies_are_not_shown(demo_road):
    assert keys(wall_of(demo_road / "oversample")) == keys(wall_of(demo_road / "shards"))


def test_up_to_a_third_was_made_and_names_its_parents(augmented, demo_road):
    store, wall, before = open_store(augmented), wall_of(augmented), wall_of(demo_road / "shards")
    rows = {row["key"]: row for row in store.index().to_pylist()}
    for label, samples in wall.samples.items():
        kept, made = ([sample for sample in samples if (sample.op == "keep") == is_kept] for is_kept in (True, False))
        there = pc.sum(pc.and_(pc.equal(store.index()["emotion"], label), pc.equal(store.index()["op"], "augment")))
        assert len(made) == min(1, there.as_py() or 0)
        assert [sample.key for sample in kept] == keys(before)[label][:len(kept)]
        for sample in made:
            assert sample.op == "augment" and rows[sample.parents[0]]["emotion"] == label and sample.parameters
            assert sample.strip and sample.sound
    assert any(sample.op == "augment" for sample in shown(wall))
    assert all(sample.op == "keep" for sample in shown(wall_of(augmented, each=2)))
    assert max(sum(sample.op != "keep" for sample in some) for some in wall_of(augmented, each=6).samples.values()) == 2
    # Where a class has too few others (fear has four), the rest of the places goes to what was made, too.
    assert [sample.op for sample in wall_of(augmented, each=8).samples["fear"]] == ["keep"] * 4 + ["augment"] * 4


@pytest.fixture(scope="module")
def mosei(once, emoprep):
    def make(folder):
        miniature = mosei_miniature.build_miniature(folder)
        emoprep("segment", miniature.folder, folder / "shards", "--size", "32", "--max-skipped", "100%", "-q",
                check=True)
    return once("wall-mosei", make) / "shards"


def test_of_several_labels_an_utterance_is_shown_once(mosei):
    store = open_store(mosei)
    scheme = next(iter(store.manifest.schemes.values()))
    wall = gather_wall(store, scheme, each=100)
    drawn = [sample.key for sample in shown(wall)]
    assert len(drawn) == len(set(drawn))
    rows = [row for row in store.index().to_pylist() if row["shard"] and row["loss_mask"]]
    holds = {row["key"]: [label for label, y in zip(scheme.labels, scheme.encode([row])[0], strict=True) if y == 1]
             for row in rows}
    assert any(len(labels) > 1 for labels in holds.values())
    assert set(drawn) == {key for key, labels in holds.items() if labels}
    for label, samples in wall.samples.items():
        assert all(list(sample.labels) == holds[sample.key] and label in sample.labels for sample in samples)


# ----------------------------------------------------------------------------------------- what is shown

def test_strip_and_sound_are_those_of_the_shards(demo_road):
    store, wall = open_store(demo_road / "shards"), wall_of(demo_road / "shards")
    assert len(shown(wall)) >= 30
    for sample in shown(wall):
        opened = open_sample(store, sample.key)
        strip = Image.open(io.BytesIO(sample.strip))
        wide, high = 128, 72  # the area of 96 × 96 in the film's proportions, 16:9
        assert strip.format == "JPEG" and strip.size == sample.size
        assert sample.size == (wide * min(4, len(sample.times)), high * math.ceil(len(sample.times) / 4))
        assert len(sample.times) == min(8, len(opened.frames)) and sorted(sample.times) == list(sample.times)
        fps = opened.facts["fps"]
        for place, time in enumerate(sample.times):
            frame = opened.frames[round(time * fps - 0.5)]
            left, top = place % 4 * wide, place // 4 * high
            cell = np.asarray(strip.crop((left, top, left + wide, top + high)), np.float64)
            assert np.abs(cell.mean((0, 1)) - frame.mean((0, 1))).max() < 3
        assert 0 < sample.times[0] < sample.times[-1] < sample.seconds + 1 / fps or len(sample.times) == 1
        sound, (original, rate) = heard(sample.sound), opened.sound
        assert sound[1] == rate == 16_000 and abs(len(sound[0]) - len(original)) < 576
        sound, original = (one[:min(len(sound[0]), len(original))] for one in (sound[0], original))
        assert np.corrcoef(sound, original)[0, 1] > 0.99
        assert sample.heard_seconds == len(opened.sound[0]) / rate
    assert sum(len(sample.strip) + len(sample.sound) for sample in shown(wall)) < 1_000_000


@pytest.fixture(scope="module")
def clips(once, emoprep):
    """Return a store of a film without sound, 20 s of sound without a film, and 4 s of both."""
    def make(folder):
        folder.mkdir()
        noise = np.random.default_rng(0).normal(0, 0.1, (1, 20 * 16_000)).astype(np.float32)
        film = {"size": (160, 160), "fps": 25, "picture": numbered((30, 60, 90), (160, 160))}
        write_film(folder / "mute.mp4", seconds=0.52, **film)
        write_film(folder / "blind.wav", seconds=20, layout="mono", sample_rate=16_000, sound=noise)
        write_film(folder / "both.mp4", seconds=4, layout="mono", sample_rate=16_000, sound=noise, **film)
        (folder / "clips.csv").write_text("file,emotion\nmute.mp4,joy\nblind.wav,joy\nboth.mp4,anger\n")
        emoprep("segment", folder / "clips.csv", folder / "shards", "-q", check=True)
    return once("wall-clips", make) / "shards"


def test_what_has_no_picture_or_no_sound_and_what_is_too_long(clips):
    wall = wall_of(clips)
    samples = {sample.seconds: sample for sample in wall.samples["joy"]}
    mute, blind = samples[0.52], samples[20]
    assert (mute.sound, mute.heard_seconds, len(mute.times)) == (None, 0, 5) and mute.strip
    assert (blind.strip, blind.size, list(blind.times)) == (None, (0, 0), [])
    sound, rate = heard(blind.sound)
    original = open_sample(open_store(clips), blind.key).sound[0]
    assert blind.heard_seconds == 15 and len(sound) == 15 * rate
    assert np.corrcoef(sound[:14 * rate], original[:14 * rate])[0, 1] > 0.9  # noise is what MP3 is worst at
    loud = [np.abs(sound[at:at + 400]).mean() for at in (14 * rate, 15 * rate - 400)]
    assert loud[1] < 0.2 * loud[0]


def test_pictures_are_those_of_their_times(clips):
    sample, = wall_of(clips).samples["anger"]
    strip = np.asarray(Image.open(io.BytesIO(sample.strip)))
    assert list(sample.times) == pytest.approx([(frame + 0.5) / 10 for frame in (2, 7, 12, 17, 22, 27, 32, 37)])
    for place, time in enumerate(sample.times):
        left, top = place % 4 * 96, place // 4 * 96
        assert abs(read_number(strip[top:top + 96, left:left + 96]) - int(time * 25)) <= 1


# --------------------------------------------------------------------------------------- stores that are harmed

def harmed(folder, name, harm):
    """Write a shard anew with the members that `harm(members)` makes of each sample."""
    samples = [(key, harm(members)) for key, members in read_shard(folder / name)]
    (folder / name).unlink()  # it may be a link
    write_shard(folder / name, samples)


@pytest.mark.parametrize("harm", [
    lambda members: members | {"frames.jpg": b"no picture"},
    lambda members: members | {"flac": members["flac"][:100]},
    lambda members: members | {"json": b"[]"},
    lambda members: {name: raw for name, raw in members.items() if name != "json"},
    lambda members: members | {"json": members["json"].replace(b'"size":112', b'"size":11200')},
], ids=["picture", "sound", "json", "no json", "size"])
def test_others_are_shown_for_samples_that_cannot_be_read(shards, demo_road, harm):
    harmed(shards, "dev-000000.tar", harm)
    wall = wall_of(shards)
    assert {sample.split for sample in shown(wall)} == {"train", "test"}
    for label, samples in wall_of(demo_road / "shards").samples.items():
        assert len(wall.samples[label]) >= sum(sample.split != "dev" for sample in samples)
    assert [len(wall.samples[label]) for label in ("neutral", "joy", "anger")] == [5, 5, 5]
    note, = wall.notes
    assert note.startswith("samples that cannot be read, and were passed over: ") and "\n" not in note
    assert f"{shards / 'dev-000000.tar'} meld_dev_dia" in note


@pytest.mark.parametrize("broken", [lambda raw: raw[:len(raw) // 2], lambda raw: b"no tar" * 1000, lambda raw: b""])
def test_a_shard_that_is_no_tar(shards, broken):
    shard = shards / "train-000000.tar"
    raw = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(broken(raw))
    wall = wall_of(shards)
    assert {sample.split for sample in shown(wall)} == {"dev", "test"}
    assert "train-000000.tar" in wall.notes[0]


def test_shards_that_are_not_there(shards):
    (shards / "train-000000.tar").unlink()
    wall = wall_of(shards)
    assert {sample.split for sample in shown(wall)} == {"dev", "test"}
    assert wall.notes == ("shards that are not there, whose samples cannot be shown: 1, first train-000000.tar",)
    for split in ("dev", "test"):
        (shards / f"{split}-000000.tar").unlink()
    with pytest.raises(Absent, match="shards that are not there, whose samples cannot be shown: 3"):
        wall_of(shards)


@pytest.mark.parametrize("shard", [7, b"train-000000.tar", "x" * 10_000, "../../nowhere.tar", "pipe.tar"],
                         ids=["number", "bytes", "long", "elsewhere", "pipe"])
def test_shards_that_are_no_files(shards, shard):
    os.mkfifo(shards / "pipe.tar")
    index = read_index(shards / INDEX)
    write_index(shards / INDEX, index.set_column(index.column_names.index("shard"), "shard",
                                                 pyarrow.array([shard] * len(index))))
    with pytest.raises(Absent, match="shards that are not there, whose samples cannot be shown: 1, first ") as told:
        wall_of(shards)
    assert len(str(told.value)) < 200


@pytest.mark.parametrize(("keys", "message"), [
    (lambda rows: pyarrow.array([b"\xff"] * rows).view(pyarrow.string()), "key: a column of the index is of another"),
    (lambda rows: pyarrow.array(range(rows)), "samples that cannot be read, and were passed over"),
    (lambda rows: pyarrow.nulls(rows, pyarrow.string()), "samples that cannot be read, and were passed over")])
def test_keys_that_are_none(shards, keys, message):
    index = read_index(shards / INDEX)
    write_index(shards / INDEX, index.set_column(0, "key", keys(len(index))))
    with pytest.raises(EmoprepError, match=message):
        wall_of(shards)


def test_rows_with_one_key_and_other_classes(shards):
    first, *_, last = (row["key"] for row in read_index(shards / INDEX).to_pylist() if row["shard"])
    changed(shards, "emotion", lambda row: "fear" if row["key"] == first else "bliss")
    changed(shards, "key", lambda row: last if row["key"] == first else row["key"])
    with pytest.raises(Absent, match="several rows of the index have one key, and other classes"):
        wall_of(shards)


def test_stores_without_shards_have_no_wall(demo_road):
    for name in ("features", "weights"):
        with pytest.raises(Absent, match="IN holds no shards"):
            wall_of(demo_road / name)


def test_an_index_that_points_to_the_shards_of_another_store(demo_road, tmp_path):
    # As `balance` leaves it where the disk allows no hard link.
    store = tmp_path / "pointing"
    store.mkdir()
    for name in ("manifest.json", INDEX, "skipped.jsonl"):
        shutil.copy(demo_road / "shards" / name, store)
    changed(store, "shard", lambda row: row["shard"] and str(demo_road / "shards" / row["shard"]))
    assert wall_of(store).samples == wall_of(demo_road / "shards").samples
