"""Computational sequences: the one room that opens the .csd files of the CMU-MultimodalSDK.

A .csd is an HDF5 file of one modality: `/<name>/data/<video>/intervals` [N, 2] in seconds of the whole video, and
`features` [N, D] beside it, numbers, or one word (or phone) a row. Its metadata is not needed, and only its absence
is told: the SDK's own check asks for a key that no file has.

HDF5 can name other files (external links, virtual datasets, external storage) and can claim any size. Only what
lies in the file itself is read, and nothing is allocated that its stored bytes could not fill.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emoprep.errors import CorpusError, MissingInput

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Sequence", "find_first", "open_csd"]

# What h5py raises where bytes are not what they claim to be.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)

# DEFLATE, the SDK's filter, makes at most 1032 bytes of one.
_EXPANSION = 1032

# An hour of COVAREP, the largest of CMU's, is 107 MB (100 steps a second, 74 float32); a video of a minute is usual.
_MOST = 2 ** 28

# What Python takes for a word besides its letters.
_WORD = 100


def find_first(root: Path, places: Iterable[str]) -> tuple[Path | None, tuple[str, ...]]:
    """Return the first of these paths below `root` that is there (None: none is), and a note on each further one.

    Raises MissingInput for what is there and is no file: a folder, a pipe, a link that leads nowhere.
    """
    found, notes = None, []
    for path in (root / place for place in places):
        if not path.is_file():
            if os.path.lexists(path):
                raise MissingInput("this is no file", where=str(path), expected="a file, or nothing of this name",
                                   got="a link that leads nowhere" if path.is_symlink() else "a folder or the like",
                                   remedy="put the file there, or remove this")
        elif found is None:
            found = path
        elif not path.samefile(found):  # Raw may be a link to its parent, and labels/ and Labels/ one folder
            one, other = (place.relative_to(root).as_posix() for place in (found, path))
            notes.append(f"{path.name} is there twice: {one} is read, {other} is not")
    return found, tuple(notes)


@contextmanager
def open_csd(path: Path) -> Iterator[Sequence]:
    """Open a .csd file and yield its Sequence; the file is closed afterwards.

    Raises MissingInput where there is no file, CorpusError where it is no HDF5, is cut off, or has no group
    `<name>/data`.
    """
    import h5py

    if not path.is_file():
        raise MissingInput("the computational sequence is not there", where=str(path), remedy="check the path")
    try:
        # Shared folders often refuse locks, and nothing is written here.
        file = h5py.File(path, "r", locking="best-effort")
    except _BROKEN as error:
        cut = "truncated" in str(error)
        raise CorpusError("the file is cut off" if cut else "this is no HDF5 file that can be read", where=str(path),
                          expected="a computational sequence (.csd)", got=str(error),
                          remedy="download it again") from error
    with file:
        _bound_cache(file.id)
        yield Sequence(path, file.id)


def _bound_cache(file) -> None:
    """Keep HDF5's cache of metadata small: unasked it grows with every video that is read."""
    config = file.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.min_size = config.max_size = 2 ** 18
    file.set_mdc_config(config)


class Sequence:
    """One computational sequence: its `name` ("All Labels", "COVAREP"), and its `videos` as the file has them.

    After alignment the entries are segments, "<video>[<row of the labels>]"; they are kept as they are. `notes` say
    what the file lacks (metadata), and what of it is not read.
    """

    name: str
    videos: tuple[str, ...]
    notes: tuple[str, ...]

    def __init__(self, path: Path, root):
        self._path, self._bytes = path, path.stat().st_size
        names = self._names(root, "the file")
        if not names:
            raise CorpusError("the file is empty", where=str(path), expected="<name>/data/<video>")
        self.name, self._data, self.videos = self._only(root, names)
        self._known = frozenset(self.videos)
        self.notes = tuple(self._notes(root, names))

    def dims(self, video: str) -> int:
        """Return D, the number of values in a row of the video's features; nothing is read. Errors as `read`."""
        return self._shapes(*self._pair(video), video)[1]

    def read(self, video: str) -> tuple[np.ndarray, np.ndarray | list[str]]:
        """Return a video's intervals, float64 [N, 2] in seconds, and its features.

        Features are float32 [N, D] (NaN and infinities stay), or a list of N words. Raises CorpusError (path and
        video) where the two are missing, of other shapes, of different lengths, larger than a video's can be, not
        stored in this file, smaller than they claim, or where a time is no finite number.
        """
        import numpy as np

        intervals, features = self._pair(video)
        rows, width = self._shapes(intervals, features, video)
        times = self._array(intervals, f"{video}/intervals")
        if times.dtype.kind == "S":
            raise self._error("these times are no numbers", f"{video}/intervals", got=str(times.dtype))
        times = times.astype(np.float64)
        if not np.isfinite(times).all():
            row = int(np.flatnonzero(~np.isfinite(times).all(axis=1))[0])
            raise self._error("a time is no finite number", f"{video}/intervals", got=f"{times[row]} in row {row}")
        values = self._array(features, f"{video}/features")
        if values.dtype.kind != "S":
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and told by whoever fits on it
                return times, values.astype(np.float32, copy=False)
        if width != 1:
            raise self._error("these words are not one a row", f"{video}/features", expected="[N, 1]",
                              got=str([rows, width]))
        return times, [word.decode("utf-8", errors="replace") for word in values.reshape(rows).tolist()]

    # ---------------------------------------------------------------------------------------- the file's parts

    def _error(self, what: str, part: str, **facts: str) -> CorpusError:
        return CorpusError(what, where=f"{self._path}, {part}", **facts)

    def _names(self, group, part: str) -> list[str]:
        try:
            names = [name.decode("utf-8") for name in group]
        except (*_BROKEN, UnicodeDecodeError) as error:
            raise self._error("the names in this group cannot be read", part, got=str(error)) from error
        # HDF5 would walk along such a name, and out of the file by a link on the way.
        if odd := next((name for name in names if "/" in name or name in ("", ".")), None):
            raise self._error("this cannot be a name", part, got=repr(odd))
        return names

    def _open(self, group, name: str, kind: str, part: str):
        """Open a group or dataset that lies in this file."""
        from h5py import h5d, h5g, h5l, h5o

        link = name.encode()
        try:
            there = group.links.exists(link)
            hard = there and group.links.get_info(link).type == h5l.TYPE_HARD
            found = h5o.open(group, link) if hard else None
        except _BROKEN as error:
            raise self._error(f"this {kind} cannot be read", part, got=str(error)) from error
        if not there:
            raise self._error(f"there is no {kind} of this name", part)
        if not hard:
            raise self._error("this is a link, which may lead out of the file", part, expected=f"a {kind}")
        if not isinstance(found, {"group": h5g.GroupID, "dataset": h5d.DatasetID}[kind]):
            raise self._error(f"this is no {kind}", part)
        return found

    def _only(self, root, names: list[str]):
        """Return the name of the sequence, its group of videos, and their names: a file holds one sequence.

        Another group beside it may be there (the SDK takes the first), but not another one with videos.
        """
        found, failures = {}, []
        for name in names:
            part = f"{name}/data"
            try:
                data = self._open(self._open(root, name, "group", name), "data", "group", part)
                found[name] = name, data, tuple(self._names(data, part))
            except CorpusError as error:
                failures.append(error)
        if not found:
            raise failures[0]
        filled = [name for name, (_, _, videos) in found.items() if videos]
        if len(filled) > 1:
            raise CorpusError("this file holds more than one sequence", where=str(self._path), expected="one",
                              got=" and ".join(repr(name[:100]) for name in filled[:2]),
                              remedy="download the file again, or put each sequence into a file of its own")
        return found[filled[0] if filled else next(iter(found))]

    def _notes(self, root, names: list[str]) -> Iterator[str]:
        file = self._path.name
        if not self._has_metadata(root):
            yield f"{file} has no metadata; its version and source are unknown"
        if others := [repr(name[:100]) for name in names if name != self.name]:
            more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
            yield f"{file}: {self.name[:100]!r} is read, and not beside it {others[0]}{more}"

    def _has_metadata(self, root) -> bool:
        part = f"{self.name}/metadata"
        try:
            group = self._open(self._open(root, self.name, "group", self.name), "metadata", "group", part)
            return bool(self._names(group, part))
        except CorpusError:
            return False

    def _pair(self, video: str):
        if video not in self._known:
            raise self._error("there is no such video", video)
        group = self._open(self._data, video, "group", video)
        return [self._open(group, name, "dataset", f"{video}/{name}") for name in ("intervals", "features")]

    def _shapes(self, intervals, features, video: str) -> tuple[int, int]:
        """Return N and D; nothing is allocated before these are known to be a video's."""
        times, values = intervals.shape, features.shape
        if times is None or len(times) != 2 or times[1] != 2:
            raise self._error("the intervals have another shape", f"{video}/intervals", expected="[N, 2]",
                              got=str(list(times or ())))
        if values is None or len(values) != 2 or not values[1]:
            raise self._error("the features have another shape", f"{video}/features", expected="[N, D]",
                              got=str(list(values or ())))
        if times[0] != values[0]:
            raise self._error("intervals and features differ in length", video, expected=f"{times[0]} features",
                              got=str(values[0]))
        try:
            room = _room(intervals, 8) + _room(features, 4)  # what is read is float64 and float32
        except _BROKEN as error:
            raise self._error("the values cannot be read", video, got=str(error)) from error
        if room > _MOST:
            raise self._error("this is more than a video's sequence can hold", video, got=f"{room:,} bytes",
                              expected=f"at most {_MOST:,} bytes of values (an hour of COVAREP is 107,000,000)",
                              remedy="download the file again")
        return values

    def _array(self, dataset, part: str) -> np.ndarray:
        import numpy as np
        from h5py import h5s

        try:
            self._check_stored(dataset, part)
            dtype = dataset.dtype
            if dtype.kind not in "fiuS":
                # References lead elsewhere, and HDF5 may search a damaged heap of variable-length text for ever.
                raise self._error("this is neither numbers nor text of a fixed length", part, got=str(dtype))
            values = np.empty(dataset.shape, dtype)
            if values.size:
                dataset.read(h5s.ALL, h5s.ALL, values)
            return values
        except _BROKEN as error:
            raise self._error("the values cannot be read", part, got=str(error)) from error

    def _check_stored(self, dataset, part: str) -> None:
        """Refuse values that lie in other files, and sizes that the stored bytes cannot fill."""
        from h5py import h5d

        layout = dataset.get_create_plist()
        if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
            raise self._error("the values lie in another file", part)
        stored, most = dataset.get_storage_size(), 1
        claimed = pieces = math.prod(dataset.shape) * dataset.get_type().get_size()
        if layout.get_layout() == h5d.CHUNKED and claimed:
            chunks, values = _chunks(dataset, layout)
            # A chunk that was never written would read as zeros.
            pieces = chunks * values * dataset.get_type().get_size()
            most = _EXPANSION if dataset.get_num_chunks() == chunks else 0
        if stored > self._bytes or max(claimed, pieces) > stored * most:
            raise self._error("not all values are there", part, expected=f"{claimed:,} bytes for {list(dataset.shape)}",
                              got=f"{stored:,} bytes", remedy="download the file again")


def _chunks(dataset, layout) -> tuple[int, int]:
    """Return how many chunks a dataset has, and the values in each, those beyond its border among them."""
    chunk = layout.get_chunk()
    return math.prod(-(-size // step) for size, step in zip(dataset.shape, chunk, strict=True)), math.prod(chunk)


def _room(dataset, least: int) -> int:
    """Return the bytes that a dataset takes once it is read, of which a number takes `least` or more."""
    from h5py import h5d, h5t

    kind, layout, values = dataset.get_type(), dataset.get_create_plist(), math.prod(dataset.shape)
    if layout.get_layout() == h5d.CHUNKED and values:
        values = math.prod(_chunks(dataset, layout))  # HDF5 unpacks a chunk as a whole
    size = kind.get_size()
    return values * (size + _WORD if kind.get_class() == h5t.STRING else max(size, least))
