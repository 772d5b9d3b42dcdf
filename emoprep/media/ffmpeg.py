"""The second decoder: the system's ffmpeg program, for hardware decoding and codecs that PyAV's wheel lacks.

The program decodes and hands pictures and sound with their times through a pipe in one pass (NUT, which keeps
any clock exactly); everything after that is the same code as for the default decoder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from fractions import Fraction
from functools import cache

import av

from emoprep.errors import MissingInput
from emoprep.media import pyav
from emoprep.media.decode import DecodeFailure, Events, Recipe, Watch

__all__ = ["pictures_and_sound", "program"]

WAIT_S = 1.0
"""How long ffmpeg may take to end once its pipe was read to the end."""


@cache
def program(option: str = "--decoder ffmpeg") -> str:
    """Return the ffmpeg program to start; `option` is what it is wanted for."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingInput("the program ffmpeg is not there", where=option, expected="ffmpeg on PATH",
                           remedy=f"install it (apt-get install ffmpeg), or leave out {option}")
    return found


def pictures_and_sound(path: str, recipe: Recipe, *, video: bool, audio: bool, until: Fraction | None,
                       flags: list[str], watch: Watch, on_screen: pyav.OnScreen | None = None) -> Events:
    """Yield pictures and sound with their times, as `pyav.pictures_and_sound` does.

    The program cannot be told which pictures are wanted; it decodes all of them.
    """
    facts = pyav.read_facts(path, recipe, watch, video=video)
    command = _command(path, recipe, video, audio, facts)
    # A file takes what ffmpeg says of a broken film, however much it is; a pipe that nobody reads would block it.
    with tempfile.TemporaryFile() as said, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said) as process:
        try:
            if watch.patience is not None:
                threading.Thread(target=_guard, args=(process, watch), daemon=True).start()
            with av.open(process.stdout, format="nut") as container:
                yield from pyav.read_container(container, recipe, video=video, audio=audio, until=until, flags=flags,
                                               watch=watch, facts=facts)
                watch.check()
                complained = process.wait(WAIT_S) != 0 or said.tell() > 0
            if complained and "damaged" not in flags:
                flags.append("damaged")
        except subprocess.TimeoutExpired:
            pass  # more than `until` was asked for; what follows does not matter
        except pyav.BROKEN as error:
            watch.check()
            process.kill()
            said.seek(0)
            lines = said.read(100_000).decode(errors="replace").strip().splitlines()
            # Without the path: where IN lies is nothing that a store should hold.
            told = (lines or [str(error)])[-1].replace(f"file:{os.path.abspath(path)}", "")
            raise DecodeFailure(" ".join(told.split()).removeprefix(": ")) from error
        finally:
            process.kill()


def _guard(process: subprocess.Popen, watch: Watch) -> None:
    """Kill the program once the watch is over: whoever reads its pipe waits for it in libav, and hears no clock."""
    while process.poll() is None:
        if watch.over:
            process.kill()
        time.sleep(min(1.0, watch.patience / 4))


def _command(path: str, recipe: Recipe, video: bool, audio: bool, facts: pyav.Facts | None) -> list[str]:
    import ffmpeg

    given = {"hwaccel": recipe.hwaccel} if recipe.hwaccel else {}
    limits = {"max_pixels": recipe.max_pixels, **(pyav.FAST if recipe.fast else {})}
    source = ffmpeg.input(f"file:{os.path.abspath(path)}", threads=1, **pyav.GUARD, **limits, **given)
    # Stream maps and not filter labels, because a missing stream must stay missing ("?" makes it optional).
    maps = (["0:V:0?"] if video else []) + (["0:a:0?"] if audio else [])
    # NUT knows no time below 0, and all would be shifted for its sake; sound before 0 is not wanted anyway.
    # Nor does it tell which of six channels is the front centre, so ffmpeg takes that one out.
    centre = recipe.downmix == "centre" and facts is not None and len(facts.channels) > 1 and "FC" in facts.channels
    graph = ffmpeg.output(
        source, "pipe:1", format="nut", vcodec="rawvideo", acodec="pcm_f32le",
        # -copyts, passthrough and disabled keep the container's own times; ffmpeg's defaults would shift and repeat.
        copyts=None, fps_mode="passthrough", enc_time_base="-1", avoid_negative_ts="disabled", filter_threads=1,
        af="atrim=start=0" + (",pan=mono|c0=FC" if centre else ""))
    arguments = ffmpeg.compile(graph.global_args("-nostdin", "-hide_banner", "-loglevel", "error"), cmd=program())
    at = arguments.index("pipe:1")
    return arguments[:at] + [word for stream in maps for word in ("-map", stream)] + arguments[at:]
