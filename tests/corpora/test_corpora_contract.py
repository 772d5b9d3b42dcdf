"""What every corpus module must keep; a new one is held to this as soon as its file lies in the folder.

Its miniature is `tests/<name>_miniature.py` with `build_miniature(folder)`, which returns something with `.folder`.
"""

import importlib
import inspect
import json
import re
import subprocess
import sys
from itertools import groupby

import pytest

from emoprep.contracts import Option, modules
from emoprep.corpora import open_corpus, recognise
from emoprep.labels import OUTSIDE, LabelScheme
from emoprep.utterance import SPLITS, Corpus, Skip, Utterance, check_key

CORPORA = modules("corpora")
HEAVY = {"numpy", "pyarrow", "av", "PIL", "soundfile", "webdataset", "pandas", "sklearn", "scipy", "cv2", "h5py",
         "typer", "rich", "ffmpeg"}
TYPES = {"string": str, "int32": int, "float64": float}


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request, tmp_path_factory):
    """Return (module, its miniature's folder)."""
    name = request.param
    miniature = importlib.import_module(f"{name}_miniature")
    return CORPORA[name], miniature.build_miniature(tmp_path_factory.mktemp(name)).folder


@pytest.mark.parametrize("name, module", CORPORA.items())
def test_what_a_module_defines(name, module):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert module.__name__ == f"emoprep.corpora.{name}"
    assert module.__doc__.strip()
    for text in (module.TITLE, module.LICENCE):
        assert text.strip() == text
        assert text
        assert "\n" not in text
    assert re.match(r"@\w+\{\w+,", module.CITATION)
    assert module.CITATION.count("{") == module.CITATION.count("}")
    assert list(inspect.signature(module.recognise).parameters) == ["folder"]
    assert list(inspect.signature(module.read).parameters) == ["folder", "options"]
    for function in (module.recognise, module.read):
        assert function.__doc__.strip()
    # Quirks stay at the foot of the file.
    assert "# Quirks" in inspect.getsource(module)


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_annotation_and_options(module):
    assert module.ANNOTATION
    assert set(module.ANNOTATION.values()) <= set(TYPES)
    for column in module.ANNOTATION:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column)
    for name, option in module.OPTIONS.items():
        assert isinstance(option, Option)
        assert re.fullmatch(r"[a-z][a-z-]*", name)
        assert len(set(option.choices)) == len(option.choices) > 1
        assert option.default in option.choices
        assert option.help


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_schemes_map_only_known_labels(module):
    assert module.SCHEMES
    assert len({scheme.name for scheme in module.SCHEMES}) == len(module.SCHEMES)
    assert len({scheme.index_column for scheme in module.SCHEMES}) == len(module.SCHEMES)
    for scheme in module.SCHEMES:
        assert isinstance(scheme, LabelScheme)
        assert scheme.name.startswith(f"{module.NAME}-")
        assert scheme.column in module.ANNOTATION
        assert set(scheme.mapping.values()) == set(scheme.labels)
        assert scheme.encode([{scheme.column: value} for value in scheme.mapping]) == [
            scheme.labels.index(label) for label in scheme.mapping.values()]
        assert scheme.encode([{scheme.column: "no such value"}, {}]) == [OUTSIDE, OUTSIDE]
        assert LabelScheme.from_json(scheme.name, json.loads(json.dumps(scheme.to_json()))) == scheme


def test_importing_and_reading_needs_nothing_heavy(corpus):
    """`stats` on a raw corpus, and `--help`, stay instant."""
    module, folder = corpus
    script = (f"import sys, pathlib, {module.__name__} as m\n"
              f"before = sorted(set(sys.modules) & {HEAVY!r})\n"
              f"folder = pathlib.Path({str(folder)!r})\n"
              f"assert m.recognise(folder)\n"
              f"print(len(m.read(folder, {{}}).utterances), before, sorted(set(sys.modules) & {HEAVY!r}))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    number, rest = done.stdout.split(" ", 1)
    assert int(number) > 0
    assert rest.strip() == "[] []"


def test_each_corpus_is_recognised_by_its_names_alone(corpus, tmp_path):
    module, folder = corpus
    for path in folder.rglob("*"):
        copy = tmp_path / path.relative_to(folder)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    assert [other.NAME for other in CORPORA.values() if other.recognise(tmp_path)] == [module.NAME]
    assert recognise(folder) is recognise(folder, module.NAME) is module


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_nothing_else_is_recognised(module, tmp_path):
    assert not module.recognise(tmp_path)
    for name in ("README.md", "a.csv", "clips/a.mp4", "data/labels.csv", "wav/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert not module.recognise(tmp_path)


def test_what_is_read(corpus):
    module, folder = corpus
    chosen, read = open_corpus(folder)

    assert chosen is module
    assert isinstance(read, Corpus)
    assert read.name == module.NAME
    assert read.root == folder
    assert read.utterances
    assert read.annotation_files
    for name in read.annotation_files:
        assert (folder / name).is_file()
    keys = [utterance.key for utterance in read.utterances]
    assert len(set(keys)) == len(keys)
    for utterance in read.utterances:
        check_utterance(utterance, module, folder)
    by_key = {utterance.key: utterance for utterance in read.utterances}
    for skip in read.skips:
        assert isinstance(skip, Skip)
        assert skip.key in by_key
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", skip.reason)
        assert skip.detail
        assert "\n" not in skip.detail
    # What is not skipped has media that lie there; what has none is skipped, or its whole split is bare.
    skipped = {skip.key for skip in read.skips}
    for utterance in read.utterances:
        bare = utterance.split in read.bare_splits
        assert bool(utterance.video or utterance.audio) == (utterance.key not in skipped and not bare)
    assert set(read.settings) <= set(module.OPTIONS)


def check_utterance(utterance, module, folder):
    assert isinstance(utterance, Utterance)
    assert check_key(utterance.key) == utterance.key
    assert utterance.key.startswith(f"{module.NAME}_")
    assert check_key(utterance.dialogue) == utterance.dialogue
    assert utterance.corpus == module.NAME
    assert utterance.split in (*SPLITS, None)
    assert {name: type(value) for name, value in utterance.annotation.items() if value is not None} == {
        name: TYPES[kind] for name, kind in module.ANNOTATION.items() if utterance.annotation[name] is not None}
    assert list(utterance.annotation) == list(module.ANNOTATION)
    for path in (utterance.video, utterance.audio):
        assert path is None or (folder / path).is_file()
    assert (utterance.start is None) == (utterance.end is None)
    assert utterance.seconds is None or utterance.seconds >= 0
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", flag) for flag in utterance.flags)


def test_utterances_come_in_the_order_of_the_index(corpus):
    """Split by split, dialogue by dialogue (each in one piece), turn by turn from 0 without a gap."""
    _, read = open_corpus(corpus[1])

    splits = [split for split, _ in groupby(read.utterances, lambda utterance: utterance.split)]
    assert splits == [split for split in (*SPLITS, None) if split in splits]
    dialogues = [(dialogue, list(group)) for dialogue, group in
                 groupby(read.utterances, lambda utterance: utterance.dialogue)]
    assert len({dialogue for dialogue, _ in dialogues}) == len(dialogues)
    for _, group in dialogues:
        assert [utterance.turn for utterance in group] == list(range(len(group)))
        assert len({utterance.split for utterance in group}) == 1


def test_reading_twice_gives_the_same(corpus):
    assert open_corpus(corpus[1])[1] == open_corpus(corpus[1])[1]


def test_every_option_is_read_and_recorded(corpus):
    module, folder = corpus
    for name, option in module.OPTIONS.items():
        results = [open_corpus(folder, None, {name: choice})[1] for choice in option.choices]
        assert [read.settings[name] for read in results] == list(option.choices)
        assert open_corpus(folder)[1].settings[name] == option.default
        assert all(read.utterances != results[0].utterances for read in results[1:])
