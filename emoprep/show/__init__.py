"""`emoprep show`: one utterance to look at, listen to and read in its context.

    source.py    where it is looked up: a store, or a raw corpus, of which this one utterance is cut
    shown.py     all that is told of it, as a value
    pictures.py  its frames as one picture, and as a film with a caption
    waveform.py  its sound as levels
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from emoprep.errors import UsageError
from emoprep.show.pictures import write_film, write_sheet
from emoprep.show.shown import Line, Shown, look
from emoprep.show.source import open_source
from emoprep.utterance import check_key

__all__ = ["Line", "Shown", "look", "open_source", "show"]

STRIPS = (".jpg", ".jpeg", ".png")


def show(source: Path, key: str, *, strip: Path | None = None, clip: Path | None = None, overwrite: bool = False,
         labels: str | None = None, corpus: str | None = None, options: Mapping[str, str] | None = None) -> Shown:
    """Look at one utterance of a store or a raw corpus, and write its frames as one picture.

    `key` may be the end of a key ("dia0_utt3") where one alone ends so. `strip` is the picture to write, KEY.jpg in the
    system's temporary folder unless given; `clip` a film with sound and caption. `labels` names the one label scheme to
    tell, or a TOML file; else all are told. Raises UsageError where there is no such key, or a file is there already.
    """
    _check_file(strip, "--strip", STRIPS, overwrite)
    _check_file(clip, "--clip", (".mp4",), overwrite)
    if clip:
        from emoprep.media.ffmpeg import program

        program("--clip")  # so that a missing program is told before anything is cut or written
    shown = look(open_source(source, corpus, options), key, labels)
    _check_media(shown, strip, clip)
    if shown.opened.frames is not None:
        strip = strip or _place(check_key(shown.key, str(source)))
        write_sheet(shown.opened, strip)
    if clip:
        write_film(shown, clip)
    return replace(shown, strip=strip, clip=clip)


def _place(key: str) -> Path:
    """Return where a strip is written unless a place is given: what an earlier `show` wrote there is replaced.

    In a folder that many share, somebody else's file of that name cannot be, and a folder never: it gets another one.
    """
    path = Path(tempfile.gettempdir()) / f"{key}.jpg"
    if not os.path.lexists(path):
        return path
    found = path.lstat()
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid():
        return path
    return path.with_stem(f"{path.stem}-{secrets.token_hex(4)}")


def _check_file(path: Path | None, option: str, endings: tuple[str, ...], overwrite: bool) -> None:
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise UsageError("this ending is not known", where=f"{option} {path}", expected=" or ".join(endings),
                         got=path.suffix or "no ending")
    if not path.parent.is_dir():
        raise UsageError("its folder is not there", where=f"{option} {path}", expected="a folder that is there")
    if path.is_dir() or (path.exists() and not overwrite):
        raise UsageError("there is a folder of this name" if path.is_dir() else "this file is there already",
                         where=f"{option} {path}", remedy="give another name" + ("" if path.is_dir()
                                                                                 else ", or --overwrite"))


def _check_media(shown: Shown, strip: Path | None, clip: Path | None) -> None:
    """Raise where a file is asked for, and there is nothing that it could show."""
    if clip and not shown.opened.facts:
        raise UsageError("this utterance has no media here", where=f"--clip {clip}", got=shown.opened.reason,
                         remedy=shown.remedy)
    if strip and shown.opened.frames is None:
        raise UsageError("this utterance has no pictures here", where=f"--strip {strip}", got=shown.opened.reason,
                         remedy=shown.remedy)
