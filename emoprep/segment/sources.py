"""The media files of a shard while it is cut: which windows of each are wanted, and one pass over it for all of them.

Utterances of one film are cut in one pass over it, however they overlap; a sound file beside it is read once for
all that use it, in step with the film. Pictures are encoded as they come, and complete clips wait for their turn as
bytes: what is held does not grow with the length of the film.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emoprep.errors import EmoprepError
from emoprep.faces.detectors import open_detector
from emoprep.faces.follow import Follower
from emoprep.media.decode import Clip, DecodeFailure, DecodeTimeout, Watch, Window, clips
from emoprep.media.encode import Strip
from emoprep.utterance import Utterance

if TYPE_CHECKING:
    from emoprep.segment.cut import ShardTask

__all__ = ["Part", "Sources", "in_film"]

Part = Clip | DecodeFailure | None
"""What a file gave for an utterance: a clip, or why there is none; None: the utterance has no such file."""


class Sources:
    """The media files of a shard; each is decoded once for all utterances that use it."""

    def __init__(self, task: ShardTask):
        self.task = task
        self.users: dict[str | tuple, list[int]] = defaultdict(list)
        self.reading: dict[str | tuple, Source] = {}
        given_up = {skip.key for skip in task.given_up}
        for number, utterance in enumerate(task.utterances):
            if utterance.key in given_up:
                continue
            self.users[utterance.video].append(number)
            if not in_film(utterance):
                self.users[_use_of_sound(utterance)].append(number)

    @property
    def read(self) -> Iterable[Source]:
        """The sources that were opened."""
        return self.reading.values()

    def film(self, number: int) -> Part:
        """Return what its film gave for an utterance."""
        film = self.task.utterances[number].video
        if film is None:
            return None
        if film not in self.reading:
            users = {user: self.task.utterances[user] for user in self.users[film]}
            recipe, faces = self.task.recipe, self.task.faces
            follow = partial(Follower, open_detector(faces), recipe.size, recipe.fps) if faces else None
            windows = {user: Window(*_span(utterance, utterance.video_shift), utterance.view, in_film(utterance),
                                    follow and partial(follow, single=utterance.view is not None))
                       for user, utterance in users.items()}
            self.reading[film] = Source(self.task, film, windows, video=True,
                                         audio=any(map(in_film, users.values())))
        return self.reading[film].part(number)

    def sound(self, number: int, film: Part) -> Part:
        """Return what the sound file beside its film gave for an utterance."""
        utterance = self.task.utterances[number]
        if utterance.audio is None:
            return None
        use = _use_of_sound(utterance)
        if use not in self.reading:
            windows = {user: _sound_window(self.task.utterances[user], film) for user in self.users[use]}
            self.reading[use] = Source(self.task, utterance.audio, windows, video=False, audio=True)
        return self.reading[use].part(number)


class Source:
    """One pass over a media file, made as far as it is asked: windows come in the order in which they end."""

    def __init__(self, task: ShardTask, path: str, windows: dict[int, Window], *, video: bool, audio: bool):
        self.path, self.watch, self.timed_out = Path(task.root, path), Watch(task.patience), False
        self.size = task.sizes.get(path)
        self.left, self.come = list(windows), {}
        self.coming = clips(str(self.path), list(windows.values()), task.recipe, video=video, audio=audio,
                            develop=partial(Strip, task.recipe.size), watch=self.watch)
        self.numbers = tuple(windows)

    def part(self, number: int) -> Part:
        """Return the clip of an utterance, or the reason why there is none; each can be asked for once."""
        while number not in self.come:
            try:
                place, clip = next(self.coming)
            except DecodeFailure as failure:
                self._require_unchanged()
                self.timed_out = isinstance(failure, DecodeTimeout)
                self.come.update((other, failure) for other in self.left)
                break
            self.come[self.numbers[place]] = clip
            self.left.remove(self.numbers[place])
            if not self.left:
                self.coming.close()  # else it would go on holding its last clip
                self._require_unchanged()
        return self.come.pop(number)

    def _require_unchanged(self) -> None:
        """Raise where the file has vanished or changed since it was planned: the store would tell of another one."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise EmoprepError("a source has vanished", where=str(self.path), got=error.strerror or str(error),
                               remedy="bring it back and run the same command again: finished shards are kept") \
                from error
        if self.size is not None and size != self.size:
            raise EmoprepError("a source has changed since the run began", where=str(self.path),
                               expected=f"{self.size} bytes", got=str(size),
                               remedy="bring the old one back and run the same command again, or start anew in another "
                                      "OUT")


def in_film(utterance: Utterance) -> bool:
    """Tell whether the sound is that of the film, on the same clock."""
    return utterance.audio == utterance.video and utterance.audio_shift == utterance.video_shift


def _use_of_sound(utterance: Utterance) -> tuple[str | None, str | None]:
    """Return what one pass over a sound file is for: parts of it at known times, or what belongs to a whole film."""
    # How long a whole film is shows only at its end, when parts of the same sound may have been needed.
    return utterance.audio, utterance.video if utterance.start is None else None


def _span(utterance: Utterance, shift: Fraction) -> tuple[Fraction | None, Fraction | None]:
    if utterance.start is None:
        return None, None
    return utterance.start + shift, utterance.end + shift


def _sound_window(utterance: Utterance, film: Part) -> Window:
    if utterance.start is not None or not isinstance(film, Clip):
        return Window(*_span(utterance, utterance.audio_shift))
    # The film as a whole: its length rules, and its 0 lies elsewhere in the sound file.
    start = utterance.audio_shift - utterance.video_shift
    return Window(start, start + film.whole_seconds)
