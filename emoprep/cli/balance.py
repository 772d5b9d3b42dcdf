"""`emoprep balance`."""

from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("balance")(shared.with_corpus_options(balance))


def balance(
    source: shared.In, out: shared.Out, *,
    strategy: Annotated[str, typer.Option(metavar="NAME", show_default=False,
                                          help="weights, oversample, undersample or smote.")],
    labels: shared.Labels = None,
    target: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="TARGET", help="How many of each class: auto, 0.5, alpha=0.5, fear=468,joy=1800, "
                               "+fear=200, preset:cberl-table6, max-multiplier=3.  [default: auto]")] = None,
    k_neighbors: Annotated[Optional[int], typer.Option(  # noqa: UP045
        "--k-neighbors", "-k", metavar="K", help="smote: neighbours to choose from.  [default: 5]")] = None,
    imblearn_compat: Annotated[Optional[bool], typer.Option(  # noqa: UP045
        "--imblearn-compat", help="smote: draw bit for bit what imbalanced-learn draws.")] = None,
    renorm: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="off|auto", help="smote: bring unit vectors back to length 1.  [default: off]")] = None,
    even: Annotated[Optional[bool], typer.Option(  # noqa: UP045
        "--even", help="oversample: use each original equally often.")] = None,
    drop: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mask|delete", help="undersample: by loss mask, or deleting.  [default: mask]")] = None,
    placement: Annotated[str, typer.Option(
        metavar="orphan", help="Where made items live: each is a dialogue of its own.")] = "orphan",
    outside: Annotated[str, typer.Option(
        metavar="mask|drop", help="Rows outside the label scheme: context with loss_mask 0, or gone.")] = "mask",
    scheme: Annotated[str, typer.Option(
        metavar="SCHEME", help="Class weights: balanced, inverse, inv-sqrt, alpha=A, effective=BETA, "
                               "median-frequency, log.")] = "balanced",
    normalize: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mean1|sumK|max1|min1|none", help="Of the weights.  [default: the scheme's own]")] = None,
    max_ratio: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="R", help="Cap the largest weight at R times the smallest.")] = None,
    nonfinite: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="impute-median|zero|drop|error",
        help="What is done about NaN in the train features.  [default: impute-median]")] = None,
    protocol: shared.Protocol = None, all_is_train: shared.AllIsTrain = False,
    split: Annotated[str, typer.Option(
        metavar="train", help="Only train is ever balanced; anything else is refused.")] = "train",
    corpus: shared.Corpus = None, seed: shared.Seed = 0, jobs: shared.Jobs = None,
    overwrite: shared.Overwrite = False, dry_run: shared.DryRun = False, json: shared.Json = False,
    quiet: shared.Quiet = False, verbose: shared.Verbose = False, config: shared.Config = None,
    options: dict[str, str],
) -> None:
    """Balance train; dev and test stay as they are.

    Each made item names its parents in plan.parquet; class weights are those that remain after the plan.

    Example: emoprep balance features/meld balanced/meld --strategy smote
    """
    from emoprep.balance import balance
    from emoprep.report import Terminal
    from emoprep.report import balance as report

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    given = {"k_neighbors": k_neighbors, "imblearn_compat": imblearn_compat, "renorm": renorm, "even": even,
             "drop": drop}
    result = balance(
        source, out, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite, dry_run=dry_run, corpus=corpus,
        options=options, strategy=strategy, labels=labels, target=target, scheme=scheme, normalize=normalize,
        max_ratio=max_ratio, placement=placement, outside=outside, split=split, nonfinite=nonfinite, seed=seed,
        given=given, protocol=protocol, all_is_train=all_is_train)
    report.show(terminal, result)
