"""The only place where an expected failure becomes one line and an exit code."""

import json
import os
import signal
import sys

from emoprep.errors import EmoprepError

INTERRUPTED, TERMINATED, USAGE = 130, 143, 2
STOPPED = "{}; finished pieces are kept: run the same command again to go on"


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that drafts are removed and workers dismissed on the way out."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        signal.signal(signal.SIGTERM, _raise_terminated)
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except EmoprepError as error:
        return _fail(str(error), error.exit_code, arguments)
    except KeyboardInterrupt:
        return _fail(STOPPED.format("interrupted"), INTERRUPTED, arguments)
    except _Terminated:
        return _fail(STOPPED.format("terminated"), TERMINATED, arguments)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); nothing can be told it any more.
        _mute(sys.stdout)
        return 1
    except OSError as error:
        _mute(sys.stdout)
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
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code by itself, without a word
        raise KeyboardInterrupt
    return code


def _mute(stream) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _raise_terminated(number, frame):
    raise _Terminated


def _usage(error) -> str:
    """Return typer's words with the command they are about."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "emoprep"
    return f"{' '.join(error.format_message().split()).rstrip('.')}; see {path} --help"


def _fail(message: str, code: int, arguments: list[str]) -> int:
    if "--json" in arguments:
        print(json.dumps({"schema": "emoprep.error/1", "error": message, "exit_code": code},  # noqa: T201
                         ensure_ascii=False))
    print(f"emoprep: {message}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
