"""The wall of samples: for each class a few utterances to look at and to listen to.

They are drawn from all splits in turn, and from as many speakers as there are, so that five samples of a class are not
five sentences of one scene. Utterances that no loss counts are not drawn, and neither are copies of others.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from emoprep.errors import EmoprepError
from emoprep.labels import MULTI, LabelScheme
from emoprep.media.listen import encode_mp3
from emoprep.report.contents import Absent, Sample, Wall, name_of
from emoprep.report.train import read_column
from emoprep.sample import Opened, Samples, has_shard
from emoprep.stats.rows import Named, open_source
from emoprep.store.manifest import Store
from emoprep.utterance import SPLITS, child_seed

__all__ = ["chosen_frames", "film_strip", "gather_wall", "spread"]

PICTURES, A_ROW = 8, 4
SIDE_PX = 96  # of a square picture; wide and tall ones have its area
QUALITY = 75

HEARD_S = 15.0
"""So much of a sound is there to listen to: an hour's would be 20 MB."""

MADE_SHARE = 3  # every third place may go to what balancing made

LOOKED_AT = 1000  # rows of a split, in a random order, among which speakers are told apart

SPARE = 20  # samples of a class that are tried in the place of those that cannot be read


def gather_wall(store: Store, scheme: LabelScheme, *, each: int = 5, seed: int = 0) -> Wall:
    """Return some samples of each class of a store of shards: the same ones for the same seed.

    Each class's draws depend on its own utterances alone; with several labels, an utterance stands under the first one
    that draws it. Raises Absent where there is nothing to show, EmoprepError where the index cannot be read.
    """
    if store.manifest.kind != "shards":
        raise Absent("IN holds no shards; `emoprep segment` makes them")
    pools, notes = _pools(store, scheme)
    # Of several labels' candidates, those before may have taken as many as they have places.
    most = SPARE + each * (len(scheme.labels) if scheme.task == MULTI else 1)
    orders = {name: list(islice(pool.order(np.random.default_rng(child_seed(seed, "wall", "/".join(name), 0))), most))
              for name, pool in pools.items()}
    drawing = _Drawing(store, scheme, sorted({row for order in orders.values() for row in order}))
    samples = {}
    for label in scheme.labels:
        made = drawing.take(orders[label, "made"], each // MADE_SHARE)
        kept = drawing.take(orders[label, "kept"], each - len(made))
        # Where the whole class was changed in its place, what was made is all there is.
        samples[label] = [*kept, *made, *drawing.take(orders[label, "made"], each - len(kept) - len(made))]
    notes = (*notes, *drawing.notes)
    if not any(samples.values()):
        raise Absent("; ".join(notes) or "no utterance that counts has a sample and is of a class")
    return Wall(name_of(store.path), samples, notes)


# ------------------------------------------------------------------------------------------------- which

@dataclass(frozen=True)
class _Pool:
    """Rows of the index that one place of the wall may show; `turn` and `speaker` are of all rows."""

    rows: np.ndarray
    turn: np.ndarray
    speaker: np.ndarray

    def order(self, rng: np.random.Generator) -> Iterator[int]:
        drawn = rng.permutation(self.rows)
        return (int(drawn[at]) for at in spread(self.turn[drawn], self.speaker[drawn]))


def spread(turn: np.ndarray, speaker: np.ndarray) -> Iterator[int]:
    """Yield places of rows, whose turns and speakers are int [N]: the turns one by one, then again from the first.

    Of the rows that have the turn (of many, of the first thousand), the first whose speaker came least often.

    >>> list(spread(np.array([0, 0, 0, 1, 1]), np.array([7, 7, 8, 7, 9])))
    [0, 4, 2, 3, 1]
    """
    queues = [np.flatnonzero(turn == one)[:LOOKED_AT] for one in np.unique(turn)]
    came = np.zeros(speaker.max(initial=0) + 1, np.int64)
    while queues:
        for number, queue in enumerate(queues):
            at = int(np.argmin(came[speaker[queue]]))
            came[speaker[queue[at]]] += 1
            queues[number] = np.delete(queue, at)
            yield int(queue[at])
        queues = [queue for queue in queues if len(queue)]


def _pools(store: Store, scheme: LabelScheme) -> tuple[dict[tuple[str, str], _Pool], list[str]]:
    """Return the rows of each class that may be drawn, those of the corpus ("kept") and those that were made."""
    source = open_source(store.path, None, None)
    rows, ops = source.rows(scheme, "shard")[0], source.rows(scheme, "op")[0].by
    names = rows.by.names
    there = _among(rows.by, [name for name in names if has_shard(store, name)])
    lost = [str(name)[:60] for name in names if name is not None and not has_shard(store, name)]
    drawn = {"kept": _among(ops, ["keep"]), "made": ~_among(ops, ["keep", "repeat"])}
    turn = np.array([SPLITS.index(name) if name in SPLITS else len(SPLITS) for name in rows.split.names] or [0])
    pools = {}
    for number, label in enumerate(scheme.labels):
        inside = (rows.y == number if rows.y.ndim == 1 else rows.y[:, number] == 1) & (rows.weight > 0) & there
        for kind, of_kind in drawn.items():
            pools[label, kind] = _Pool(np.flatnonzero(inside & of_kind), turn[rows.split.codes], rows.speaker.codes)
    return pools, [f"shards that are not there, whose samples cannot be shown: {len(lost)}, first {lost[0]}"] \
        if lost else []


def _among(column: Named, names: Iterable[str]) -> np.ndarray:
    """Tell which rows of a column have one of these names, bool [N].

    >>> _among(Named.of(["keep", None, "augment"]), ["keep", "repeat"]).tolist()
    [True, False, False]
    """
    wanted = set(names)
    return np.array([name in wanted for name in column.names] or [False])[column.codes]


# ---------------------------------------------------------------------------------------------- and what

@dataclass
class _Drawing:
    """Samples of a store as they are taken, each at most once; those that cannot be read are noted."""

    store: Store
    scheme: LabelScheme
    rows: list[int]
    taken: set[str] = field(default_factory=set)
    unread: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        import pyarrow

        rows = pyarrow.array(self.rows, pyarrow.int64())
        keys = read_column(self.store, "key").take(rows).to_pylist()
        self.keys = dict(zip(self.rows, keys, strict=True))
        self.samples = Samples(self.store, keys)

    def take(self, order: Iterable[int], most: int) -> list[Sample]:
        """Return the first samples of an order of rows that can be read and were not taken before."""
        found: list[Sample] = []
        for row in order:
            if len(found) == most:
                break
            key = self.keys[row]
            if key in self.taken or key in self.unread:
                continue
            try:
                found.append(_sample(self.samples.read(key), self.scheme, self.store.manifest.annotation))
                self.taken.add(key)
            except EmoprepError as error:
                self.unread[key] = str(error)
        return found

    @property
    def notes(self) -> list[str]:
        if not self.unread:
            return []
        first = next(iter(self.unread.values()))
        return [f"samples that cannot be read, and were passed over: {len(self.unread)}, first {first}"]


def _sample(opened: Opened, scheme: LabelScheme, annotation: Iterable[str]) -> Sample:
    row, code = opened.row, scheme.encode([opened.row])[0]
    if code == scheme.outside:
        raise EmoprepError("several rows of the index have one key, and other classes", where=opened.key,
                           remedy="run `emoprep verify` on the store")
    labels = [label for label, holds in zip(scheme.labels, code, strict=True) if holds == 1] \
        if scheme.task == MULTI else [scheme.labels[code]]
    strip, size, times = (None, (0, 0), ()) if opened.frames is None \
        else film_strip(opened.frames, opened.facts["fps"], opened.aspect)
    sound, heard = (None, 0.0) if opened.sound is None else encode_mp3(*opened.sound, HEARD_S)
    return Sample(
        **{name: row[name] for name in ("key", "split", "dialogue", "turn", "speaker", "text", "start", "end", "op")},
        labels=labels, annotation={name: row[name] for name in annotation if name in row},
        seconds=row["end"] - row["start"], flags=row["flags"] or (), parents=opened.parents,
        parameters=opened.parameters, strip=strip, size=size, times=times, sound=sound, heard_seconds=heard)


def film_strip(frames: np.ndarray, fps: float, aspect: float = 1.0
               ) -> tuple[bytes, tuple[int, int], tuple[float, ...]]:
    """Return pictures of an utterance, of frames uint8 [F, s, s, 3], as a JPEG, four a row; its size; their times.

    There are all of up to 8 frames, else the middles of eighths, in their true proportions (`aspect` is width ÷
    height); frame i is what is seen (i + ½)/fps seconds after the start.
    """
    from PIL import Image

    chosen, side = chosen_frames(len(frames)), min(SIDE_PX, frames.shape[1])
    width, height = round(side * math.sqrt(aspect)), round(side / math.sqrt(aspect))
    strip = Image.new("RGB", (min(A_ROW, len(chosen)) * width, math.ceil(len(chosen) / A_ROW) * height))
    for place, frame in enumerate(chosen):
        picture = Image.fromarray(frames[frame]).resize((width, height), Image.Resampling.LANCZOS)
        strip.paste(picture, (place % A_ROW * width, place // A_ROW * height))
    with io.BytesIO() as buffer:
        strip.save(buffer, "JPEG", quality=QUALITY, optimize=True)
        return buffer.getvalue(), strip.size, tuple((frame + 0.5) / fps for frame in chosen)


def chosen_frames(frames: int) -> list[int]:
    """Return which frames of an utterance are shown.

    >>> chosen_frames(3), chosen_frames(30)
    ([0, 1, 2], [1, 5, 9, 13, 16, 20, 24, 28])
    """
    shown = min(frames, PICTURES)
    return [(2 * place + 1) * frames // (2 * shown) for place in range(shown)]
