"""`emoprep stats`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared
from emoprep.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("stats")(shared.with_corpus_options(stats))


def stats(
    source: shared.In, *, labels: shared.Labels = None,
    protocol: shared.Protocol = None,
    by: Annotated[str, typer.Option(metavar="split|speaker|dialogue|COLUMN",
                                    help="Also count by this, or by a column of text or whole numbers.")] = "split",
    compare: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="OTHER", help="Another corpus or store, side by side: before and after balancing.")] = None,
    measures: Annotated[bool, typer.Option(
        "--measures", help="Also every measure by its name in the literature, and the drift between splits.")] = False,
    transitions: Annotated[bool, typer.Option(
        "--transitions", help="Also which emotion follows which, emotion shift, and how many dialogues have each.")
    ] = False,
    speakers: Annotated[bool, typer.Option(
        "--speakers", help="Also what the largest speakers say, and Cramér's V of speaker and emotion.")] = False,
    durations: Annotated[bool, typer.Option(
        "--durations", help="Also the lengths of each class.")] = False,
    max_seconds: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="S", help="Also how many utterances of each class a maximum length would cut.")] = None,
    csv: Annotated[bool, typer.Option(
        "--csv", help="Print a table for a spreadsheet on stdout: the classes, or the one that is asked for.")] = False,
    corpus: shared.Corpus = None, json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Show the class skew of a corpus or store.

    Of a raw corpus the annotation is enough; no media is opened. --json has all figures, whatever is shown.

    Example: emoprep stats /data/MELD.Raw --labels meld-3
    """
    from emoprep import stats as figures
    from emoprep.terminal import Terminal
    from emoprep.terminal import stats as output

    if json and csv:
        raise UsageError("--json and --csv exclude each other")
    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    asked = {"measures": measures, "durations": durations or max_seconds is not None, "transitions": transitions,
             "speakers": speakers}
    how = {"labels": labels, "by": by, "corpus": corpus, "options": options, "protocol": protocol,
           "max_seconds": max_seconds}
    shown = {"csv": csv, "more": [name for name, wanted in asked.items() if wanted]}
    if compare is None:
        output.show(terminal, figures.stats(source, **how), **shown)
    else:
        output.show_comparison(terminal, figures.compare(source, compare, **how), **shown)
