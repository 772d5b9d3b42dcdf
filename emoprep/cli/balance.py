"""`emoprep balance`."""

from typing import Annotated, Any, Optional

import typer

from emoprep.cli import options as shared
from emoprep.errors import UsageError


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
                               "median-frequency, log, none.  [default: balanced]")] = None,
    normalize: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mean1|sumK|max1|min1|none", help="Of the weights.  [default: the scheme's own]")] = None,
    max_ratio: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="R", help="Cap the largest weight at R times the smallest.")] = None,
    weights_from: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="residual|original", help="Weigh what plan and sampler leave uncorrected, or the counts of IN.  "
                                          "[default: residual]")] = None,
    sampler: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME|Q", help="Write sampler.npz: instance, square-root, class-balanced, progressive, or q.")] = None,
    empty_weight: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="W", help="Sampler, several labels: how often a row without any label is drawn, beside the median.  "
                          "[default: 1]")] = None,
    sample_weights: Annotated[bool, typer.Option(
        "--sample-weights", help="Add a column sample_weight to the train rows.")] = False,
    stages: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="drw|crt", help="Correct the skew late: deferred re-weighting, or classifier re-training.")] = None,
    focal_gamma: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="G", help="γ of the focal loss in class_weights.json.  [default: 3]")] = None,
    focal_alpha: Annotated[bool, typer.Option(
        "--focal-alpha", help="Put the weights into the focal loss, too.")] = False,
    tau: Annotated[Optional[float], typer.Option(  # noqa: UP045
        metavar="T", help="τ of the logit adjustment in class_weights.json.  [default: 1]")] = None,
    print_weights: Annotated[bool, typer.Option(
        "--print", help="Print the weights on one line, in the order of the labels, and nothing else on stdout.")
    ] = False,
    nonfinite: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="impute-median|zero|drop|error",
        help="What is done about NaN in the train features.  [default: impute-median]")] = None,
    recipe: Annotated[bool, typer.Option(
        "--recipe", help="Write the plan and the weights; train stays as it is, for a trainer that follows the plan.")
    ] = False,
    strict_counts: Annotated[bool, typer.Option(
        "--strict-counts", help="Fail where a class does not reach what was asked for.")] = False,
    force: Annotated[bool, typer.Option(
        "--force", help="Copy dialogues beyond five times the data; go beyond the bounds of augmentation.")] = False,
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
    from emoprep.terminal import Terminal
    from emoprep.terminal import balance as output

    if json and print_weights:
        raise UsageError("both want stdout for themselves", where="--print", remedy="leave --json or --print out")
    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    asked = {"strategy": strategy, "then": then, "labels": labels, "target": target, "scheme": scheme,
             "normalize": normalize, "max_ratio": max_ratio, "placement": placement, "outside": outside,
             "nonfinite": nonfinite, "weights_from": weights_from, "sampler": sampler, "empty_weight": empty_weight,
             "stages": stages, "focal_gamma": focal_gamma, "tau": tau, "sample_weights": sample_weights or None,
             "focal_alpha": focal_alpha or None}
    with terminal.progress("balance", unit="utterances") as tally:
        result = balance(
            source, out, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite, dry_run=dry_run, corpus=corpus,
            options=options, preset=preset, split=split, seed=seed, given=given, recipe=recipe,
            strict_counts=strict_counts, force=force, protocol=protocol, all_is_train=all_is_train, progress=tally,
            announce=terminal.notes, **{name: value for name, value in asked.items() if value is not None})
    output.show(terminal, result, print_weights=print_weights)
