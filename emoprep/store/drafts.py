"""Files that are written whole or not at all: a draft, and then its final name."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from emoprep.errors import EmoprepError

__all__ = ["STATE", "disk_error", "draft", "lone_draft", "take_over", "write_bytes"]

STATE = ".emoprep"
"""The workshop of a folder that is being filled."""


@contextlib.contextmanager
def draft(path: Path, workshop: Path | None = None) -> Iterator[Path]:
    """Give a draft to write to, and rename it to `path` once the block ends well; else remove it.

    Drafts lie in the workshop, `.emoprep/` of the same folder, so that no glob over the store ever meets one.
    """
    # Two workers may be given one piece after a death; on other machines, even under the same process id.
    sketch = (workshop or path.parent / STATE) / f"{path.name}.{secrets.token_hex(8)}.draft"
    try:
        sketch.parent.mkdir(parents=True, exist_ok=True)
        yield sketch
        os.replace(sketch, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            sketch.unlink()


@contextlib.contextmanager
def lone_draft(path: Path) -> Iterator[Path]:
    """Give a draft of a file that is no piece of a store; it lies beside the file, as hidden as its name can be."""
    sketch = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    try:
        yield sketch
        os.replace(sketch, path)
    except OSError as error:
        raise EmoprepError("cannot write", where=str(path), got=error.strerror or str(error),
                           remedy="make room, or choose another place") from error
    finally:
        with contextlib.suppress(OSError):
            sketch.unlink()


def take_over(source: Path, target: Path) -> None:
    """Hard-link a file that does not change; copy it where the disk does not allow that."""
    with draft(target) as sketch:
        try:
            os.link(source, sketch)
        except OSError:
            shutil.copyfile(source, sketch)


def disk_error(error: OSError, path: Path) -> EmoprepError:
    """Say what the disk refused, and what is safe."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return EmoprepError("cannot write", where=str(path), got=error.strerror or str(error),
                        remedy=("make room or choose another OUT" if full else "choose another OUT")
                        + ", then run the same command again: finished shards are kept")


def write_bytes(path: Path, data: bytes, workshop: Path | None = None) -> None:
    """Write a small file whole or not at all."""
    with draft(path, workshop) as sketch, sketch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
