"""`emoprep stats`."""

from typing import Annotated

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
    csv: Annotated[bool, typer.Option("--csv", help="Print a table for a spreadsheet on stdout.")] = False,
    corpus: shared.Corpus = None, json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Show the class skew of a corpus or store.

    Of a raw corpus the annotation is enough; no media is opened.

    Example: emoprep stats /data/MELD.Raw --labels meld-3
    """
    from emoprep.report import Terminal
    from emoprep.report import stats as report
    from emoprep.stats import stats

    if json and csv:
        raise UsageError("--json and --csv exclude each other")
    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    result = stats(source, labels=labels, by=by, corpus=corpus, options=options, protocol=protocol)
    report.show(terminal, result, csv=csv)
