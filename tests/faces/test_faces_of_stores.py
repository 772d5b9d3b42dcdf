"""`emoprep segment --faces` on real clips and made ones: who is found and for how long, what is in the store, whose
face is the speaker's, and that no number of processes changes a byte."""

import filecmp
import io
import json
import tarfile
from fractions import Fraction
from functools import partial

import av
import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from emoprep.errors import UsageError
from emoprep.faces.detectors import open_detector, retinaface
from emoprep.faces.follow import Follower
from emoprep.films import write_film
from emoprep.media.decode import Recipe, Window, clips
from emoprep.media.encode import Strip, decode_strip
from emoprep.segment import plan_segment, seal, segment
from emoprep.segment.cut import cut_shard
from emoprep.store.folder import start_run

SIZE = 112
FACES = ("--faces", "retinaface", "--shard-utterances", 5)

# What a person sees: the frames of each clip, and in how many of them there is a face (of a human).
SEEN = {
    "face_no_audio_stream": (31, 31), "face_silent_audio": (72, 72), "face_sound_a": (149, 149),
    "face_sound_b": (73, 73), "face_sound_c": (70, 70), "talking_25fps": (50, 50), "talking_vfr": (61, 61),
    "talking_mpeg4_25fps": (80, 80), "person_29_917fps": (50, 50),
    "hevc_vfr_audio_starts_late": (64, 24),  # a face until 2.4 s, then a cut to a cartoon
    "no_duration": (49, 0),  # all but black
    "six_channel_audio": (53, 0), "two_audio_streams": (50, 0),  # a cartoon's animals, and its title
}


def corpus_of(folder, videos):
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,key,emotion"]
    for video in videos:
        (folder / video.name).symlink_to(video)
        lines.append(f"{video.name},{video.stem.replace('.', '_')},neutral")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder / "clips.csv"


def real_corpus(folder, shared):
    videos = {video.stem.replace(".", "_"): video for video in (shared / "real/video").iterdir()}
    return corpus_of(folder, [videos[name] for name in SEEN])


@pytest.fixture(scope="session")
def store(once, shared, emoprep):
    def make(folder):
        corpus = real_corpus(folder / "corpus", shared)
        emoprep("segment", corpus, folder / "store", *FACES, "-j", 2, check=True)
    return once("faces-of-real-clips", make) / "store"


def samples(store):
    found = {}
    for path in sorted(store.glob("*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                key, _, name = member.name.partition(".")
                found.setdefault(key, {})[name] = shard.extractfile(member).read()
    return {key: {**members, "json": json.loads(members["json"])} for key, members in found.items()}


def crops(sample):
    return decode_strip(sample["faces.jpg"], SIZE, sample["json"]["frames"])


# ------------------------------------------------------------------------------------------- real clips

@pytest.mark.shared
def test_faces_are_found_in_the_frames_where_a_person_sees_them(store):
    rows = {key: sample["json"] for key, sample in samples(store).items()}
    assert {key: (row["frames"], sum(row["face_mask"])) for key, row in rows.items()} == SEEN


@pytest.mark.shared
def test_a_sample_says_which_frames_have_the_face_and_where(store):
    for key, sample in samples(store).items():
        row = sample["json"]
        mask, strip = row["face_mask"], crops(sample)
        assert len(mask) == len(row["faces"]) == row["frames"] == len(strip)
        assert [int(bool(box)) for box in row["faces"]] == mask
        assert [int(square.max() > 60) for square in strip] == mask, key
        assert ("no-face" in row["flags"]) == (not any(mask))
        assert row["face_rule"] == ("only-face" if any(mask) else "none")
        assert all(len(box) == 4 and min(box[2:]) > 20 for box in row["faces"] if box)


@pytest.mark.shared
def test_a_crop_contains_the_face_level_and_in_its_middle(store):
    detect = open_detector(retinaface.prepare(None))
    for key, sample in samples(store).items():
        where = np.flatnonzero(sample["json"]["face_mask"])
        for number in where[::7]:
            faces = detect(np.ascontiguousarray(crops(sample)[number]))
            assert len(faces) == 1, (key, number)
            x, y, w, h = faces[0, :4]
            eye, other = faces[0, 5:7], faces[0, 7:9]
            assert abs(x + w / 2 - SIZE / 2) < SIZE / 6 and abs(y + h / 2 - SIZE / 2) < SIZE / 6, (key, number)
            assert 0.55 * SIZE < h < 0.95 * SIZE, (key, number)
            assert abs(np.degrees(np.arctan2(*(other - eye)[::-1]))) < 10, (key, number)


@pytest.mark.shared
def test_a_face_lies_where_it_lies_in_the_film(store, shared):
    """The anamorphic clip is displayed at 640 × 360; the strip's frame, stretched, must show the same face there."""
    row = samples(store)["person_29_917fps"]["json"]
    boxes = np.array(row["faces"])
    with av.open(str(shared / "real/video/person_29.917fps.mp4")) as film:
        frames = [frame for frame in film.decode(video=0) if frame.time <= 2.55]
    shown = frames[-1].reformat(640, 360, "rgb24").to_ndarray()  # frame 25 is the picture at 2.55 s
    found = open_detector(retinaface.prepare(None))(shown)
    assert len(found) == 1 and np.abs(found[0, :4] - boxes[25]).max() < 8


@pytest.mark.shared
def test_the_table_has_every_face_of_every_frame_in_the_order_of_the_index(store):
    table = parquet.read_table(store / "faces.parquet").to_pandas()
    order = parquet.read_table(store / "utterances.parquet", columns=["key"]).column("key").to_pylist()
    assert list(dict.fromkeys(table["key"])) == [key for key in order if SEEN[key][1]]
    for key, sample in samples(store).items():
        rows = table[(table["key"] == key) & table["speaker"]]
        assert rows["frame"].tolist() == np.flatnonzero(sample["json"]["face_mask"]).tolist()
        boxes = [box for box in sample["json"]["faces"] if box]
        assert np.allclose(rows[["x", "y", "w", "h"]].to_numpy(), np.reshape(boxes, (-1, 4)), atol=0.01)
    assert table["found"].mean() < 0.35  # most are between two looks
    assert (table["left_eye_x"] < table["right_eye_x"]).mean() > 0.99
    assert table["score"].between(0.5, 1).all()


@pytest.mark.shared
def test_the_store_is_whole_and_says_how_faces_were_found(store, emoprep):
    emoprep("verify", store, check=True)
    manifest = json.loads((store / "manifest.json").read_bytes())
    assert manifest["settings"]["faces"] == manifest["modalities"]["video"]["faces"] \
        == {"detector": "retinaface", "sha256": retinaface.SHA256}
    assert "onnxruntime" in manifest["versions"]
    head = (store / "README.md").read_text().partition("dataset_info: ")[2].partition("\n")[0]
    assert {"name": "faces.jpg", "dtype": "image"} in json.loads(head)["features"]


@pytest.mark.shared
def test_no_number_of_processes_and_no_interruption_changes_a_byte(store, shared, emoprep, tmp_path):
    corpus = real_corpus(tmp_path / "corpus", shared)
    plan = plan_segment(corpus, tmp_path / "again", faces="retinaface", shard_utterances=5)
    with start_run(tmp_path / "again", plan.facts):
        cut_shard(plan.tasks[1])  # a run that was interrupted after this shard
    emoprep("segment", corpus, tmp_path / "again", *FACES, "-j", 1, check=True)
    names = sorted(path.name for path in store.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir()) and "faces.parquet" in names
    assert filecmp.cmpfiles(store, tmp_path / "again", names, shallow=False)[0] == names


@pytest.mark.shared
def test_parts_that_are_sealed_later_are_the_same(shared, tmp_path):
    names = ("talking_25fps.mp4", "two_audio_streams.mp4", "face_sound_c.mp4")
    videos = [shared / "real/video" / name for name in names]
    corpus = corpus_of(tmp_path / "corpus", videos)
    plan = partial(plan_segment, corpus, faces="retinaface", shard_utterances=1)
    segment(plan(tmp_path / "whole"), tmp_path / "whole")
    for part in (2, 1):
        segment(plan(tmp_path / "parts"), tmp_path / "parts", part=(part, 2))
    seal(tmp_path / "parts")
    names = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert filecmp.cmpfiles(tmp_path / "whole", tmp_path / "parts", names, shallow=False)[0] == names
    assert parquet.read_table(tmp_path / "parts/faces.parquet").num_rows == 50 + 70


@pytest.mark.shared
def test_both_decoders_find_the_same(shared, tmp_path, ffmpeg_on_path):
    videos = shared / "real/video"
    corpus = corpus_of(tmp_path / "corpus", [videos / "hevc_vfr_audio_starts_late.mov", videos / "face_sound_b.mp4"])
    out = {}
    for decoder in ("pyav", "ffmpeg"):
        segment(plan_segment(corpus, tmp_path / decoder, faces="retinaface", recipe=Recipe(decoder=decoder)),
                tmp_path / decoder)
        out[decoder] = samples(tmp_path / decoder)
    for key, sample in out["pyav"].items():
        other = out["ffmpeg"][key]
        assert sample["json"]["face_mask"] == other["json"]["face_mask"]
        boxes, others = (np.array([box for box in one["json"]["faces"] if box]) for one in (sample, other))
        assert np.abs(boxes - others).max() < 4
        assert np.abs(crops(sample).astype(int) - crops(other)).mean() < 4


@pytest.mark.shared
def test_a_split_store_takes_its_faces_along(store, emoprep, tmp_path):
    emoprep("split", store, tmp_path / "split", "--by", "dialogue", check=True)
    assert filecmp.cmp(store / "faces.parquet", tmp_path / "split/faces.parquet", shallow=False)
    emoprep("verify", tmp_path / "split", check=True)
    there, before = samples(tmp_path / "split"), samples(store)
    assert all(there[key]["faces.jpg"] == sample["faces.jpg"] for key, sample in before.items())


# ------------------------------------------------------------------------------------------- two people

def pictures(path, count, side=360):
    """Return the first pictures of a film at 25 a second, as squares."""
    found, shown = [], None
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            while shown is not None and frame.time > len(found) / 25:
                found.append(shown.reformat(side, side, "rgb24").to_ndarray())
                if len(found) == count:
                    return found
            shown = frame
    return found


def sound(path, seconds):
    resampler, parts = av.AudioResampler("fltp", "mono", 48_000), []
    with av.open(str(path)) as film:
        for frame in film.decode(audio=0):
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
    return np.tile(np.concatenate(parts)[:48_000 * seconds], (2, 1))


PAIR = ("talking_vfr.mp4", "talking_25fps.mp4")


@pytest.fixture(scope="session")
def pairs(once, shared):
    """Return a folder with two people side by side, once with the sound of the left one and once of the right."""
    def make(folder):
        folder.mkdir()
        people = [pictures(shared / "real/video" / name, 125) for name in PAIR]
        for number, name in enumerate(PAIR):
            write_film(folder / f"{('left', 'right')[number]}.mp4", seconds=5, size=(720, 360), fps=25, crf=20,
                       picture=lambda index, time: np.concatenate(
                           [person[min(index, len(person) - 1)] for person in people], axis=1),
                       sound=sound(shared / "real/video" / name, 5), sample_rate=48_000)
    return once("faces-of-pairs", make)


@pytest.mark.shared
@pytest.mark.parametrize("speaker", ["left", "right"])
def test_of_two_people_who_talk_the_one_is_taken_whose_mouth_moves_with_the_sound(pairs, tmp_path, speaker):
    segment(plan_segment(corpus_of(tmp_path / "corpus", [pairs / f"{speaker}.mp4"]), tmp_path / "out",
                         faces="retinaface"), tmp_path / "out")
    row = samples(tmp_path / "out")[speaker]["json"]
    assert row["face_rule"] == "mouth-follows-sound" and row["face_mask"] == [1] * 50
    assert all((box[0] + box[2] / 2 < 360) == (speaker == "left") for box in row["faces"])
    table = parquet.read_table(tmp_path / "out/faces.parquet").to_pandas()
    assert sorted(set(table["track"])) == [0, 1] and table.groupby("frame").size().tolist() == [2] * 50
    assert table[table["speaker"]]["track"].nunique() == 1


@pytest.mark.shared
@pytest.mark.parametrize("view", ["left", "right"])
def test_of_a_half_only_the_faces_in_it_are_found(pairs, view):
    detect = open_detector(retinaface.prepare(None))
    windows = [Window(Fraction(1), Fraction(3), view, follow=partial(Follower, detect, SIZE, Fraction(10)))]
    [(_, clip)] = clips(str(pairs / "left.mp4"), windows, Recipe(), develop=partial(Strip, SIZE))
    faces = clip.follower.choose(clip.samples, 16_000)
    assert faces.rule == "only-face" and faces.mask == [1] * 20 and set(faces.rows["track"]) == {0}
    middle = faces.rows["face"][:, 0] + faces.rows["face"][:, 2] / 2
    assert ((middle < 360) == (view == "left")).all()


# ------------------------------------------------------------------------- who comes and goes, moves, is cut away

def film_of(path, drawn, voice):
    write_film(path, seconds=5, size=(drawn[0].shape[1], drawn[0].shape[0]), fps=25, crf=20,
               picture=lambda index, time: drawn[min(index, len(drawn) - 1)], sound=sound(voice, 5), sample_rate=48_000)


def upon_grey(face, x, y=150):
    drawn = np.full((720, 1280, 3), 128, np.uint8)
    drawn[y:y + len(face), x:x + len(face)] = face
    return drawn


def cut_one(folder, name):
    segment(plan_segment(corpus_of(folder / "corpus", [folder / name]), folder / "out", faces="retinaface"),
            folder / "out")
    sample = samples(folder / "out")[name.partition(".")[0]]
    return sample, parquet.read_table(folder / "out/faces.parquet").to_pandas()


@pytest.mark.shared
def test_where_the_face_is_away_for_half_a_second_the_mask_is_0(shared, tmp_path):
    voice = shared / "real/video/talking_25fps.mp4"
    there = [not (1.2 <= index / 25 <= 1.7 or 3.3 <= index / 25 <= 3.7) for index in range(125)]
    film_of(tmp_path / "away.mp4", [upon_grey(face, 150) if seen else np.full((720, 1280, 3), 128, np.uint8)
                                    for face, seen in zip(pictures(voice, 125, 500), there, strict=False)], voice)
    sample, table = cut_one(tmp_path, "away.mp4")
    mask = [int(frame not in (12, 13, 14, 15, 16, 33, 34, 35, 36)) for frame in range(50)]
    assert sample["json"]["face_mask"] == mask and sample["json"]["face_rule"] == "only-face"
    assert [int(square.max() > 60) for square in crops(sample)] == mask
    assert table["frame"].tolist() == np.flatnonzero(mask).tolist() and set(table["track"]) == {0}


@pytest.mark.shared
def test_a_face_that_sways_is_in_every_crop_that_the_mask_says_and_there_are_no_others(shared, tmp_path):
    voice, detect = shared / "real/video/talking_25fps.mp4", open_detector(retinaface.prepare(None))
    film_of(tmp_path / "sways.mp4", [upon_grey(face, round(480 + 400 * np.sin(np.pi * index / 25)))
                                     for index, face in enumerate(pictures(voice, 125, 240))], voice)
    sample, table = cut_one(tmp_path, "sways.mp4")
    assert sum(sample["json"]["face_mask"]) >= 48 and sample["json"]["face_rule"] == "only-face"
    assert table.groupby("frame").size().max() == 1 and table["speaker"].all() and table["track"].nunique() > 1
    for number in np.flatnonzero(sample["json"]["face_mask"]):
        faces = detect(np.ascontiguousarray(crops(sample)[number]))
        assert len(faces) == 1 and np.abs(faces[0, :2] + faces[0, 2:4] / 2 - SIZE / 2).max() < SIZE / 5, number


@pytest.mark.shared
@pytest.mark.parametrize("people", [("talking_25fps.mp4", "talking_mpeg4_25fps.mp4"),
                                    ("face_sound_a.mp4", "face_sound_b.mp4")])
def test_after_a_cut_away_and_back_it_is_the_same_person_and_nobody_else(shared, tmp_path, people):
    speaker, other = (pictures(shared / "real/video" / name, 125) for name in people)
    film_of(tmp_path / "shots.mp4", speaker[:50] + other[:25] + speaker[75:], shared / "real/video" / people[0])
    sample, table = cut_one(tmp_path, "shots.mp4")
    assert sample["json"]["face_mask"] == [1] * 20 + [0] * 10 + [1] * 20
    assert crops(sample)[20:30].max() < 60 < crops(sample).max(axis=(1, 2, 3))[[*range(20), *range(30, 50)]].min()
    assert table.groupby("frame").size().tolist() == [1] * 50
    of = {shot: table["track"][table["frame"].between(*frames)].unique().tolist()
          for shot, frames in {"first": (0, 19), "away": (20, 29), "back": (30, 49)}.items()}
    assert sorted(tuple(tracks) for tracks in of.values()) == [(0,), (1,), (2,)]  # each shot has its own
    assert set(table["track"][table["speaker"]]) == {*of["first"], *of["back"]}


# ------------------------------------------------------------------------------------- where there is no face

@pytest.fixture(scope="session")
def faceless(once, emoprep):
    """Return a store of a film without a face and of a sound alone, found in with faces."""
    def make(folder):
        folder.mkdir()
        rng = np.random.default_rng(0)
        tone = 0.1 * rng.standard_normal((1, 48_000)).astype(np.float32)
        write_film(folder / "film.mp4", seconds=1, picture=lambda number, time: np.full((180, 320, 3), 200, np.uint8),
                   sound=tone, layout="mono")
        write_film(folder / "sound.wav", seconds=1, sound=tone, layout="mono")
        (folder / "clips.csv").write_text("file,key,emotion\nfilm.mp4,film,joy\nsound.wav,sound,joy\n")
        emoprep("segment", folder / "clips.csv", folder / "store", "--faces", "retinaface", check=True)
    return once("faces-of-nobody", make)


def test_nobody_there_is_a_flag_and_a_mask_and_black(faceless, emoprep):
    found = samples(faceless / "store")
    assert found["film"]["json"]["flags"] == ["no-face"]
    assert found["sound"]["json"]["flags"] == ["no-picture"]
    for sample in found.values():
        row = sample["json"]
        assert (row["face_mask"], row["faces"], row["face_rule"]) == ([0] * 10, [[]] * 10, "none")
        assert crops(sample).max() == 0
        assert Image.open(io.BytesIO(sample["faces.jpg"])).size == (SIZE, 10 * SIZE)
    assert parquet.read_table(faceless / "store/faces.parquet").num_rows == 0
    emoprep("verify", faceless / "store", check=True)


def test_without_faces_every_sample_has_the_same_keys(faceless, tmp_path):
    segment(plan_segment(faceless / "clips.csv", tmp_path / "out"), tmp_path / "out")
    with_faces, without = samples(faceless / "store"), samples(tmp_path / "out")
    for key, sample in without.items():
        assert list(sample["json"]) == list(with_faces[key]["json"]) and "faces.jpg" not in sample
        assert (sample["json"]["faces"], sample["json"]["face_mask"], sample["json"]["face_rule"]) == ([], [], None)
        assert sample["frames.jpg"] == with_faces[key]["frames.jpg"]
    assert not (tmp_path / "out/faces.parquet").exists()


def test_another_run_says_that_the_faces_differ_and_overwrite_removes_the_table(faceless, emoprep, tmp_path):
    corpus = faceless / "clips.csv"
    emoprep("segment", corpus, tmp_path / "out", "--faces", "retinaface", check=True)
    done = emoprep("segment", corpus, tmp_path / "out")
    assert done.returncode == 2 and "faces" in done.stderr
    emoprep("segment", corpus, tmp_path / "out", "--overwrite", check=True)
    assert not (tmp_path / "out/faces.parquet").exists()


def test_an_unknown_detector_is_told_before_anything_is_read(emoprep, tmp_path):
    done = emoprep("segment", tmp_path / "not_there", tmp_path / "out", "--faces", "dlib")
    assert done.returncode == 2
    assert "--faces: no such detector of faces: expected mtcnn or retinaface or yunet:FILE, got 'dlib'" in done.stderr


def test_where_no_source_has_pictures_faces_make_no_sense(faceless, tmp_path):
    (tmp_path / "sound.wav").symlink_to(faceless / "sound.wav")
    (tmp_path / "clips.csv").write_text("file,emotion\nsound.wav,joy\n")
    with pytest.raises(UsageError, match="--faces: there are no pictures to find faces in: got audio, text"):
        plan_segment(tmp_path / "clips.csv", tmp_path / "out", faces="retinaface")
