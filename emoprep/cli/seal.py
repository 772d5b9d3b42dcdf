"""`emoprep seal`."""

from pathlib import Path
from typing import Annotated

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("seal")(seal)


def seal(
    out: Annotated[Path, typer.Argument(
        metavar="OUT", show_default=False, help="The folder that emoprep segment --part filled.")], *,
    max_skipped: shared.MaxSkipped = "5%", json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None,
) -> None:
    """Close a store that was segmented in parts.

    Checks that the shards of all parts are there, and writes index, card and manifest, as an undivided run would.

    Example: emoprep seal shards/meld
    """
    from emoprep.segment import seal
    from emoprep.terminal import Terminal
    from emoprep.terminal import segment as output

    output.show(Terminal(json=json, quiet=quiet, verbose=verbose), seal(out, max_skipped=max_skipped))
