"""The only place where an expected failure becomes one line and an exit code."""

import contextlib
import json
import os
import select
import signal
import sys
import time

from emoprep.errors import EmoprepError

INTERRUPTED, TERMINATED, USAGE = 130, 143, 2
WORDS = {signal.SIGINT: ("interrupted", INTERRUPTED), signal.SIGTERM: ("terminated", TERMINATED)}

PRESSED_TWICE_S = 2.0


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM, as an exception, so that drafts are removed and workers dismissed on the way out.

    No KeyboardInterrupt: typer would make an exit code of it, and what those it passed have to say would be lost.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class _Signals:
    """Raises _Stopped when a signal comes."""

    def __init__(self):
        self.last = float("-inf")

    def __call__(self, number, frame):
        # Who presses twice must not stop the clearing up. Later it counts again: Python drops what is raised in a
        # destructor, and then the first signal had no effect.
        earlier, self.last = self.last, time.monotonic()
        if self.last - earlier > PRESSED_TWICE_S:
            raise _Stopped(number)

    def listen(self) -> None:
        for number in WORDS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell starts what runs in the background
                signal.signal(number, self)

    @staticmethod
    def ignore() -> None:
        for number in WORDS:
            signal.signal(number, signal.SIG_IGN)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signals = _Signals()
    try:
        signals.listen()
        return _told(arguments)
    except (_Stopped, KeyboardInterrupt) as stop:
        signals.ignore()  # all that is left to do is to say so
        word, code = WORDS[getattr(stop, "number", signal.SIGINT)]
        return _fail(_stopped(word, stop, arguments), code, arguments)
    finally:
        signals.ignore()  # the process ends here, and there is nothing left to stop


def _told(arguments: list[str]) -> int:
    """Run the command line; what can be expected to fail is told in one line."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except EmoprepError as error:
        return _fail(str(error), error.exit_code, arguments)
    except MemoryError:
        return _fail("cannot go on: not enough memory; ask for less, or use fewer --jobs", 1, arguments)
    except OSError as error:
        gone = isinstance(error, BrokenPipeError) and _reader_has_left()
        _mute(sys.stdout)
        if gone:
            # `| head` has what it wanted; results come last, so all there was to do is done.
            return 0
        return _fail(f"cannot go on: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1, [])


def _run(arguments: list[str]) -> int:
    """Run a command; the imports are here, so that Ctrl-C during them is told like any other."""
    import typer

    from emoprep.cli import app

    usage_error = typer.BadParameter.__base__  # typer brings its own click, so the class is reached through it
    try:
        code = app(arguments, standalone_mode=False, prog_name="emoprep") or 0
    except usage_error as error:
        return _fail(_usage(error), USAGE, arguments)
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        code = INTERRUPTED
    except SystemExit as stop:  # so typer's click ends the program where a pipe breaks, without a word
        raise stop.__context__ or stop from None
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code by itself, without a word
        raise KeyboardInterrupt
    return code


def _stopped(word: str, stop: BaseException, arguments: list[str]) -> str:
    """Say what is safe, which the run noted on the exception as it passed, and how to go on."""
    notes = getattr(stop, "__notes__", [])
    if not notes:
        return f"{word}; nothing is left half done: run the same command again"
    # With that option it would begin anew.
    again = "the same command without --overwrite" if "--overwrite" in arguments else "the same command again"
    return f"{word}; {notes[0]}; run {again} to go on"


def _reader_has_left() -> bool:
    """Tell whether it is our output that nobody reads, and not some other pipe that broke."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _mute(stream) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _usage(error) -> str:
    """Return typer's words with the command they are about, and the settings file that a bad value came from."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    path = context.command_path if context else "emoprep"
    line = f"{' '.join(error.format_message().split()).rstrip('.')}; see {path} --help"
    source = context.get_parameter_source(parameter.name) if context and parameter else None
    if source is not None and source.name == "DEFAULT_MAP":
        line = f"{context.meta['emoprep.settings']} [{context.info_name}]: {line}"
    return line


def _fail(message: str, code: int, arguments: list[str]) -> int:
    with contextlib.suppress(OSError):  # whoever would be told has left
        if "--json" in arguments:
            print(json.dumps({"schema": "emoprep.error/1", "error": message, "exit_code": code},  # noqa: T201
                             ensure_ascii=False).encode(errors="backslashreplace").decode(), flush=True)
    # What others wrote (a store's names, a program's words) may be in it, and steers no terminal.
    plain = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in message)
    with contextlib.suppress(OSError):
        print(f"emoprep: {plain}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
