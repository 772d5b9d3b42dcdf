"""The command line: one file a command, each reads options, makes one call and shows the result.

Nothing heavier than typer is imported here or in the command files before a command runs.
"""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from emoprep import __version__
from emoprep.cli import audit, balance, demo, features, report, seal, segment, show, split, stats, status, verify

__all__ = ["app", "program"]

UNFINISHED = {"balance": balance}
"""Commands with options that others bring along, whose modules load numpy: they are made whole when asked for."""


class Commands(TyperGroup):
    """The commands by name."""

    def resolve_command(self, context, arguments):
        if arguments:
            self.complete(arguments[0])
        return super().resolve_command(context, arguments)

    def complete(self, name: str) -> None:
        """Give a command the options that strategies bring along."""
        if name in UNFINISHED:
            alone = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
            UNFINISHED[name].register(alone, whole=True)
            self.commands[name] = typer.main.get_command(alone)


def program() -> Commands:
    """Return all commands with all of their options, for pages and tests."""
    commands = typer.main.get_command(app)
    for name in UNFINISHED:
        commands.complete(name)
    return commands


app = typer.Typer(
    name="emoprep", cls=Commands, invoke_without_command=True, add_completion=True, rich_markup_mode=None,
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


for module in (segment, seal, stats, features, balance, split, audit, report, show, verify, status, demo):
    module.register(app)
