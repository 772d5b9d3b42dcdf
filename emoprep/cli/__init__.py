"""The command line: one file a command, each reads options, makes one call and shows the result.

Nothing heavier than typer is imported here or in the command files before a command runs.
"""

from __future__ import annotations

import typer

from emoprep import __version__
from emoprep.cli import balance, demo, features, seal, segment, split, stats, status, verify

__all__ = ["app"]

app = typer.Typer(
    name="emoprep", invoke_without_command=True, add_completion=True, rich_markup_mode=None,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    help="Aligned shards, class skew and traceable balancing for multimodal conversational emotion recognition.",
    epilog="Start with: emoprep demo demo-out    Then: emoprep segment /data/MELD.Raw shards/meld")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"emoprep {__version__}")
        raise typer.Exit


@app.callback()
def _emoprep(context: typer.Context, version: bool = typer.Option(False, "--version", is_eager=True, callback=_version,
                                          help="Print the version and end.")) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


for module in (segment, seal, stats, features, balance, split, verify, status, demo):
    module.register(app)
