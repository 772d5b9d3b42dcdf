"""`emoprep audit`."""

import typer

from emoprep.cli import options as shared
from emoprep.errors import FOUND


def register(app: typer.Typer) -> None:
    app.command("audit")(shared.with_corpus_options(audit))


def audit(
    source: shared.In, *,
    accept: shared.Accept = None, threshold: shared.Threshold = None, labels: shared.Labels = None,
    protocol: shared.Protocol = None, corpus: shared.Corpus = None, jobs: shared.Jobs = None,
    json: shared.Json = False, quiet: shared.Quiet = False, verbose: shared.Verbose = False,
    config: shared.Config = None, options: dict[str, str],
) -> None:
    """Look for what would make results on this data wrong: leaks between splits, and broken utterances.

    Of a raw corpus the annotation is read; sounds and pictures are compared in a store of shards. Ends with code 4
    where something was found that is not accepted.

    Example: emoprep audit /data/MELD.Raw --accept "speaker-overlap=MELD is split by dialogue"
    """
    from emoprep.audit import audit, plan_audit
    from emoprep.terminal import Terminal
    from emoprep.terminal import audit as output

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    plan = plan_audit(source, accept=accept or (), thresholds=threshold or (), labels=labels, corpus=corpus,
                      options=options, protocol=protocol)
    with terminal.progress("audit", plan.utterances, unit="utterances") as advance:
        result = audit(plan, jobs=shared.jobs_or_cores(jobs), progress=advance)
    output.show(terminal, result)
    if result.open:
        raise typer.Exit(FOUND)
