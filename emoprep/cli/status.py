"""`emoprep status`."""

from pathlib import Path
from typing import Annotated

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(
    out: Annotated[Path, typer.Argument(metavar="OUT", show_default=False,
                                        help="A folder that a command fills, or has filled.")], *,
    json: shared.Json = False, config: shared.Config = None,
) -> None:
    """Tell the state of a run from another shell.

    Running, interrupted, waiting for its parts or complete; how far it is, and the command that goes on. The run is
    not disturbed.

    Example: emoprep status shards/meld
    """
    from emoprep.status import status
    from emoprep.terminal import Terminal
    from emoprep.terminal import status as output

    output.show(Terminal(json=json), status(out))
