"""`emoprep split`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("split")(split)


def split(
    source: Annotated[Path, typer.Argument(
        metavar="IN", show_default=False, help="A store (a folder with manifest.json), or a table: csv, tsv, jsonl or "
                                               "parquet.")],
    out: Annotated[Path, typer.Argument(
        metavar="OUT", show_default=False, help="The folder to make; for a table the file to make.")], *,
    by: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="speaker|dialogue|COLUMN",
        help="What may not be in two splits: speakers (and their dialogues), dialogues, or dialogues and what a "
             "column of the annotation names.  [default: speaker]")] = None,
    dev: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="SHARE", help="Share of the utterances; 0 makes no dev.  [default: 0.1]")] = None,
    test: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="SHARE", help="Share of the utterances; 0 makes no test.  [default: 0.2]")] = None,
    protocol: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="Split as the literature on the corpus does, instead of --by: session5, loso:K or "
                             "dialoguernn (IEMOCAP).")] = None,
    labels: shared.Labels = None, corpus: shared.Corpus = None, seed: shared.Seed = 0, jobs: shared.Jobs = None,
    overwrite: shared.Overwrite = False, dry_run: shared.DryRun = False, json: shared.Json = False,
    quiet: shared.Quiet = False, verbose: shared.Verbose = False, config: shared.Config = None,
) -> None:
    """Split a store or a table anew.

    The same samples under train, dev and test; nothing is decoded. Classes get the same shares in each split.

    Example: emoprep split shards/own shards/own-split --by speaker --dev 0.1 --test 0.2
    """
    from emoprep.split import plan_split, split
    from emoprep.terminal import Terminal
    from emoprep.terminal import split as output

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    plan = plan_split(source, by=by, protocol=protocol, dev=dev, test=test, seed=seed, labels=labels, corpus=corpus)
    with terminal.progress("split", len(plan.splits)) as advance:
        result = split(plan, out, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite, dry_run=dry_run,
                       progress=advance)
    output.show(terminal, result)
