"""The command line as a user meets it: exit codes, streams, settings, errors, and what start-up imports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import emoprep as package


def one_line(done):
    assert done.stderr.startswith("emoprep: ") and done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_version_and_help(emoprep):
    assert emoprep("--version").stdout == f"emoprep {package.__version__}\n"
    text = emoprep("--help").stdout
    for command in ("segment", "stats", "features", "balance", "demo"):
        assert f"  {command} " in text
        assert "Example: emoprep" in emoprep(command, "--help").stdout


def test_help_imports_nothing_heavy():
    """`emoprep --help` must stay instant. `balance --help` asks the strategies for their options: numpy, no more."""
    code = ("import sys; from emoprep.__main__ import main; main(['--help']); main(['segment', '--help']);"
            "found = set(sys.modules) & set(sys.argv[1:]); main(['balance', '--help']);"
            "print(*sorted(found | (set(sys.modules) & set(sys.argv[1:])) - {'numpy'}), file=sys.stderr)")
    heavy = ["numpy", "sklearn", "imblearn", "cv2", "av", "webdataset", "pyarrow", "scipy", "torch", "PIL",
             "soundfile", "audiomentations", "albumentations", "ffmpeg", "h5py", "rich"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stderr.strip() in ("", "rich")  # typer itself may bring rich along


def test_stats_of_a_corpus_needs_numpy_alone(demo_road):
    code = ("import sys; from emoprep.__main__ import main; main(['stats', sys.argv[1]]);"
            "print(*sorted(set(sys.modules) & {'pyarrow', 'pandas', 'av', 'scipy', 'sklearn'}), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, str(demo_road / "MELD.Raw")], capture_output=True, text=True,
                          check=True)
    assert done.stderr == "\n"


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("segment", "empty", "out"), 5, "empty: IN is empty"),
    (("segment", "nowhere", "out"), 5, "nowhere: IN is not there"),
    (("segment", "folder", "out"), 5, "IN is no corpus that emoprep knows"),
    (("segment", "folder", "out", "--corpus", "meld"), 5, "MELD's annotation is missing"),
    (("segment", "folder", "out", "--corpus", "melt"), 2,
     "--corpus: not known: expected iemocap or meld or mosei or table, got melt"),
    (("segment", "release.tar.gz", "out"), 5, "unpack it and give its folder"),
    (("stats", "nowhere"), 5, "IN is not there"),
    (("features", "folder", "out"), 5, "IN is no corpus that emoprep knows"),
    (("balance", "folder", "out", "--strategy", "weights"), 5, "IN is no corpus that emoprep knows"),
    (("balance", "folder", "out"), 2, "--strategy: say how to balance: expected --strategy NAME or --preset NAME"),
    (("stats", "folder", "--frobnicate"), 2, "No such option: --frobnicate; see emoprep stats --help"),
    (("frobnicate",), 2, "No such command 'frobnicate'; see emoprep --help"),
    (("segment", "folder", "out", "--size", "100"), 2, "--size: not possible: expected a multiple of 16"),
    (("segment", "folder", "out", "--fps", "0/0"), 2, "--fps: cannot be read"),
    (("segment", "folder", "out", "--limit", "0"), 2, "--limit"),
    (("segment", "folder", "out", "--hwaccel", "cuda"), 2, "add --decoder ffmpeg"),
])
def test_exit_codes_and_one_line(emoprep, tmp_path, arguments, code, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/notes.txt").write_text("nothing")
    (tmp_path / "release.tar.gz").write_bytes(b"")
    done = emoprep(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in one_line(done) and not done.stdout
    assert not (tmp_path / "out").exists()


def test_error_as_json(emoprep, tmp_path):
    done = emoprep("stats", "nowhere", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document == {"schema": "emoprep.error/1", "error": "nowhere: IN is not there; check the path",
                        "exit_code": 5}
    assert done.returncode == 5


@pytest.mark.parametrize("arguments", [
    ("stats", "shards", "--json"), ("stats", "MELD.Raw", "--json", "--by", "speaker"),
    ("segment", "MELD.Raw", "x", "--dry-run", "--json"), ("features", "shards", "x", "--dry-run", "--json"),
    ("balance", "features", "x", "--strategy", "smote", "--dry-run", "--json"),
    ("segment", "MELD.Raw", "shards", "--json"), ("features", "shards", "features", "--json"),
    ("balance", "MELD.Raw", "weights", "--strategy", "weights", "--json"),
])
def test_json_is_the_only_thing_on_stdout(emoprep, demo_road, arguments):
    done = emoprep(*arguments, cwd=demo_road)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    document = json.loads(done.stdout)
    assert document["schema"] == f"emoprep.{arguments[0]}/1" and document["corpus"] == "meld"
    assert not (demo_road / "x").exists()


def test_balance_json_is_the_same_with_dry_run(emoprep, demo_road, tmp_path):
    told = [json.loads(emoprep("balance", demo_road / "features", tmp_path / "x", "--strategy", "smote", "--json",
                               *extra).stdout) for extra in (("--dry-run",), ())]
    for name in ("strategy", "labels", "before", "requested", "after", "shortfall", "weights"):
        assert told[0][name] == told[1][name]


def test_quiet_verbose_and_no_colour(emoprep, demo_road):
    quiet, plain, verbose = (emoprep("segment", demo_road / "MELD.Raw", "x", "--dry-run", *flag, cwd=demo_road)
                             for flag in (("-q",), (), ("-v",)))
    assert not quiet.stderr and "will be skipped: meld_dev_dia1_utt4 (no-clip)" in plain.stderr
    assert quiet.stdout == plain.stdout == verbose.stdout
    assert "\x1b" not in plain.stdout + plain.stderr


def test_settings_file(emoprep, demo_road, tmp_path):
    settings = tmp_path / "emoprep.toml"
    settings.write_text('[segment]\nfps = 5\nmax-skipped = "50%"\nlimit = 4\n[stats]\nlabels = "meld-3"\n')
    plan = json.loads(emoprep("segment", demo_road / "MELD.Raw", "x", "--dry-run", "--json", cwd=tmp_path).stdout)
    full = json.loads(emoprep("segment", demo_road / "MELD.Raw", "x", "--dry-run", "--json", cwd=demo_road).stdout)
    assert plan["utterances"] < full["utterances"]
    wins = json.loads(emoprep("segment", demo_road / "MELD.Raw", "x", "--dry-run", "--json", "--limit", "9999",
                              cwd=tmp_path).stdout)
    assert wins["utterances"] == full["utterances"] and wins["estimated_bytes"] < full["estimated_bytes"]
    named = emoprep("stats", demo_road / "shards", "--json", "--config", settings, cwd=demo_road)
    assert json.loads(named.stdout)["label_scheme"] == "meld-3"


@pytest.mark.parametrize(("text", "words"), [
    ("[segment]\nframes = 3\n", "the command has no such option"),
    ("[cut]\nfps = 3\n", "this table is no command"),
    ("fps = 3\n", "this table is no command"),
    ("[segment\n", "the settings are no TOML"),
    ("[segment]\nlimit = \"many\"\n", "--limit"),
])
def test_bad_settings_are_told(emoprep, demo_road, tmp_path, text, words):
    (tmp_path / "emoprep.toml").write_text(text)
    done = emoprep("segment", demo_road / "MELD.Raw", "x", "--dry-run", cwd=tmp_path)
    assert done.returncode == 2 and words in one_line(done)


def test_markup_in_data_is_data(emoprep, demo_road, tmp_path):
    """rich would swallow [joy] in a printed name."""
    (tmp_path / "dev_sent_emo.csv").write_bytes(
        b"Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\r\n"
        b'1,hi,[joy] [/],joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"\r\n')
    assert "[joy] [/]" in emoprep("stats", tmp_path, "--by", "speaker").stdout


def test_reader_of_the_output_may_leave(demo_road):
    done = subprocess.run(f"{sys.executable} -m emoprep stats {demo_road}/MELD.Raw --by dialogue | head -1; "
                          "exit ${PIPESTATUS[0]}", shell=True, executable="/bin/bash", capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_no_trace_of_the_machine_in_a_store(demo_road):
    """No file of the store holds jobs, dates, host names, mtimes or absolute paths."""
    import socket

    secrets = [str(demo_road), os.path.realpath(demo_road), socket.gethostname(), str(Path.home())]
    for store in ("shards", "features", "smote", "oversample", "weights"):
        for path in (demo_road / store).iterdir():
            content = path.read_bytes()
            for secret in secrets:
                if len(secret) > 5:
                    assert secret.encode() not in content, (path, secret)
        assert "jobs" not in json.loads((demo_road / store / "manifest.json").read_text())["settings"]


def test_second_run_is_a_quick_no_op(emoprep, demo_road):
    before = {path: path.stat().st_mtime_ns for path in demo_road.rglob("*") if path.is_file()}
    manifest = demo_road / "shards/manifest.json"
    done = emoprep("segment", demo_road / "MELD.Raw", demo_road / "shards")
    assert done.returncode == 0 and "complete already; nothing to do" in done.stdout
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed in ([manifest], [])  # another test may have touched it in the same tick


def test_overwrite_starts_anew(emoprep, demo_road, tmp_path):
    source = demo_road / "MELD.Raw"
    assert emoprep("segment", source, tmp_path / "s", "--limit", "3").returncode == 0
    refused = emoprep("segment", source, tmp_path / "s", "--limit", "3", "--size", "64")
    assert refused.returncode == 2
    assert "OUT holds another run: got settings size 112 there, 64 now; give another OUT" in one_line(refused)
    assert emoprep("segment", source, tmp_path / "s", "--limit", "3", "--size", "64", "--overwrite").returncode == 0
    assert json.loads((tmp_path / "s/manifest.json").read_text())["settings"]["size"] == 64


@pytest.mark.parametrize(("command", "store"), [
    (("features",), "shards"), (("balance", "--strategy", "weights"), "features"),
    (("balance", "--strategy", "smote"), "shards"), (("segment",), "MELD.Raw"),
    (("balance", "--strategy", "weights"), "MELD.Raw"),
])
def test_out_may_not_be_in(emoprep, demo_road, tmp_path, command, store):
    """Filling OUT with --overwrite would begin with removing what is to be read."""
    shutil.copytree(demo_road / store, tmp_path / "in")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()}
    name, *options = command
    for out in ("in", "link"):
        done = emoprep(name, "in", out, *options, "--overwrite", cwd=tmp_path)
        assert done.returncode == 2 and "OUT is IN" in one_line(done)
    assert {path: path.read_bytes() for path in (tmp_path / "in").rglob("*") if path.is_file()} == before


def test_a_lost_shard_is_told_and_made_again(emoprep, demo_road, tmp_path):
    source, store = demo_road / "MELD.Raw", tmp_path / "shards"
    shutil.copytree(demo_road / "shards", store)
    whole = (store / "train-000000.tar").read_bytes()
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(whole[:5000])):
        damage(store / "train-000000.tar")
        for command in (("features",), ("balance", "--strategy", "weights")):
            done = emoprep(command[0], store, tmp_path / "out", *command[1:])
            assert done.returncode == 5 and "run the command that made the store again" in one_line(done)
        done = emoprep("segment", source, store, "-q")
        assert done.returncode == 0 and (store / "train-000000.tar").read_bytes() == whole
    (store / "manifest.json").unlink()
    refused = emoprep("segment", source, store)
    assert refused.returncode == 2 and "lost its manifest; give another OUT, or --overwrite" in one_line(refused)
    assert emoprep("segment", source, store, "--overwrite", "-q").returncode == 0
    assert (store / "train-000000.tar").read_bytes() == whole


def test_output_on_a_full_disk(demo_road):
    for options in ((), ("--json",)):
        with open("/dev/full", "w") as full:
            done = subprocess.run([sys.executable, "-m", "emoprep", "stats", str(demo_road / "MELD.Raw"), *options],
                                  stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and "No space left on device" in one_line(done)


def test_ctrl_c_while_imports_load(demo_road, tmp_path):
    """In the first tenths of a second, too, it is one line and no traceback."""
    for wait in (0.1, 0.15, 0.2, 0.3, 0.4):
        command = [sys.executable, "-m", "emoprep", "segment", demo_road / "MELD.Raw", tmp_path / f"{wait}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        if process.returncode != 0 and told:  # it may have been too early even for Python itself
            assert "emoprep: interrupted" in told or "emoprep/" not in told, told


def test_an_excluded_utterance_counts_nowhere(emoprep, demo_road, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("\ufeffmeld_train_dia0_utt0  # noisy\n", encoding="utf-8")
    assert emoprep("segment", demo_road / "MELD.Raw", tmp_path / "s", "--exclude", keys, "-q").returncode == 0
    assert emoprep("features", tmp_path / "s", tmp_path / "f", "-q").returncode == 0
    done = emoprep("balance", tmp_path / "f", tmp_path / "b", "--strategy", "smote", "--json")
    assert sum(json.loads(done.stdout)["before"].values()) == 59
    plan = pq.read_table(tmp_path / "b/plan.parquet").to_pylist()
    (row,) = [item for item in plan if item["key"] == "meld_train_dia0_utt0"]
    assert row["loss_mask"] == 0
    assert not [item for item in plan if "meld_train_dia0_utt0" in (item["base"], item["neighbor"])]


def test_a_store_that_was_interrupted_is_named(emoprep, demo_road, tmp_path):
    done = emoprep("segment", demo_road / "MELD.Raw", tmp_path / "s", "--max-skipped", "0")
    assert done.returncode == 3 and not (tmp_path / "s/manifest.json").exists()
    for arguments in (("stats", "s"), ("balance", "s", "o", "--strategy", "weights")):
        done = emoprep(*arguments, cwd=tmp_path)
        assert done.returncode == 5 and "IN is a store that was interrupted" in one_line(done)
