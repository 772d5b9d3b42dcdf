"""`emoprep balance`."""

from typing import Annotated, Any, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer, *, whole: bool = False) -> None:
    """Add the command; `whole` with the options of the strategies, whose modules load numpy."""
    app.command("balance")(shared.with_strategy_options(shared.with_corpus_options(balance), whole=whole))


def balance(
    source: shared.In, out: shared.Out, *,
    strategy: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", show_default=False,
        help="weights, oversample, undersample, smote, borderline-smote, adasyn, rose, imblearn:NAME, augment, repeat, "
             "ml-ros, lp-ros or mlsmote.")] = None,
    then: Annotated[Optional[list[str]], typer.Option(  # noqa: UP045
        metavar='"NAME option=value …"', help="A further strategy on what the first leaves; may be repeated.")] = None,
    labels: shared.Labels = None,
    target: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="TARGET", help="How many of each class: auto, 0.5, alpha=0.5, fear=468,joy=1800, "
                               "+fear=200, preset:cberl-table6, max-multiplier=3.  [default: auto]")] = None,
    preset: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="What a paper did, as settings: cberl-table6, mcea, meld-lightweight or "
                             "mosei-class-weights; options given beside it win.")] = None,
    placement: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="orphan|replace-in-copy|append",
        help="Where a made item lives: alone, or in a copy of its base's dialogue with all other rows masked.  "
             "[default: orphan]")] = None,
    outside: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mask|drop", help="Rows outside the label scheme: context with loss_mask 0, or gone.  "
                                  "[default: mask]")] = None,
    scheme: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="SCHEME", help="Class weights: balanced, inverse, inv-sqrt, alpha=A, effective=BETA, "
                               "median-frequency, log.  [default: balanced]")] = None,
    normalize: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mean1|sumK|max1|min1|none", help="Of the weights.  [default: the scheme's own]")] = None,
    max_ratio: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="R", help="Cap the largest weight at R times the smallest.")] = None,
    nonfinite: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="impute-median|zero|drop|error",
        help="What is done about NaN in the train features.  [default: impute-median]")] = None,
    recipe: Annotated[bool, typer.Option(
        "--recipe", help="Write the plan and the weights; train stays as it is, for a trainer that follows the plan.")
    ] = False,
    strict_counts: Annotated[bool, typer.Option(
        "--strict-counts", help="Fail where a class does not reach what was asked for.")] = False,
    force: Annotated[bool, typer.Option(
        "--force", help="Go beyond five times the data, and beyond the bounds of augmentation.")] = False,
    protocol: shared.Protocol = None, all_is_train: shared.AllIsTrain = False,
    split: Annotated[str, typer.Option(
        metavar="train", help="Only train is ever balanced; anything else is refused.")] = "train",
    corpus: shared.Corpus = None, seed: shared.Seed = 0, jobs: shared.Jobs = None,
    overwrite: shared.Overwrite = False, dry_run: shared.DryRun = False, json: shared.Json = False,
    quiet: shared.Quiet = False, verbose: shared.Verbose = False, config: shared.Config = None,
    options: dict[str, str], given: dict[str, Any],
) -> None:
    """Balance train; dev and test stay as they are.

    Each made item names its parents in plan.parquet; class weights are those that remain after the plan.

    Example: emoprep balance features/meld balanced/meld --strategy smote
    """
    from emoprep.balance import balance
    from emoprep.report import Terminal
    from emoprep.report import balance as report

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    asked = {"strategy": strategy, "then": then, "labels": labels, "target": target, "scheme": scheme,
             "normalize": normalize, "max_ratio": max_ratio, "placement": placement, "outside": outside,
             "nonfinite": nonfinite}
    with terminal.progress("balance", unit="utterances") as tally:
        result = balance(
            source, out, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite, dry_run=dry_run, corpus=corpus,
            options=options, preset=preset, split=split, seed=seed, given=given, recipe=recipe,
            strict_counts=strict_counts, force=force, protocol=protocol, all_is_train=all_is_train, progress=tally,
            announce=terminal.notes, **{name: value for name, value in asked.items() if value is not None})
    report.show(terminal, result)
