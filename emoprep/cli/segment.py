"""`emoprep segment`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("segment")(shared.with_corpus_options(segment))


def segment(
    source: shared.Raw, out: shared.Out, *,
    fps: Annotated[str, typer.Option(metavar="N", help="Frames a second; 24000/1001 is exact too.")] = "10",
    size: Annotated[int, typer.Option(metavar="PX", help="Side of a frame, a multiple of 16.")] = 112,
    fit: Annotated[str, typer.Option(metavar="stretch|pad|crop", help="How a picture becomes a square.")] = "stretch",
    sample_rate: Annotated[int, typer.Option(metavar="HZ", min=4000, max=192_000, help="Of the sound.")] = 16_000,
    downmix: Annotated[str, typer.Option(
        metavar="mix|centre|first", help="How sound becomes mono; centre takes the speech channel of 5.1.")] = "mix",
    truncate_seconds: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="S", help="Cut utterances off after S seconds.")] = None,
    exclude: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="FILE", help="Keys to leave out, one a line; they are recorded as skipped.")] = None,
    limit: Annotated[Optional[int], typer.Option(  # noqa: UP045
        metavar="N", min=1, help="Only the first dialogues of each split, until it has N utterances.")] = None,
    max_mismatch: Annotated[float, typer.Option(
        metavar="S", min=0, help="Skip a clip whose length is this far from its annotation.")] = 5.0,
    max_skipped: shared.MaxSkipped = "5%",
    shard_utterances: Annotated[int, typer.Option(
        metavar="N", min=1, help="Utterances a shard, about; no dialogue spans two shards.")] = 100,
    decoder: Annotated[str, typer.Option(
        metavar="pyav|ffmpeg", help="pyav needs no program; ffmpeg starts the system's.")] = "pyav",
    hwaccel: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="Hardware decoding, with --decoder ffmpeg: cuda, vaapi, auto …")] = None,
    max_pixels: Annotated[int, typer.Option(
        metavar="N", min=256, help="Skip films whose pictures are larger.")] = 16_000_000,
    decode_timeout: Annotated[float, typer.Option(
        metavar="S", min=0.1, help="Give a film up when its next utterance takes longer to decode.")] = 300.0,
    fast: Annotated[bool, typer.Option(
        "--fast", help="Decode less: H.264 and HEVC without their loop filter; pictures differ a little.")] = False,
    faces: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="Also find, follow and cut out faces: retinaface, mtcnn or yunet:FILE.")] = None,
    engine: Annotated[str, typer.Option(
        metavar="local|dask", help="Where shards are made: processes on this machine, or a Dask cluster.")] = "local",
    scheduler: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="ADDRESS", help="With --engine dask: a cluster that is there already, as tcp://HOST:8786; "
                                "else one of --jobs workers is started here.")] = None,
    part: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="I/N", help="Make only the I-th of N parts of the shards; emoprep seal closes the store.")] = None,
    corpus: shared.Corpus = None, jobs: shared.Jobs = None, overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False, json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Cut a raw corpus into aligned shards.

    Each utterance becomes a film strip, sound, text and annotation, on one clock; no dialogue spans two shards.

    Example: emoprep segment /data/MELD.Raw shards/meld
    """
    from emoprep.engine import prepare

    cluster = _cluster(engine, scheduler, jobs)
    jobs = shared.jobs_or_cores(jobs)
    if jobs > 1 and not (dry_run or cluster or (out / "manifest.json").exists()):
        prepare(("emoprep.segment.loaded",))  # on another core, while the annotation is read

    from emoprep.media.decode import make_recipe
    from emoprep.segment import part_of, plan_segment, read_part, segment
    from emoprep.terminal import Terminal
    from emoprep.terminal import segment as output

    its_part = read_part(part) if part else None
    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    recipe = make_recipe(fps=fps, size=size, fit=fit, sample_rate=sample_rate, downmix=downmix,
                         truncate=truncate_seconds, decoder=decoder, hwaccel=hwaccel, max_pixels=max_pixels, fast=fast)
    plan = plan_segment(source, out, corpus=corpus, options=options, recipe=recipe, exclude=exclude, limit=limit,
                        shard_utterances=shard_utterances, max_mismatch=max_mismatch, decode_timeout=decode_timeout,
                        faces=faces)
    if dry_run:
        output.show_plan(terminal, part_of(plan, its_part) if its_part else plan, out)
        return
    with terminal.progress("segment") as tally:
        result = segment(plan, out, jobs=jobs, cluster=cluster, part=its_part, max_skipped=max_skipped,
                         overwrite=overwrite, tally=tally)
    output.show(terminal, result)


def _cluster(name: str, scheduler: str | None, jobs: int | None):
    """Return the Dask cluster that --engine and --scheduler name, or None."""
    from emoprep.engine import Cluster
    from emoprep.errors import UsageError

    if name not in ("local", "dask"):
        raise UsageError("not known", where="--engine", expected="local or dask", got=name)
    if name == "local" and scheduler:
        raise UsageError("only a Dask cluster has a scheduler", where="--scheduler", got=scheduler,
                         remedy="add --engine dask")
    if scheduler and jobs:
        raise UsageError("that cluster has its workers already", where="--jobs with --scheduler",
                         remedy="leave --jobs out: how many there are is the cluster's business")
    return Cluster(scheduler) if name == "dask" else None
