"""`emoprep features`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared
from emoprep.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("features")(shared.with_corpus_options(features))


def features(
    source: Annotated[Path, typer.Argument(metavar="IN", show_default=False,
                                             help="A store of shards, CMU-MOSEI's folder with .csd files, or a "
                                                  "pickle.")],
    out: shared.Out, *,
    audio: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="mfcc, hf:DIR (a local model's folder), opensmile:SET or none.  [default: mfcc]")] = None,
    video: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="strip, onnx:FILE or none.  [default: strip]")] = None,
    text: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="tfidf, hf:DIR or none.  [default: tfidf]")] = None,
    add: Annotated[Optional[list[str]], typer.Option(  # noqa: UP045
        metavar="NAME=FILE", help="Embeddings of your own (npz or parquet: key, vector or sequence).")] = None,
    pool: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="mean|cls|none", help="mean gives vectors, none sequences.  [default: mean]")] = None,
    dims: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="audio=100,…", help="Dimensions.  [default: audio=100,video=512,text=100]")] = None,
    align: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="words|own", help=".csd: averaged over words, or on their own clocks.  "
                                  "[default: words, where there are any]")] = None,
    nonfinite: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="impute-median|zero|drop|error",
        help="What is done about NaN and infinity in --add, .csd and pickles.  "
             "[default: impute-median for --add, else zero]")] = None,
    protocol: shared.Protocol = None, all_is_train: shared.AllIsTrain = False, corpus: shared.Corpus = None,
    seed: shared.Seed = 0, jobs: shared.Jobs = None, overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False, json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Turn shards into vectors or sequences.

    What has to be fitted is fitted on train only; nothing is fetched from the network. Features that others
    extracted (.csd, pickles) are taken as they are.

    Example: emoprep features shards/meld features/meld --dims audio=100,video=512,text=100
    """
    from emoprep.features import BringPlan, bring, features, plan_any
    from emoprep.terminal import Terminal
    from emoprep.terminal import features as output

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    plan = plan_any(source, align=align, corpus=corpus, options=options, nonfinite=nonfinite, seed=seed, of_shards={
        "extractors": {"audio": audio, "video": video, "text": text}, "pool": pool, "dims": _dims(dims),
        "add": _added(add or []), "protocol": protocol, "all_is_train": all_is_train})
    if dry_run:
        output.show_plan(terminal, plan, out)
        return
    if isinstance(plan, BringPlan):
        with terminal.progress("features", sum(plan.counts().values())) as advance:
            result = bring(plan, out, overwrite=overwrite, progress=advance)
    else:
        with terminal.progress("features", len(plan.store.manifest.shards), unit="shards") as advance:
            result = features(plan, out, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite, progress=advance)
    output.show(terminal, result)


def _dims(text: str | None) -> dict[str, int]:
    dims = {}
    for part in (text or "").split(",") if text else []:
        name, equals, number = part.partition("=")
        if not equals or not number.isascii() or not number.isdigit() or not 0 < int(number) <= 65_536:
            raise UsageError("cannot be read", where="--dims", expected="audio=100,video=512,text=100", got=part)
        if name.strip() in dims:
            raise UsageError("one name is there twice", where="--dims", got=name)
        dims[name.strip()] = int(number)
    return dims


def _added(given: list[str]) -> dict[str, Path]:
    added = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise UsageError("cannot be read", where="--add", expected="NAME=FILE, such as text=minilm.npz", got=text)
        if name in added:
            raise UsageError("one name is there twice", where="--add", got=name)
        added[name] = Path(path)
    return added
