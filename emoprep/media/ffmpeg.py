"""The second decoder: the system's ffmpeg program, for hardware decoding and codecs that PyAV's wheel lacks.

The program decodes and hands pictures and sound with their times through a pipe in one pass (NUT, which keeps
any clock exactly); everything after that is the same code as for the default decoder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from fractions import Fraction
from functools import cache

import av

from emoprep.errors import MissingInput
from emoprep.media import pyav
from emoprep.media.decode import DecodeFailure, Events, Recipe

__all__ = ["pictures_and_sound", "program"]


@cache
def program() -> str:
    """Return the ffmpeg program to start."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingInput("the program ffmpeg is not there", where="--decoder ffmpeg", expected="ffmpeg on PATH",
                           remedy="install it (apt-get install ffmpeg), or leave out --decoder ffmpeg")
    return found


def pictures_and_sound(path: str, recipe: Recipe, *, video: bool, audio: bool, until: Fraction | None,
                       flags: list[str]) -> Events:
    """Yield pictures and sound with their times, as `pyav.pictures_and_sound` does."""
    command = _command(path, recipe, video, audio)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            with av.open(process.stdout, format="nut") as container:
                yield from pyav.read_container(container, recipe, video=video, audio=audio, until=until,
                                               flags=flags, facts=pyav.read_facts(path))
        except (OSError, ValueError) as error:
            # The pipe holds nothing: what ffmpeg itself said is the reason.
            said = process.stderr.read(100_000).decode(errors="replace").strip().splitlines()
            raise DecodeFailure(" ".join((said or [str(error)])[-1].split())) from error
        finally:
            process.kill()


def _command(path: str, recipe: Recipe, video: bool, audio: bool) -> list[str]:
    import ffmpeg

    given = {"hwaccel": recipe.hwaccel} if recipe.hwaccel else {}
    # protocol_whitelist: a playlist that calls itself .mp4 must not open anything else.
    source = ffmpeg.input(f"file:{os.path.abspath(path)}", threads=1, protocol_whitelist="file", **given)
    # Stream maps and not filter labels, because a missing stream must stay missing ("?" makes it optional).
    maps = (["0:V:0?"] if video else []) + (["0:a:0?"] if audio else [])
    graph = ffmpeg.output(
        source, "pipe:1", format="nut", vcodec="rawvideo", acodec="pcm_f32le",
        # -copyts and passthrough keep the container's own times; ffmpeg's defaults would shift and repeat.
        copyts=None, fps_mode="passthrough", enc_time_base="-1", **{"filter_threads": 1})
    arguments = ffmpeg.compile(graph.global_args("-nostdin", "-hide_banner", "-loglevel", "error"), cmd=program())
    at = arguments.index("pipe:1")
    return arguments[:at] + [word for stream in maps for word in ("-map", stream)] + arguments[at:]
