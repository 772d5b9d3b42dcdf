"""`emoprep report`."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("report")(shared.with_corpus_options(report))


def report(
    source: shared.In, *,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The page to write.")] = Path("report.html"),
    compare: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="OTHER", help="Another store, side by side: IN before and OTHER after balancing.")] = None,
    shards: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="STORE", help="The store whose samples are shown, where IN has none.")] = None,
    features: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="STORE", help="The store whose features are mapped, where IN has none.")] = None,
    samples: Annotated[int, typer.Option(min=0, max=50, metavar="N", help="Samples of each class to look at and listen "
                                                                          "to; 0 for none.")] = 5,
    map: Annotated[str, typer.Option(
        metavar="pca|tsne|none", help="How features are laid out in two dimensions.")] = "pca",
    modality: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="Map this modality alone.  [default: all, each of the same weight]")] = None,
    audit: Annotated[str, typer.Option(
        metavar="rows|all|none", help="What is audited: the rows, also sounds and pictures (as `emoprep audit` does; a "
                                      "few ms an utterance), or nothing.")] = "rows",
    accept: shared.Accept = None, threshold: shared.Threshold = None, labels: shared.Labels = None,
    protocol: shared.Protocol = None, seed: shared.Seed = 0, jobs: shared.Jobs = None, corpus: shared.Corpus = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a FILE that is no report.")] = False,
    json: shared.Json = False, quiet: shared.Quiet = False, verbose: shared.Verbose = False,
    config: shared.Config = None, options: dict[str, str],
) -> None:
    """Make one page with everything there is to see: skew, conversations, leaks, a map of the features, samples.

    The page is one file, needs no network, and can be sent to a colleague; mind the licence of the clips in it. What
    [audit] of emoprep.toml accepts is accepted here too.

    Example: emoprep report features/meld --compare balanced/meld --shards shards/meld -o report.html
    """
    from emoprep.report import check_file, report, write_report
    from emoprep.terminal import Terminal
    from emoprep.terminal import report as output

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    check_file(out, overwrite=overwrite)
    # Only the sounds and pictures take so long that one wants to see how far it is.
    shown = terminal.progress("report", unit="samples") if audit == "all" else nullcontext(lambda done, skipped: None)
    with shown as tally:
        gathered = report(source, other=compare, shards=shards, features=features, samples=samples, mapped=map,
                          modality=modality, audited=audit, accept=accept or (), thresholds=threshold or (),
                          labels=labels, protocol=protocol, corpus=corpus, options=options, seed=seed,
                          jobs=shared.jobs_or_cores(jobs), progress=tally)
    output.show(terminal, write_report(gathered, out, overwrite=overwrite))
