"""`emoprep verify`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared
from emoprep.errors import FOUND


def register(app: typer.Typer) -> None:
    app.command("verify")(verify)


def verify(
    store: Annotated[Path, typer.Argument(metavar="IN", show_default=False,
                                          help="A store (a folder with manifest.json), of any kind.")], *,
    deep: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="CORPUS", help="Also decode the media of the raw corpus that the store was cut from, and check that "
                               "each frame and each second of sound is what is there at its time.")] = None,
    jobs: shared.Jobs = None, json: shared.Json = False, quiet: shared.Quiet = False, verbose: shared.Verbose = False,
    config: shared.Config = None,
) -> None:
    """Check that a store is whole, readable, and what its manifest says.

    Ends with code 4 where something was found; the first ten findings are shown, all of them with -v or --json.

    Example: emoprep verify shards/meld --deep /data/MELD.Raw
    """
    from emoprep.terminal import Terminal
    from emoprep.terminal import verify as output
    from emoprep.verify import plan_verify, verify

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    plan = plan_verify(store, deep=deep)
    with terminal.progress("verify", plan.utterances, unit="utterances") as advance:
        result = verify(plan, jobs=shared.jobs_or_cores(jobs), progress=advance)
    output.show(terminal, result)
    if result.findings:
        raise typer.Exit(FOUND)
