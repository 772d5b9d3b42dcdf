"""What is planted in sounds and pictures is found, and nothing clean is accused."""

import io
import json

import leaky
import numpy as np
import soundfile

from emoprep.audit import plan_audit
from emoprep.audit.media import measure_pictures, measure_sound
from emoprep.store.shards import read_shard, write_shard

OF_MEDIA = ("sound-duplicate", "picture-duplicate", "silent", "clipped", "frozen", "black", "too-short", "too-long",
            "text-rate", "av-length-differs", "duration-differs")


def test_each_planted_fault_is_found_and_nothing_else(leaky_store, findings_of):
    result, found = findings_of(leaky_store)
    assert set(found) == set(leaky.PLANTED) == set(OF_MEDIA)
    for check, planted in leaky.PLANTED.items():
        examples = [example for finding in found[check] for example in finding.examples]
        if isinstance(planted, dict):
            assert {one.keys for one in examples} == {(copied, key) for key, copied in planted.items()}, check
        else:
            assert {one.keys for one in examples} == {(key,) for key in planted}, check
        assert sum(finding.count for finding in found[check]) == len(planted)
        for finding in found[check]:
            assert {key.split("_")[0] for one in finding.examples for key in one.keys} <= set(finding.splits)
    assert not {"sound-duplicate", "frozen"} & set(result.not_possible) and result.notes == ()


def test_a_mirrored_copy_is_told_as_one(leaky_store, findings_of):
    _, found = findings_of(leaky_store)
    details = {one.keys[1]: one.detail for finding in found["picture-duplicate"] for one in finding.examples}
    assert "mirrored" in details["dev_mirrored"] and "mirrored" not in details["test_blocky"]


def test_workers_find_the_same(leaky_store, findings_of):
    assert findings_of(leaky_store, jobs=2)[0] == findings_of(leaky_store)[0]


def test_thresholds_of_media(leaky_store, findings_of):
    _, found = findings_of(leaky_store, thresholds=["sound-duplicate=0.001", "picture-duplicate=0.999", "clipped=0.5",
                                                    "silent=-200", "too-long=100", "too-short=0"])
    assert not {"clipped", "silent", "too-long", "too-short"} & set(found)
    assert sum(finding.count for finding in found.get("sound-duplicate", ())) < 4
    assert sum(finding.count for finding in found.get("picture-duplicate", ())) < 3


def test_a_sample_that_cannot_be_read_is_told_and_does_not_end_the_audit(leaky_store, tmp_path, findings_of):
    import shutil

    store = shutil.copytree(leaky_store, tmp_path / "store")
    shard = store / "dev-000000.tar"
    samples = [(key, {**members, "frames.jpg": b"no picture"} if key == "dev_silent" else members)
               for key, members in read_shard(shard)]
    shard.unlink()
    facts = write_shard(shard, samples)
    manifest = json.loads((store / "manifest.json").read_bytes())
    manifest["shards"] = [{**one, **facts} if one["name"] == shard.name else one for one in manifest["shards"]]
    (store / "manifest.json").write_text(json.dumps(manifest))
    result, found = findings_of(store)
    assert "silent" not in found and "frozen" in found
    assert len(result.notes) == 1
    assert result.notes[0].startswith("samples that cannot be read: 1, first dev_silent: ")


def test_a_store_without_splits_is_compared_utterance_by_utterance(tmp_path, findings_of):
    from emoprep.media.decode import make_recipe
    from emoprep.segment import plan_segment, segment

    sound = leaky.speech(70)
    leaky.write_clip(tmp_path, "one", sound)
    leaky.write_clip(tmp_path, "two", 0.4 * sound[1000:])
    leaky.write_clip(tmp_path, "three", leaky.speech(71))
    (tmp_path / "clips.csv").write_text("file,emotion\none.wav,joy\ntwo.wav,anger\nthree.wav,joy\n")
    plan = plan_segment(tmp_path / "clips.csv", tmp_path / "store", recipe=make_recipe(size=48))
    segment(plan, tmp_path / "store")
    result, found = findings_of(tmp_path / "store")
    assert [(one.splits, one.count) for one in found["sound-duplicate"]] == [(("all",), 1)]
    assert set(found) == {"sound-duplicate"}
    assert result.not_possible["frozen"] == "no utterance has a picture"


def test_made_samples_are_not_measured(demo_road):
    shards, balanced = (plan_audit(demo_road / name) for name in ("shards", "oversample"))
    assert len(balanced.rows) > len(shards.rows) and balanced.utterances == shards.utterances > 80


def test_measures_of_a_sound():
    rate, quiet = 16_000, leaky.speech(80)[::3]
    told = measure_sound(quiet, rate)
    assert told["clipped"] == 0 and -40 < told["loud_db"] < -15 and told["silence"][0] < 0.01
    assert measure_sound(np.clip(20 * quiet, -1, 1), rate)["clipped"] > 0.1
    # Loud and whole: a peak at full scale is none that was cut off.
    assert measure_sound(quiet / np.abs(quiet).max(), rate)["clipped"] == 0
    late = measure_sound(np.concatenate([np.zeros(rate, np.float32), quiet, np.zeros(rate // 2, np.float32)]), rate)
    assert np.allclose(late["silence"], (1, 0.5), atol=0.01)
    nothing = measure_sound(np.zeros(rate, np.float32), rate)
    assert nothing["loud_db"] == -120 and nothing["silence"] == (1, 0) and not nothing["sound"][1].any()
    assert measure_sound(np.zeros(0, np.float32), rate)["clipped"] == 0


def test_measures_of_pictures():
    moving = leaky.wander(90)[..., 0]
    told = measure_pictures(moving, 25)
    assert told["still"] == 0 and told["black"] == 0 and len(told["hashes"]) == len(moving)
    half = np.concatenate([moving[:30], np.zeros_like(moving[:45])])
    assert measure_pictures(half, 25)["black"] == 45 / 75
    assert measure_pictures(np.repeat(moving[:1], 40, axis=0), 25)["still"] == 1
    # Four pictures tell nothing of whether the fifth would move.
    assert measure_pictures(np.repeat(moving[:1], 4, axis=0), 25)["still"] == 0


def test_flac_of_the_store_is_what_was_planted(leaky_store):
    """The planted silence is silence in the shard too: else its finding would prove nothing."""
    members = dict(read_shard(leaky_store / "dev-000000.tar"))["dev_silent"]
    samples, rate = soundfile.read(io.BytesIO(members["flac"]))
    assert rate == 16_000 and len(samples) == 2 * rate and not samples.any()
