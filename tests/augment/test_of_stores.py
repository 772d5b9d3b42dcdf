"""Samples that `emoprep segment` cut, augmented: `emoprep verify` finds nothing in what is made."""

import json

from test_sample import checked

from emoprep.augment.sample import augmented
from emoprep.methods.augmentation import augmented_row, draw_parameters, read_ranges
from emoprep.store.shards import read_shard


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
