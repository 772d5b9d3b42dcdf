"""What every corpus module must keep; a new one is held to this as soon as its file lies in the folder.

Its miniature is `tests/<name>_miniature.py` with `build_miniature(folder)`, which returns something with `.folder`:
what a user gives as IN, which is a file where the corpus comes as one.
"""

import importlib
import inspect
import json
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from emoprep.contracts import Corpus, Option, modules
from emoprep.corpora import open_corpus, recognise
from emoprep.errors import UsageError
from emoprep.labels import OUTSIDE, LabelScheme
from emoprep.utterance import SPLITS, Skip, Utterance, check_key

CORPORA = modules("corpora")
HEAVY = {"numpy", "pyarrow", "av", "PIL", "soundfile", "webdataset", "pandas", "sklearn", "scipy", "cv2", "h5py",
         "typer", "rich", "ffmpeg"}
TYPES = {"string": str, "int32": int, "float64": float, "strings": list}
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module", params=CORPORA)
def corpus(request, tmp_path_factory):
    """Return (module, what a user gives as IN for its miniature)."""
    name = request.param
    miniature = importlib.import_module(f"{name}_miniature")
    return CORPORA[name], miniature.build_miniature(tmp_path_factory.mktemp(name)).folder


def root_of(source):
    return source if source.is_dir() else source.parent


@pytest.mark.parametrize("name, module", CORPORA.items())
def test_what_a_module_defines(name, module):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert module.__name__ == f"emoprep.corpora.{name}"
    assert module.__doc__.strip()
    for text in (module.TITLE, module.LICENCE):
        assert text.strip() == text
        assert text
        assert "\n" not in text
    # What nobody published cannot be cited.
    assert re.match(r"@\w+\{\w+,", module.CITATION) or (name, module.CITATION) == ("table", "")
    assert module.CITATION.count("{") == module.CITATION.count("}")
    assert list(inspect.signature(module.recognise).parameters) == ["source"]
    assert list(inspect.signature(module.read).parameters) == ["source", "options"]
    for function in (module.recognise, module.read):
        assert function.__doc__.strip()
    # Quirks stay at the foot of the file.
    assert "# Quirks" in inspect.getsource(module)


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_has_a_page(name):
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert page.startswith("# ")
    assert re.search(r"^## Quirks, and what is done$", page, re.M)


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_annotation_and_options(module):
    check_annotation(module.ANNOTATION)
    for name, option in module.OPTIONS.items():
        assert isinstance(option, Option)
        assert re.fullmatch(r"[a-z][a-z-]*", name)
        assert option.help
        if option.choices:
            assert len(set(option.choices)) == len(option.choices) > 1
            assert option.default in option.choices
        else:
            # Free text: the help shows what it is, and `read` refuses what it is not.
            assert re.fullmatch(r"[A-Z|]+", option.metavar)


def check_annotation(annotation):
    assert set(annotation.values()) <= set(TYPES)
    for column in annotation:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column)


def test_no_two_corpora_have_an_option_of_one_name():
    """The command line has all of them at once."""
    names = [name for module in CORPORA.values() for name in module.OPTIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_schemes_of_a_module(module):
    check_schemes(module.SCHEMES, module)
    for scheme in module.SCHEMES:
        assert set(scheme.reads) <= set(module.ANNOTATION)


def check_schemes(schemes, module):
    assert len({scheme.name for scheme in schemes}) == len(schemes)
    assert len({scheme.index_column for scheme in schemes}) == len(schemes)
    for scheme in schemes:
        assert isinstance(scheme, LabelScheme)
        assert scheme.name.startswith(f"{module.NAME}-")
        assert scheme.encode([{}]) == [scheme.outside]
        if not scheme.columns:
            assert scheme.encode([{scheme.column: "no such value"}]) == [OUTSIDE]
        if scheme.mapping:
            assert set(scheme.mapping.values()) == set(scheme.labels)
            assert scheme.encode([{scheme.column: value} for value in scheme.mapping]) == [
                scheme.labels.index(label) for label in scheme.mapping.values()]
        assert set(scheme.intervals) in (set(), set(scheme.labels))
        assert LabelScheme.from_json(scheme.name, json.loads(json.dumps(scheme.to_json()))) == scheme


def test_what_schemes_read_is_annotation_of_their_kind(corpus):
    """Also where columns and schemes depend on what is read."""
    module, source = corpus
    read = open_corpus(source)[1]
    check_annotation(read.annotation)
    check_schemes(read.schemes, module)
    assert read.schemes
    assert module.SCHEMES in ((), read.schemes)
    assert module.ANNOTATION in ({}, read.annotation)
    for scheme in read.schemes:
        assert {read.annotation[column] for column in scheme.reads} <= (
            {"string"} if scheme.mapping else {"float64", "int32"})
        # The miniature has something to count.
        assert any(code != scheme.outside for code in scheme.encode(u.annotation for u in read.utterances))


def test_importing_and_reading_needs_nothing_heavy(corpus):
    """`stats` on a raw corpus, and `--help`, stay instant; some forms of a corpus (parquet, HDF5) may need more."""
    module, source = corpus
    script = (f"import sys, pathlib, {module.__name__} as m\n"
              f"before = sorted(set(sys.modules) & {HEAVY!r})\n"
              f"source = pathlib.Path({str(source)!r})\n"
              f"assert m.recognise(source)\n"
              f"print(len(m.read(source, {{}}).utterances), before, sorted(set(sys.modules) & {HEAVY!r}))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    number, rest = done.stdout.split(" ", 1)
    assert int(number) > 0
    assert rest.strip() == "[] []"


def test_each_corpus_is_recognised_by_its_names_alone(corpus, tmp_path):
    module, source = corpus
    root, copied = root_of(source), tmp_path / "copy"
    for path in [root, *root.rglob("*")]:
        copy = copied / path.relative_to(root)
        if path.is_dir():
            copy.mkdir(parents=True, exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    copy = copied / source.relative_to(root)
    assert [other.NAME for other in CORPORA.values() if other.recognise(copy)] == [module.NAME]
    assert recognise(source) is recognise(source, module.NAME) is module


@pytest.mark.parametrize("module", CORPORA.values(), ids=list(CORPORA))
def test_nothing_else_is_recognised(module, tmp_path):
    assert not module.recognise(tmp_path)
    for name in ("README.md", "a.csv", "clips/a.mp4", "data/labels.csv", "wav/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert not module.recognise(tmp_path)
    for name in ("README.md", "clips/a.mp4", "wav/1.wav", "clips", "no such file"):
        assert not module.recognise(tmp_path / name)


def test_what_is_read(corpus):
    module, source = corpus
    chosen, read = open_corpus(source)

    assert chosen is module
    assert isinstance(read, Corpus)
    assert read.name == module.NAME
    assert read.root == root_of(source)
    assert read.utterances
    assert read.annotation_files
    for name in read.annotation_files:
        assert (read.root / name).is_file()
    keys = [utterance.key for utterance in read.utterances]
    assert len(set(keys)) == len(keys)
    for utterance in read.utterances:
        check_utterance(utterance, read)
    by_key = {utterance.key: utterance for utterance in read.utterances}
    for skip in read.skips:
        assert isinstance(skip, Skip)
        assert skip.key in by_key
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", skip.reason)
        assert skip.detail
        assert "\n" not in skip.detail
        # One that a rule leaves out may well have media.
        assert skip.reason != "no-clip" or not media_of(by_key[skip.key])
    # What has no media is skipped, or its whole split (or unit) is bare, which is no fault of the utterance.
    skipped = {skip.key for skip in read.skips}
    bare = {utterance.key for utterance in read.utterances
            if (utterance.split or utterance.unit) in read.bare_splits}
    for utterance in read.utterances:
        assert bool(media_of(utterance)) != (utterance.key in bare) or utterance.key in skipped
    assert not {skip.key for skip in read.skips if skip.reason == "no-clip"} & bare
    assert set(read.settings) == set(module.OPTIONS)


def media_of(utterance):
    return {utterance.video, utterance.audio} - {None}


def check_utterance(utterance, read):
    assert isinstance(utterance, Utterance)
    assert check_key(utterance.key) == utterance.key
    assert utterance.key.startswith(f"{read.name}_")
    assert check_key(utterance.dialogue) == utterance.dialogue
    assert utterance.corpus == read.name
    assert utterance.split in (*SPLITS, None)
    assert utterance.unit is None or (utterance.split is None and re.fullmatch(r"[a-z0-9]+", utterance.unit))
    assert list(utterance.annotation) == list(read.annotation)
    for name, value in utterance.annotation.items():
        assert value is None or type(value) is TYPES[read.annotation[name]]
        if read.annotation[name] == "strings":
            assert all(type(one) is str for one in value)
    for path in media_of(utterance):
        assert (read.root / path).is_file()
    assert (utterance.start is None) == (utterance.end is None)
    assert utterance.start is None or 0 <= utterance.start < utterance.end
    assert utterance.seconds is None or utterance.seconds >= 0
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", flag) for flag in utterance.flags)
    for word, start, end in utterance.words:
        assert type(word) is str
        assert 0 <= start <= end


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
    module, source = corpus
    plain = open_corpus(source)[1]
    for name, option in module.OPTIONS.items():
        assert plain.settings[name] == option.default
        if not option.choices:
            with pytest.raises(UsageError) as caught:
                open_corpus(source, None, {name: "no such thing!"})
            assert caught.value.where == f"--{name}"
            continue
        results = [open_corpus(source, None, {name: choice})[1] for choice in option.choices]
        assert [read.settings[name] for read in results] == list(option.choices)
        assert all((read.utterances, read.skips) != (results[0].utterances, results[0].skips) for read in results[1:])


def test_protocols_give_every_dialogue_a_split(corpus):
    module, source = corpus
    read = open_corpus(source)[1]
    dialogues = list(dict.fromkeys(utterance.dialogue for utterance in read.utterances))
    # Who has splits needs no protocol.
    assert not module.PROTOCOLS or {utterance.split for utterance in read.utterances} == {None}
    for name, assign in module.PROTOCOLS.items():
        assert re.fullmatch(r"[a-z][a-z0-9-]*(:[A-Z]+)?", name)
        argument = "1" if ":" in name else None
        splits = assign(argument, dialogues)
        assert list(splits) == dialogues
        assert set(splits.values()) <= set(SPLITS)
        assert assign(argument, dialogues) == splits
        if argument is not None:
            with pytest.raises(UsageError) as caught:
                assign("no such thing!", dialogues)
            assert caught.value.where == "--protocol"
