"""Pictures and sound → a film that any player plays, written by the ffmpeg program."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.media.encode import encode_flac
from emoprep.media.ffmpeg import program
from emoprep.media.watch import Watch
from emoprep.store.drafts import lone_draft

__all__ = ["write_clip"]

CRF = 18  # of libx264: no difference is seen
SOUND_BITS_S = "96k"
MOST_DENOMINATOR = 1_000_000
"""Frame rates are fractions (24000/1001) that a store rounded to 64 bits."""


PATIENCE_S = 120.0
"""How long ffmpeg may take for one picture, and for what it does after the last; one that hangs would never end."""


def write_clip(path: Path, pictures: Iterable[np.ndarray], size: tuple[int, int], fps: float,
               sound: tuple[np.ndarray, int] | None) -> None:
    """Write a film: H.264 and AAC in MP4, whole or not at all.

    `pictures` are uint8 [height, width, 3] in RGB, `size` is (width, height) in px, both even. `sound` is float32 [n]
    in −1..1 and its rate in Hz; None makes a film without a sound track. Raises MissingInput where there is no ffmpeg
    program, EmoprepError with its words where it fails.
    """
    with lone_draft(path) as sketch, tempfile.TemporaryDirectory() as folder:
        heard = None
        if sound is not None:
            heard, (samples, rate) = Path(folder) / "sound.flac", sound
            heard.write_bytes(encode_flac(np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16), rate))
        _run(_command(sketch, heard, size, fps), pictures, path)


def _run(command: list[str], pictures: Iterable[np.ndarray], path: Path) -> None:
    watch = Watch(PATIENCE_S)
    with tempfile.TemporaryFile() as said, _started(command, said) as process:
        try:
            threading.Thread(target=_guard, args=(process, watch), daemon=True).start()
            for picture in pictures:
                process.stdin.write(np.ascontiguousarray(picture, np.uint8).data)
                watch.renew()
            process.stdin.close()
            code = process.wait()
        except BrokenPipeError:  # it ended before it was told all; why, it says
            code = process.wait() or 1
        finally:
            process.kill()  # first: to close is to write what is left, for which one that hangs has no room
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        if code:
            said.seek(0)
            lines = said.read(100_000).decode(errors="replace").strip().splitlines()
            told = f"nothing for {PATIENCE_S:g} s" if watch.over else (lines or [f"code {code}"])[0]
            raise EmoprepError("ffmpeg could not write the clip", where=str(path), got=told)


def _started(command: list[str], said: BinaryIO) -> subprocess.Popen:
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
    except OSError as error:
        raise EmoprepError("the program ffmpeg cannot be started", where=command[0],
                           got=error.strerror or str(error), remedy="install it anew") from error


def _guard(process: subprocess.Popen, watch: Watch) -> None:
    """Kill the program once the watch is over: whoever writes to its pipe waits for it, and hears no clock."""
    while process.poll() is None and not watch.over:
        time.sleep(min(1.0, PATIENCE_S / 4))
    process.kill()


def _command(target: Path, sound: Path | None, size: tuple[int, int], fps: float) -> list[str]:
    import ffmpeg

    rate = Fraction(fps).limit_denominator(MOST_DENOMINATOR)
    shown = ffmpeg.input("pipe:0", format="rawvideo", pixel_format="rgb24", video_size=size,
                         framerate=f"{rate.numerator}/{rate.denominator}")
    heard = [] if sound is None else [ffmpeg.input(f"file:{sound.absolute()}")]
    # yuv420p: no browser and hardly a player shows what libx264 would make of RGB, 4:4:4.
    film = ffmpeg.output(shown, *heard, f"file:{target.absolute()}", format="mp4", vcodec="libx264", crf=CRF,
                         pix_fmt="yuv420p", acodec="aac", audio_bitrate=SOUND_BITS_S, movflags="+faststart")
    # xerror: without it a film whose end found no room on the disk is no failure.
    return ffmpeg.compile(film.global_args("-xerror", "-hide_banner", "-loglevel", "error"), cmd=program("--clip"))

