"""verify finds whatever is broken in a store, tells it by its name, and finds nothing in one that is whole.

Stores are made by the program itself and then broken one way at a time. What breaks the content of a shard also mends
its size and sha256 in the manifest: otherwise those alone would tell, and the check that is meant would prove nothing.
"""

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import iemocap_miniature
import numpy as np
import pyarrow
import pytest
import soundfile
from PIL import Image
from pyarrow import parquet

from emoprep.balance import balance
from emoprep.errors import MissingInput, UsageError
from emoprep.films import in_channel, numbered, tone, write_film
from emoprep.media.decode import make_recipe
from emoprep.media.encode import Strip, encode_flac
from emoprep.segment import plan_segment, segment
from emoprep.store.folder import canonical_json, fingerprint
from emoprep.store.shards import read_shard, write_shard
from emoprep.verify import CHECKS, check_piece, plan_verify, verify
from emoprep.verify.cell import Picture
from emoprep.verify.sound import offset_of

ROOT = Path(__file__).resolve().parents[1]
SIZE, RATE = 48, 16_000


# ------------------------------------------------------------------------------------------------- corpora, stores

def speech(seconds, rate, seed):
    """Return noise that swells and fades, float32 [n]: no part of it is like another."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    smooth = np.convolve(noise, np.ones(6) / 6, "same")
    return (0.2 * smooth * (1.2 + np.sin(np.arange(len(noise)) * 9 / rate))).astype(np.float32)


def write_corpus(folder):
    """Write a table of clips: windows that overlap, whole files, sound that starts late, no sound, no pictures."""
    folder.mkdir(parents=True)
    stereo = np.stack([speech(6, 48_000, 0), speech(6, 48_000, 1)])
    write_film(folder / "talk.mp4", seconds=6, size=(96, 64), picture=numbered((200, 90, 40), (96, 64)), sound=stereo,
               bframes=2, gop=60)
    write_film(folder / "late.mp4", seconds=3, size=(64, 96), fps=25, picture=numbered((40, 90, 200), (64, 96)),
               sound=in_channel(speech(2, 48_000, 2), "5.1", "FC"), layout="5.1", sound_start=0.7)
    write_film(folder / "mute.mp4", seconds=1.3, size=(64, 64), picture=numbered((90, 200, 40), (64, 64)))
    write_film(folder / "heard.wav", seconds=2.5, sound=speech(2.5, 44_100, 3)[np.newaxis], sample_rate=44_100,
               layout="mono")
    (folder / "broken.mp4").write_bytes(b"no film at all")
    (folder / "clips.csv").write_text(
        "file,start,end,dialogue,text,emotion,valence\n"
        "talk.mp4,0.5,2.0,one,First.,joy,1.5\ntalk.mp4,1.3,3.31,one,Second – late.,anger,-2\n"
        "talk.mp4,4.0,6.4,one,Third,joy,0\nlate.mp4,,,two,,sadness,1\nmute.mp4,,,three,Hm?,joy,2\n"
        "heard.wav,,,four,Yes,anger,0.25\nheard.wav,0.71,1.9,four,No,anger,0.5\nbroken.mp4,,,five,Oh,joy,1\n")


def cut(source, out, **recipe):
    plan = plan_segment(source, out, recipe=make_recipe(**{"size": SIZE, **recipe}), shard_utterances=4)
    segment(plan, out, max_skipped="90%")


@pytest.fixture(scope="session")
def clips(once):
    """Return the table of clips. Read only."""
    return once("verify-clips", write_corpus) / "clips.csv"


@pytest.fixture(scope="session")
def store(once, clips):
    """Return the store that was cut from it. Read only."""
    return once("verify-store", lambda out: cut(clips, out))


@pytest.fixture(scope="session")
def scene(once):
    """Return a miniature of IEMOCAP and the store cut from it: halves of films, a sound file a sentence. Read only."""
    def make(folder):
        cut(iemocap_miniature.build_miniature(folder).folder, folder / "store")
    folder = once("verify-iemocap", make)
    return folder / "IEMOCAP", folder / "store"


@pytest.fixture
def own(store, tmp_path):
    """Return a copy of the store, to be broken."""
    return Path(shutil.copytree(store, tmp_path / "store"))


def found(path, deep=None, jobs=1):
    return verify(plan_verify(path, deep=deep), jobs=jobs).findings


def checks(path, deep=None):
    return {finding.check for finding in found(path, deep)}


def edit_manifest(store, **entries):
    """Change entries of the manifest, and its fingerprint if these are facts of it."""
    path = store / "manifest.json"
    data = {**json.loads(path.read_bytes()), **entries}
    data["fingerprint"] = fingerprint({name: data[name] for name in ("command", "settings", "inputs")})
    path.write_text(json.dumps(data))


def reseal(store, *names):
    """Have the manifest say of these shards and tables what they are now."""
    data = json.loads((store / "manifest.json").read_bytes())
    for piece in (*data["shards"], *data["tables"]):
        if piece["name"] in names:
            raw = (store / piece["name"]).read_bytes()
            piece.update(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())
    edit_manifest(store, **data)


def shard_of(store, key):
    return next(path.name for path in sorted(store.glob("*.tar")) if key in dict(read_shard(path)))


def edit_shard(store, name, edit):
    """Rewrite a shard with `edit(samples)` of its [(key, members)], and reseal it."""
    samples = edit(list(read_shard(store / name)))
    write_shard(store / name, samples)
    shutil.rmtree(store / ".emoprep")
    reseal(store, name)


def edit_sample(store, key, edit):
    """Change a sample's members with `edit(members)`, and reseal its shard."""
    edit_shard(store, shard_of(store, key), lambda samples: [
        (name, {**members, **(edit(members) if name == key else {})}) for name, members in samples])


def edit_index(store, edit):
    """Change rows of the index with `edit(row)`; the types of its columns stay."""
    path = store / "utterances.parquet"
    table = parquet.read_table(path)
    parquet.write_table(pyarrow.Table.from_pylist([edit(row) for row in table.to_pylist()], schema=table.schema), path)


def with_facts(**changes):
    """Return an edit of a sample that changes its `.json`."""
    return lambda members: {"json": json.dumps({**json.loads(members["json"]), **changes}).encode()}


def frames_of(members):
    """Return a strip's frames in YCbCr, as `strip_of` takes them."""
    facts = json.loads(members["json"])
    img, size = np.asarray(Image.open(io.BytesIO(members["frames.jpg"])).convert("YCbCr")), facts["size"]
    return list(img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:facts["frames"]])


def strip_of(frames, size):
    strip = Strip(size)
    for frame in frames:
        strip.append(frame)
    return strip.finish(len(frames))[0]


def with_frames(edit):
    """Return an edit of a sample that makes its strip of `edit(frames)`."""
    return lambda members: {"frames.jpg": strip_of(edit(frames_of(members)),
                                                   json.loads(members["json"])["size"])}


def with_sound(edit):
    """Return an edit of a sample that makes its sound of `edit(samples)`, int16."""
    def edited(members):
        samples, rate = soundfile.read(io.BytesIO(members["flac"]), dtype="int16")
        return {"flac": encode_flac(edit(samples).astype(np.int16), rate)}
    return edited


FIRST, SECOND, THIRD = (f"table_talk_{start}" for start in (500, 1300, 4000))
LATE, MUTE, HEARD, PART = "table_late_0", "table_mute_0", "table_heard_0", "table_heard_710"


# ------------------------------------------------------------------------------------------------- what is whole

@pytest.mark.parametrize("name", ["shards", "features", "smote", "oversample", "weights"])
def test_nothing_is_found_in_what_the_demo_makes(demo_road, name):
    result = verify(plan_verify(demo_road / name))

    assert result.findings == ()
    manifest = json.loads((demo_road / name / "manifest.json").read_bytes())
    assert (result.shards, result.tables) == (len(manifest["shards"]), len(manifest["tables"]))
    assert result.utterances == sum(piece["utterances"] for piece in (*manifest["shards"], *manifest["tables"]))


def test_nothing_is_found_in_what_was_cut_split_described_and_balanced(store, scene, tmp_path, emoprep):
    split, features, weights = (tmp_path / name for name in ("split", "features", "weights"))
    emoprep("split", store, split, "--by", "dialogue", "--test", "0.3", "--dev", "0.2", "-q", check=True)
    emoprep("features", store, features, "--all-is-train", "-q", check=True)
    emoprep("balance", scene[1], weights, "--strategy", "weights", "--protocol", "session5", "-q", check=True)

    for made in (store, split, features, scene[1], weights):
        assert found(made) == (), made


def test_the_keys_of_the_clips_are_those_that_these_tests_break(store):
    keys = parquet.read_table(store / "utterances.parquet").column("key").to_pylist()
    assert keys == [FIRST, SECOND, THIRD, LATE, MUTE, HEARD, PART, "table_broken_0"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_found_in_the_sources(clips, store, jobs):
    result = verify(plan_verify(store, deep=clips), jobs=jobs)

    assert result.findings == ()
    assert result.deep and result.sources == 4  # of the broken film no utterance was cut


@pytest.mark.parametrize("recipe", [
    {"fit": "pad"}, {"fit": "crop", "size": 64}, {"fps": "24000/1001"}, {"truncate": "0.9"},
    {"downmix": "centre", "sample_rate": 22_050}, {"downmix": "first", "fps": "2.5"}], ids=str)
def test_nothing_is_found_however_it_was_cut(clips, tmp_path, recipe):
    cut(clips, tmp_path / "store", **recipe)

    assert found(tmp_path / "store", clips) == ()


def test_nothing_is_found_in_halves_of_films_and_sentences(scene):
    corpus, store = scene
    assert found(store, corpus) == ()


def test_nothing_is_found_in_real_films(shared, tmp_path):
    """Variable frame rates, sound that starts late, no duration, 5.1, two tracks, faces that hardly move."""
    films = sorted((shared / "real" / "video").glob("*.[mw][poe][4vb]*"))
    assert len(films) > 10
    table = tmp_path / "real.csv"
    table.write_text("file,start,end,dialogue\n" + "".join(
        f"{film},,,{film.stem}\n{film},0.35,1.77,{film.stem}\n" for film in films if "34s" not in film.stem))
    cut(table, tmp_path / "store", size=64)

    assert found(tmp_path / "store", table) == ()


def test_a_linked_store_may_point_to_the_shards_of_another(store, tmp_path, emoprep):
    """A balanced store on another disk names the shards of IN by a path."""
    out = tmp_path / "weights"
    emoprep("balance", store, out, "--strategy", "weights", "--all-is-train", "-q", check=True)
    for shard in out.glob("*.tar"):
        shard.unlink()
    manifest = json.loads((out / "manifest.json").read_bytes())
    for shard in manifest["shards"]:
        shard["name"] = os.path.relpath(store / shard["name"], out)
    edit_manifest(out, **manifest)
    edit_index(out, lambda row: {**row, "shard": row["shard"] and os.path.relpath(store / row["shard"], out)})

    assert found(out) == ()
    assert {"manifest"} == checks_of_outside_name(out)


def checks_of_outside_name(out):
    """Return what is found where a store that `segment` made points outside."""
    edit_manifest(out, command="segment")
    return checks(out)


# ------------------------------------------------------------------------------------------ files and the manifest

def flip(path, at=0.5):
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 255
    path.write_bytes(raw)


def cut_off(path):
    raw = path.read_bytes()
    path.write_bytes(raw[:len(raw) // 3])


SHARD = "all-000000.tar"
FILES = {
    "a byte of a shard": (lambda store: flip(store / SHARD), {"sha256"}),
    "a shard that breaks off": (lambda store: cut_off(store / SHARD), {"size", "tar", "samples", "counts"}),
    "no shard": (lambda store: (store / SHARD).unlink(), {"missing-file"}),
    "a pipe for a shard": (lambda store: ((store / SHARD).unlink(), os.mkfifo(store / SHARD)), {"missing-file"}),
    "no index": (lambda store: (store / "utterances.parquet").unlink(), {"missing-file"}),
    "no card": (lambda store: (store / "README.md").unlink(), {"missing-file"}),
    "no skipped.jsonl": (lambda store: (store / "skipped.jsonl").unlink(), {"missing-file"}),
    "a stray shard": (lambda store: shutil.copy(store / SHARD, store / "all-000009.tar"), {"stray-file"}),
    "a leftover draft": (lambda store: (store / ".emoprep").mkdir(), {"stray-file"}),
    "a fingerprint": (lambda store: edit_text(store / "manifest.json", '"fps": "10"', '"fps": "20"'), {"fingerprint"}),
    "no manifest at all": (lambda store: (store / "manifest.json").write_bytes(b"\0" * 100), {"manifest"}),
    "a nested manifest": (lambda store: (store / "manifest.json").write_bytes(b"[" * 200_000), {"manifest"}),
    "a manifest of another kind": (lambda store: edit_manifest(store, shards={}), {"manifest"}),
    "a shard without a size": (lambda store: edit_shards(store, size="large"), {"manifest"}),
    "a shard elsewhere": (lambda store: edit_shards(store, name="../../etc/passwd"), {"manifest"}),
    "a count of words": (lambda store: edit_manifest(store, counts={"all": "many"}), {"manifest"}),
    "a type that is none": (lambda store: edit_manifest(store, annotation={"emotion": "blob"}), {"manifest"}),
    "other counts": (lambda store: edit_manifest(store, counts={"train": 8}), {"counts"}),
    "more written": (lambda store: edit_manifest(store, written=9), {"counts"}),
    "a shard of more": (lambda store: edit_shards(store, utterances=7), {"counts"}),
    "other skips": (lambda store: edit_manifest(store, skipped={"no-clip": 1}), {"skips"}),
    "skips that are none": (lambda store: (store / "skipped.jsonl").write_text('{"key": 1}\n'), {"skips"}),
    "no skip of what has no sample": (lambda store: ((store / "skipped.jsonl").write_text(""),
                                                     edit_manifest(store, skipped={})), set()),
    "another index": (lambda store: (store / "utterances.parquet").write_bytes(b"PAR1 rubbish PAR1"), {"index"}),
}


def edit_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def edit_shards(store, **facts):
    data = json.loads((store / "manifest.json").read_bytes())
    edit_manifest(store, shards=[{**data["shards"][0], **facts}, *data["shards"][1:]])


@pytest.mark.parametrize("what", FILES)
def test_files(own, what):
    breaks, expected = FILES[what]
    breaks(own)

    assert expected <= checks(own)
    if what != "a shard that breaks off":
        assert checks(own) <= expected | {"json", "sound", "strip", "text", "words", "tar", "samples", "counts"}


def test_what_has_no_sample_has_a_reason(own):
    (own / "skipped.jsonl").write_text("")
    edit_manifest(own, skipped={})
    edit_index(own, lambda row: {**row, "dialogue": "table_four", "turn": 2} if "broken" in row["key"] else row)

    assert [(finding.check, finding.where) for finding in found(own)] == [("skips", "table_broken_0")]


def test_each_file_is_named(own):
    flip(own / SHARD, at=0.02)
    (own / "all-000001.tar").unlink()

    told = {(finding.check, finding.where) for finding in found(own)}

    assert {("sha256", SHARD), ("missing-file", "all-000001.tar")} <= told


# ------------------------------------------------------------------------------------------------------- the index

INDEX = {
    "a frame more": ({"frames": 16}, {"clock", "json"}),
    "some samples less": ({"samples": 23_000}, {"clock", "json"}),
    "another end": ({"end": 2.2}, {"clock", "json"}),
    "no end": ({"end": None}, {"media-columns", "json"}),
    "an endless end": ({"end": float("inf")}, {"clock", "json"}),
    "an end that is no number": ({"end": float("nan")}, {"clock", "json"}),
    "another text": ({"text": "First?"}, {"json"}),
    "no text": ({"text": "", "has_text": True}, {"media-columns", "json"}),
    "another class": ({"y_table_emotion": 2}, {"labels", "json"}),
    "another valence": ({"valence": 1.25}, {"json"}),
    "a flag": ({"flags": ["truncated"]}, {"json"}),
    "another turn": ({"turn": 7}, {"turns", "json"}),
    "another dialogue": ({"dialogue": "table_four"}, {"turns", "json", "dialogues"}),
    "another split": ({"split": "train"}, {"dialogues", "counts", "json"}),
    "a split that is none": ({"split": "trian"}, {"dialogues", "counts", "json"}),
    "another key": ({"key": "table_talk_501"}, {"samples"}),
    "a key that cannot be": ({"key": "../etc/passwd"}, {"keys", "samples"}),
    "a key twice": ({"key": SECOND}, {"keys", "samples"}),
    "another shard": ({"shard": "all-000001.tar"}, {"samples", "counts", "dialogues"}),
    "no shard": ({"shard": None}, {"samples", "counts", "media-columns", "skips"}),
    "neither picture nor sound": ({"has_video": False, "has_audio": False}, {"media-columns", "json"}),
    "a mask": ({"loss_mask": 0.0}, {"json"}),
}


@pytest.mark.parametrize("what", INDEX)
def test_the_index(own, what):
    changes, expected = INDEX[what]
    assert set(changes) <= set(parquet.read_schema(own / "utterances.parquet").names), "the column is another one now"
    edit_index(own, lambda row: {**row, **changes} if row["key"] == FIRST else row)

    assert checks(own) == expected


def test_columns_of_the_index(own):
    path = own / "utterances.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.drop_columns(["valence", "frames"]).append_column(
        "frames", table.column("frames").cast(pyarrow.int64())), path)

    assert {finding.detail for finding in found(own)} == {"column frames is int64, not int32",
                                                          "column valence is missing"}


def test_rows_in_another_order(own):
    path = own / "utterances.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.take([1, 0, *range(2, table.num_rows)]), path)

    assert checks(own) == {"turns", "samples"}


# ------------------------------------------------------------------------------------------------------ the samples

def swapped(samples):
    return [samples[1], samples[0], *samples[2:]]


def with_each_others(samples):
    """Give the first two samples each other's members, all but `.json`."""
    (one, first), (two, second), *rest = samples
    return [(one, {**second, "json": first["json"]}), (two, {**first, "json": second["json"]}), *rest]


SAMPLES = {
    "two swapped": (lambda store: edit_shard(store, SHARD, swapped), {"samples"}),
    "two that have each other's media": (lambda store: edit_shard(store, SHARD, with_each_others),
                                         {"strip", "sound", "text"}),
    "one lost": (lambda store: edit_shard(store, SHARD, lambda samples: samples[1:]), {"samples", "counts"}),
    "one more": (lambda store: edit_shard(store, SHARD, lambda samples: [*samples, ("more", samples[0][1])]),
                 {"samples", "counts"}),
    "another key": (lambda store: edit_shard(store, SHARD, lambda samples: [("other", samples[0][1]), *samples[1:]]),
                    {"samples"}),
    "a member more": (lambda store: edit_shard(store, SHARD, lambda samples: [
        (key, {**members, "cls": b"3"}) for key, members in samples]), {"members"}),
    "no sound": (lambda store: edit_shard(store, SHARD, lambda samples: [
        (key, {name: raw for name, raw in members.items() if name != "flac"}) for key, members in samples]),
                 {"members"}),
}


@pytest.mark.parametrize("what", SAMPLES)
def test_samples(own, what):
    breaks, expected = SAMPLES[what]
    breaks(own)

    assert checks(own) == expected


MEMBERS = {
    "another text": (lambda members: {"txt": b"Fist."}, "text"),
    "text that is no UTF-8": (lambda members: {"txt": b"\xff\xfe"}, "text"),
    "no JSON": (lambda members: {"json": b"{"}, "json"),
    "a list": (lambda members: {"json": b"[]"}, "json"),
    "JSON without an end": (lambda members: {"json": b"[" * 100_000}, "json"),
    "NaN": (lambda members: {"json": members["json"].replace(b'"valence":1.5', b'"valence":NaN')}, "json"),
    "a number of ten thousand digits": (
        lambda members: {"json": members["json"].replace(b'"frames":15', b'"frames":' + b"9" * 10_000)}, "json"),
    "a whole number for a fraction": (with_facts(fps=10), "json"),
    "truth for a number": (with_facts(turn=False), "json"),
    "text for a number": (with_facts(frames="15"), "json"),
    "another size": (with_facts(size=64), "json"),
    "another frame count": (with_facts(frames=14), "strip"),
    "as many frames as there are atoms": (with_facts(frames=10 ** 80), "strip"),
    "frames below nothing": (with_facts(frames=-1), "strip"),
    "more columns": (with_facts(columns=2), "strip"),
    "another sample count": (with_facts(samples=24_001), "sound"),
    "an endless sample count": (with_facts(samples=10 ** 30), "sound"),
    "another rate": (with_facts(sample_rate=8_000), "sound"),
    "a strip that breaks off": (lambda members: {"frames.jpg": members["frames.jpg"][:900]}, "strip"),
    "a strip that is none": (lambda members: {"frames.jpg": b"\xff\xd8\xff\xe0 but no more"}, "strip"),
    "an empty strip": (lambda members: {"frames.jpg": b""}, "strip"),
    "a strip of one frame less": (with_frames(lambda frames: frames[:-1]), "strip"),
    "a PNG for a strip": (lambda members: {"frames.jpg": picture(48, 720, "PNG")}, "strip"),
    "a grey strip": (lambda members: {"frames.jpg": picture(48, 720, "JPEG", mode="L")}, "strip"),
    "a strip in passes": (lambda members: {"frames.jpg": picture(48, 720, "JPEG", progressive=True)}, "strip"),
    "a huge picture": (lambda members: {"frames.jpg": bomb(members["frames.jpg"])}, "strip"),
    "no FLAC": (lambda members: {"flac": b"fLaC"}, "sound"),
    "a sample less": (with_sound(lambda samples: samples[:-1]), "sound"),
    "a sample more": (with_sound(lambda samples: np.append(samples, 1).astype(np.int16)), "sound"),
    "two channels": (lambda members: {"flac": sound(np.zeros((24_000, 2)))}, "sound"),
    "24 bit": (lambda members: {"flac": sound(np.zeros(24_000), subtype="PCM_24")}, "sound"),
    "a WAV": (lambda members: {"flac": sound(np.zeros(24_000), form="WAV")}, "sound"),
    "words that are none": (lambda members: {"words.json": b'[{"word": "Oh"}]'}, "words"),
    "a word that ends before it begins": (
        lambda members: {"words.json": b'[{"word": "Oh", "start": 2, "end": 1}]'}, "words"),
    "no list of words": (lambda members: {"words.json": b"{}"}, "words"),
}


def picture(width, height, form, mode="RGB", **options):
    with io.BytesIO() as buffer:
        Image.new(mode, (width, height), 128).save(buffer, form, **options)
        return buffer.getvalue()


def bomb(jpeg):
    """Return the JPEG with a header that claims 65,500 × 65,500 px."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + (65_500).to_bytes(2) * 2 + jpeg[at + 4:]


def sound(samples, form="FLAC", subtype="PCM_16"):
    with io.BytesIO() as buffer:
        soundfile.write(buffer, samples, RATE, subtype=subtype, format=form)
        return buffer.getvalue()


@pytest.mark.parametrize("what", MEMBERS)
def test_members(own, what):
    edit, expected = MEMBERS[what]
    edit_sample(own, FIRST, edit)

    told = found(own)

    assert expected in {finding.check for finding in told}
    assert {finding.where for finding in told} == {FIRST}


@pytest.mark.parametrize(("key", "edit", "expected"), [
    (MUTE, with_sound(lambda samples: samples + 1), "sound"),
    (HEARD, with_frames(lambda frames: [frame + np.uint8([40, 0, 0]) for frame in frames]), "strip"),
])
def test_what_an_utterance_lacks_is_black_and_silent(own, key, edit, expected):
    edit_sample(own, key, edit)

    assert [(finding.check, finding.where) for finding in found(own)] == [(expected, key)]


@pytest.fixture
def with_faces(own):
    """Return a store whose samples have strips of faces: a grey one in each frame but the first."""
    def faces(members):
        facts = json.loads(members["json"])
        count, size = facts["frames"], facts["size"]
        boxes = [[], *[[1.5, 2.0, 30.0, 30.0]] * (count - 1)]
        black, grey = (np.full((size, size, 3), colour, np.uint8) for colour in ((0, 128, 128), (90, 128, 128)))
        return {"faces.jpg": strip_of([black, *[grey] * (count - 1)], size),
                **with_facts(faces=boxes, face_mask=[int(bool(box)) for box in boxes], face_rule="alone")(members)}
    for shard in ("all-000000.tar", "all-000001.tar"):
        edit_shard(own, shard, lambda samples: [(key, {**members, **faces(members)}) for key, members in samples])
    parquet.write_table(pyarrow.table({"key": [FIRST]}), own / "faces.parquet")
    table = (own / "faces.parquet").read_bytes()
    data = json.loads((own / "manifest.json").read_bytes())
    data["modalities"]["video"] |= {"faces": {"detector": "drawn"}, "face_table": {
        "name": "faces.parquet", "size": len(table), "sha256": hashlib.sha256(table).hexdigest()}}
    edit_manifest(own, **data)
    return own


def test_faces(with_faces):
    assert found(with_faces) == ()
    table = with_faces / "faces.parquet"
    whole = table.read_bytes()
    table.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert [(finding.check, finding.where) for finding in found(with_faces)] == [("sha256", "faces.parquet")]
    table.write_bytes(whole[:-1])
    assert [(finding.check, finding.where) for finding in found(with_faces)] == [("size", "faces.parquet")]
    table.unlink()
    assert checks(with_faces) == {"missing-file"}


def test_a_store_with_faces_is_as_it_should_be(tmp_path, emoprep):
    """One film has no pictures, another nobody in it; both have as many boxes and masks as frames, all empty."""
    write_film(tmp_path / "film.mp4", seconds=1, picture=lambda number, time: np.full((180, 320, 3), 200, np.uint8),
               sound=tone(440, 1)[None], layout="mono")
    write_film(tmp_path / "dark.mp4", seconds=1, sound=tone(440, 1)[None], layout="mono")
    (tmp_path / "clips.csv").write_text("file,key,emotion\nfilm.mp4,film,joy\ndark.mp4,dark,joy\n")
    emoprep("segment", tmp_path / "clips.csv", tmp_path / "store", "--faces", "retinaface", check=True)
    assert found(tmp_path / "store") == ()
    samples = {key: json.loads(members["json"]) for key, members in read_shard(tmp_path / "store/all-000000.tar")}
    for key in ("film", "dark"):
        assert (samples[key]["faces"], samples[key]["face_mask"]) == ([[]] * 10, [0] * 10)


@pytest.mark.parametrize(("edit", "expected"), [
    (lambda members: {"faces.jpg": members["faces.jpg"][:700]}, "faces"),
    (lambda members: {"faces.jpg": strip_of(frames_of(members)[1:], SIZE)}, "faces"),
    (lambda members: {"faces.jpg": members["frames.jpg"]}, "faces"),
    (with_facts(faces=[]), "faces"),
    (with_facts(faces=[[1, 2, 3]] * 15), "faces"),
    (with_facts(face_mask=[1] * 15), "faces")], ids=range(6))
def test_faces_that_are_not_right(with_faces, edit, expected):
    edit_sample(with_faces, FIRST, edit)

    assert [(finding.check, finding.where) for finding in found(with_faces)] == [(expected, FIRST)]


def test_a_store_without_faces_where_it_should_have_some(own):
    data = json.loads((own / "manifest.json").read_bytes())
    data["modalities"]["video"]["faces"] = {"detector": "drawn"}
    edit_manifest(own, **data)

    assert checks(own) == {"manifest", "missing-file", "members"}


def test_keys_of_json_are_the_same_in_a_shard(own):
    edit_sample(own, SECOND, with_facts(mood="good"))

    assert [(finding.check, finding.where) for finding in found(own)] == [("json", SECOND)]


def test_keys_of_json_are_the_same_in_all_shards(own):
    edit_shard(own, SHARD, lambda samples: [(key, {**members, **with_facts(mood="good")(members)})
                                            for key, members in samples])

    assert [(finding.check, finding.where) for finding in found(own)] == [("json", "all-000001.tar")]


def test_a_shard_with_what_is_no_sample(own):
    """Links, folders, names with a way out, and steering characters: told, not followed and not printed."""
    with tarfile.open(own / SHARD) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar.getmembers()]
    with tarfile.open(own / SHARD, "w") as tar:
        for member, raw in members:
            tar.addfile(member, io.BytesIO(raw))
        for name, kind in (("a.link", tarfile.SYMTYPE), ("../../out.txt", tarfile.REGTYPE), ("folder", tarfile.DIRTYPE),
                           ("\x1b[2J.txt", tarfile.REGTYPE), ("dev.ice", tarfile.CHRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            tar.addfile(entry)
        member, raw = members[0]
        tar.addfile(member, io.BytesIO(raw))  # it comes again
    reseal(own, SHARD)

    told = found(own)

    assert {"tar", "samples"} <= {finding.check for finding in told}
    assert sum(finding.check == "tar" for finding in told) == 4
    assert all(letter.isprintable() for finding in told for letter in finding.where + finding.detail)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_bytes_are_there_is_no_traceback(own, seed):
    random = np.random.default_rng(seed)
    for name in ("utterances.parquet", SHARD, "skipped.jsonl", "manifest.json")[:1 + seed % 4]:
        raw = bytearray((own / name).read_bytes())
        for _ in range(random.integers(1, 60)):
            at = int(random.integers(len(raw)))
            raw[at:at + int(random.integers(1, 40))] = random.bytes(int(random.integers(0, 40)))
        (own / name).write_bytes(raw)
    if (own / "manifest.json").read_bytes()[:1] == b"{":
        with contextlib.suppress(ValueError, KeyError, TypeError):  # then the manifest is what is broken
            reseal(own, SHARD)

    assert found(own)


# ------------------------------------------------------------------------------------------------- feature tables

@pytest.fixture
def features(demo_road, tmp_path):
    return Path(shutil.copytree(demo_road / "features", tmp_path / "features"))


def edit_table(store, edit, name="dev.parquet"):
    table = edit(parquet.read_table(store / name))
    parquet.write_table(table, store / name)
    reseal(store, name)


def replaced(table, column, change):
    rows = table.column(column).to_pylist()
    at = table.column_names.index(column)
    return table.set_column(at, table.schema.field(at), pyarrow.array(change(rows), table.schema.field(at).type))


TABLES = {
    "two rows swapped": (lambda table: table.take([1, 0, *range(2, table.num_rows)]), {"table"}),
    "a row lost": (lambda table: table.slice(1), {"counts", "table"}),
    "NaN": (lambda table: replaced(table, "audio", lambda rows: [[float("nan")] * 100, *rows[1:]]), {"features"}),
    "a null": (lambda table: replaced(table, "audio", lambda rows: [None, *rows[1:]]), {"features"}),
    "another dimension": (lambda table: table.set_column(
        table.column_names.index("audio"), "audio", pyarrow.array([[1.0] * 99] * table.num_rows,
                                                                  pyarrow.list_(pyarrow.float32(), 99))), {"features"}),
    "no modality": (lambda table: table.drop_columns(["video"]), {"table"}),
    "a column more": (lambda table: table.append_column("mood", table.column("key")), {"table"}),
    "features of what has none": (lambda table: replaced(table, "has_video", lambda rows: [False, *rows[1:]]),
                                  {"table", "features"}),
    "another transcript": (lambda table: replaced(table, "transcript", lambda rows: ["Ha!", *rows[1:]]), {"table"}),
}


@pytest.mark.parametrize("what", TABLES)
def test_feature_tables(features, what):
    edit, expected = TABLES[what]
    edit_table(features, edit)

    assert checks(features) == expected


@pytest.mark.parametrize("what", ["gone", "rubbish", "another shape", "zero", "a pickle"])
def test_the_scaler(features, what):
    path = features / "scaler.npz"
    with np.load(path) as file:
        arrays = dict(file)
    changes = {"another shape": {"audio_mean": arrays["audio_mean"][1:]},
               "zero": {"audio_deviation": 0 * arrays["audio_deviation"]},
               "a pickle": {"audio_mean": np.array([{}], object)}}
    if what == "gone":
        path.unlink()
    elif what == "rubbish":
        path.write_bytes(b"PK\3\4 and so on")
    else:
        np.savez(path, **{**arrays, **changes[what]})

    assert checks(features) == ({"missing-file"} if what == "gone" else {"scaler"})


def test_tables_that_cannot_be_read(features):
    flip(features / "test.parquet", at=0.9)
    (features / "dev.parquet").write_bytes(b"PAR1" + bytes(500))

    told = {(finding.check, finding.where) for finding in found(features)}

    assert {("sha256", "test.parquet"), ("size", "dev.parquet"), ("table", "dev.parquet")} <= told


def test_plan_and_weights_of_a_balanced_store(demo_road, tmp_path):
    own = Path(shutil.copytree(demo_road / "oversample", tmp_path / "oversample"))
    plan = parquet.read_table(own / "plan.parquet")
    parquet.write_table(plan.slice(1), own / "plan.parquet")
    np.save(own / "class_weights.npy", np.ones(3, np.float32))

    assert {finding.where for finding in found(own)} == {"plan.parquet", "class_weights.npy"}
    (own / "class_weights.json").write_text('{"labels": [], "weights": 1}')
    assert {finding.check for finding in found(own)} == {"balance"}


@pytest.mark.parametrize(("change", "told"), [
    ({}, []),
    ({"ids": lambda ids: ids[::-1]}, ["its ids are not the plan's items, in their order"]),
    ({"weights": lambda weights: weights * 2}, ["weights are not a number from 0 for each id, with the sum 1"]),
    ({"weights_last": lambda weights: weights * np.nan},
     ["weights_last are not a number from 0 for each id, with the sum 1"]),
    ({"ids": lambda ids: ids.astype(object)}, ["Object arrays cannot be loaded"])])
def test_sampler_of_a_balanced_store(demo_road, tmp_path, change, told):
    balance(demo_road / "features", tmp_path / "out", strategy="smote", target="0.5", sampler="progressive")
    path = tmp_path / "out/sampler.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{name: change.get(name, lambda values: values)(values) for name, values in arrays.items()})

    findings = found(tmp_path / "out")

    assert {finding.where for finding in findings} <= {"sampler.npz"}
    assert len(findings) == len(told) and all(text in finding.detail for text, finding in
                                              zip(told, findings, strict=True))


MADE = -1  # the plan's last item is a made one


@pytest.mark.parametrize(("name", "value", "told"), [
    ("base", "nobody", ["base is not that of the index", "parents that are no train rows"]),
    ("base", None, ["base is not that of the index", "interpolated, and not between two parents"]),
    ("neighbor", "nobody", ["parents that are no train rows"]),
    ("neighbor", None, ["interpolated, and not between two parents"]),
    ("lambda", 7.5, ["interpolated, and not between two parents"]),
    ("op", "keep", ["interpolated, and not between two parents", "op is not that of the index"]),
    ("loss_mask", 0.0, ["loss_mask is not that of the index"]),
    ("key", "other", ["its items are not the train rows"])])
def test_plans_that_tell_of_other_parents(demo_road, tmp_path, name, value, told):
    own = Path(shutil.copytree(demo_road / "smote", tmp_path / "smote"))
    plan = parquet.read_table(own / "plan.parquet")
    items = plan.to_pylist()
    items[MADE][name] = value
    parquet.write_table(pyarrow.Table.from_pylist(items, schema=plan.schema), own / "plan.parquet")

    findings = found(own)

    assert {finding.check for finding in findings} == {"balance"}
    assert sorted(finding.detail.partition(":")[0].partition(" by 0 to 1")[0] for finding in findings) == told


# ----------------------------------------------------------------------------------------------------- the sources

def shifted(samples, by):
    return np.roll(samples, by)


DEEP = {
    "the next frame throughout": (FIRST, with_frames(lambda frames: [*frames[1:], frames[-1]]), "source-picture"),
    "the frame before throughout": (SECOND, with_frames(lambda frames: [frames[0], *frames[:-1]]), "source-picture"),
    "two frames swapped": (FIRST, with_frames(lambda frames: [frames[1], frames[0], *frames[2:]]), "source-picture"),
    "one black frame": (LATE, with_frames(lambda frames: [*frames[:-1], 0 * frames[0] + np.uint8([0, 128, 128])]),
                        "source-picture"),
    "mirrored": (THIRD, with_frames(lambda frames: [frame[:, ::-1] for frame in frames]), "source-picture"),
    "2 ms late": (FIRST, with_sound(lambda samples: shifted(samples, 32)), "source-sound"),
    "3 samples early": (SECOND, with_sound(lambda samples: shifted(samples, -3)), "source-sound"),
    "a frame late": (LATE, with_sound(lambda samples: shifted(samples, 1600)), "source-sound"),
    "half a second late": (PART, with_sound(lambda samples: shifted(samples, 8000)), "source-sound"),
    "sound that drifts": (HEARD, with_sound(lambda samples: samples[(np.arange(len(samples)) * 0.9995).astype(int)]),
                          "source-sound"),
    "sound that is lost": (LATE, with_sound(lambda samples: samples * (np.arange(len(samples)) < 30_000)),
                           "source-sound"),
    "sound where there is none": (LATE, with_sound(lambda samples: samples + 2000 * (np.arange(len(samples)) < 8000)),
                                  "source-sound"),
    "half as loud": (HEARD, with_sound(lambda samples: samples // 3), "source-sound"),
    "upside down": (HEARD, with_sound(lambda samples: -samples), "source-sound"),
}


@pytest.mark.parametrize("what", DEEP)
def test_what_is_not_what_the_source_has(clips, own, what):
    key, edit, expected = DEEP[what]
    edit_sample(own, key, edit)

    assert found(own) == ()  # it is as good a store as any, as far as it knows itself
    assert [(finding.check, finding.where) for finding in found(own, clips)] == [(expected, key)]


def test_by_how_much_the_sound_is_off(clips, own):
    edit_sample(own, FIRST, with_sound(lambda samples: shifted(samples, 32)))

    assert "it lies 32.0 samples late" in found(own, clips)[0].detail


def test_the_other_half_of_the_film_and_another_sentence(scene, tmp_path):
    corpus, store = scene
    own = Path(shutil.copytree(store, tmp_path / "store"))
    rows = [row for row in parquet.read_table(own / "utterances.parquet").to_pylist()
            if row["dialogue"] == "iemocap_Ses01F_impro01" and row["shard"]]
    one = next(row for row in rows if "_F0" in row["key"])
    edit_sample(own, one["key"], with_frames(
        lambda frames: [np.ascontiguousarray(np.roll(frame, 5, axis=1)) for frame in frames]))
    edit_sample(own, rows[-1]["key"], with_sound(lambda samples: shifted(samples, 37)))

    assert {(finding.check, finding.where) for finding in found(own, corpus)} \
        == {("source-picture", one["key"]), ("source-sound", rows[-1]["key"])}


def test_a_corpus_that_has_changed(clips, store, tmp_path):
    corpus = Path(shutil.copytree(clips.parent, tmp_path / "corpus"))
    write_film(corpus / "mute.mp4", seconds=1.3, size=(64, 64), picture=numbered((200, 200, 40), (64, 64)))
    edit_text(corpus / "clips.csv", "First.,joy,1.5", "First!,joy,1.5")
    edit_text(corpus / "clips.csv", "talk.mp4,1.3,3.31", "talk.mp4,1.3,3.21")
    (corpus / "late.mp4").unlink()

    told = [(finding.check, finding.where) for finding in found(store, corpus / "clips.csv")]

    assert ("annotation-changed", "clips.csv") in told
    assert ("media-changed", "corpus") in told and ("source", LATE) in told
    assert ("annotation-differs", FIRST) in told and ("source-length", SECOND) in told
    assert ("source-picture", MUTE) in told
    assert {where for check, where in told if check.startswith("source")} == {SECOND, MUTE, LATE}


def test_a_film_that_is_longer_now(clips, store, tmp_path):
    corpus = Path(shutil.copytree(clips.parent, tmp_path / "corpus"))
    write_film(corpus / "mute.mp4", seconds=1.4, size=(64, 64), picture=numbered((90, 200, 40), (64, 64)))
    write_film(corpus / "heard.wav", seconds=2, sound=speech(2.5, 44_100, 3)[np.newaxis], sample_rate=44_100,
               layout="mono")

    told = {(finding.check, finding.where) for finding in found(store, corpus / "clips.csv")}

    assert {("source-length", MUTE), ("source-length", HEARD), ("source-sound", HEARD)} <= told


def test_only_what_was_cut_has_sources(clips, store, demo_road):
    for other in ("features", "oversample", "weights"):
        with pytest.raises(UsageError, match="this store was not cut from a corpus"):
            plan_verify(demo_road / other, deep=demo_road / "MELD.Raw")
    with pytest.raises(MissingInput, match="IN is not there"):
        plan_verify(store, deep=clips.parent / "nowhere.csv")


def test_offsets_of_less_than_a_sample_are_none():
    noise = speech(3, RATE, 5).astype(float)
    for off, expected in ((0, 0), (1, 0), (2, 2), (-5, -5), (400, 400)):
        assert round(offset_of(noise[8000 + off:24_000 + off], noise, 8000.0)[0]) == expected


def test_the_way_to_a_cell_is_exact():
    """Noise, the hardest picture to scale, comes out as segment's own scaling makes it, which is other code."""
    import av

    from emoprep.media.scale import Scaler

    noise = np.random.default_rng(0).integers(0, 256, (118, 190, 3), dtype=np.uint8)
    for form in ("yuv420p", "yuv422p", "rgb24", "gray"):
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format=form)
        for fit in ("stretch", "pad", "crop"):
            for view in (None, "left", "right"):
                own = Picture(frame, Fraction(0), Fraction(0), Fraction(1)).cell(view, SIZE, fit)
                other = Scaler(make_recipe(size=SIZE, fit=fit), None).of(frame)(view)[..., 0]
                assert np.abs(own - other).mean() < 0.6, (form, fit, view)


# ------------------------------------------------------------------------------------------------ the command line

def test_the_command_says_what_it_found(own, emoprep):
    assert emoprep("verify", own, "-q").stdout == f"OK: {own}: 7 utterances, 2 shards\n"
    edit_index(own, lambda row: {**row, "turn": row["turn"] + 1, "text": row["text"] + "!"})

    done = emoprep("verify", own, "-q")
    whole = emoprep("verify", own, "--json")
    every = emoprep("verify", own, "-v")

    data = json.loads(whole.stdout)
    assert (done.returncode, whole.returncode, every.returncode) == (4, 4, 4)
    assert (data["schema"], data["shards"], data["utterances"]) == ("emoprep.verify/1", 2, 7)
    assert len(data["findings"]) > 10 and set(data["findings"][0]) == {"check", "where", "detail"}
    lines = done.stdout.splitlines()
    assert len(lines) == 11
    assert lines[-1].endswith(f"findings; {len(data['findings']) - 10} more with --verbose or --json")
    assert len(every.stdout.splitlines()) == len(data["findings"]) + 1
    assert lines[0] == "turns  table_one: turns are 1, 2, 3"


def test_what_is_no_store_is_an_error_and_no_finding(clips, own, emoprep):
    (own / "manifest.json").unlink()

    done = emoprep("verify", own, "--json")

    assert done.returncode == 5 and json.loads(done.stdout)["schema"] == "emoprep.error/1"
    assert "this is no store" in done.stderr
    assert emoprep("verify", clips.parent).returncode == 5


def test_a_broken_manifest_is_a_finding(own, emoprep):
    (own / "manifest.json").write_text('{"schema": "emoprep.store/1"}')

    done = emoprep("verify", own, "--json")

    assert done.returncode == 4 and [one["check"] for one in json.loads(done.stdout)["findings"]] == ["manifest"]


def test_a_piece_that_kills_who_reads_it_is_a_finding(store, demo_road):
    shards, tables = plan_verify(store).tasks, plan_verify(demo_road / "features").tasks
    for task in (shards[0].without(SHARD, "signal 9"), tables[0].without(str(tables[0]), "signal 9")):
        assert [(one.check, one.where, one.detail) for one in check_piece(task).findings] \
            == [("worker", str(task), "signal 9")]
    checked = check_piece(shards[0].without(SECOND, "no end after 900 s"))
    assert [(one.check, one.where) for one in checked.findings] == [("worker", SECOND)]
    assert checked.samples == 4  # the others were read all the same


def test_a_source_that_kills_who_reads_it_is_a_finding(clips, store):
    task = plan_verify(store, deep=clips).tasks[-1]
    assert [(one.check, one.where) for one in check_piece(task.without(task.path, "signal 11")).findings] \
        == [("worker", task.path)]


def test_findings_do_not_depend_on_processes(clips, own):
    edit_sample(own, FIRST, with_sound(lambda samples: shifted(samples, 32)))
    edit_sample(own, PART, lambda members: {"txt": b"Yes?"})
    flip(own / "all-000001.tar", at=0.99)

    assert found(own, clips, jobs=2) == found(own, clips)


# ---------------------------------------------------------------------------------------------------- the page

def test_the_page_has_the_checks_that_there_are():
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", page, re.M)) == CHECKS


def test_every_check_is_used_and_none_is_unknown():
    used = set()
    for path in sorted((ROOT / "emoprep" / "verify").glob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            if name.endswith((".add", ".guarded")) and "findings" in name and isinstance(call.args[0], ast.Constant):
                used.add(call.args[0].value)
            used |= {word.value for word in ast.walk(call) if isinstance(word, ast.Constant) and word.value in CHECKS}
    assert used == set(CHECKS)


def test_the_fingerprint_here_is_the_stores(store):
    """`edit_manifest` would hide a fingerprint that is computed otherwise."""
    data = json.loads((store / "manifest.json").read_bytes())
    facts = {name: data[name] for name in ("command", "settings", "inputs")}
    assert data["fingerprint"] == hashlib.sha256(canonical_json(facts)).hexdigest()
