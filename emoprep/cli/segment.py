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
    max_skipped: Annotated[str, typer.Option(
        metavar="N|SHARE", help="End with code 3 and no manifest above this: 12, 0.05 or 5%.")] = "5%",
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
    corpus: shared.Corpus = None, jobs: shared.Jobs = None, overwrite: shared.Overwrite = False,
    dry_run: shared.DryRun = False, json: shared.Json = False, quiet: shared.Quiet = False,
    verbose: shared.Verbose = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Cut a raw corpus into aligned shards.

    Each utterance becomes a film strip, sound, text and annotation, on one clock; no dialogue spans two shards.

    Example: emoprep segment /data/MELD.Raw shards/meld
    """
    from emoprep.media.decode import make_recipe
    from emoprep.report import Terminal
    from emoprep.report import segment as report
    from emoprep.segment import plan_segment, segment

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    recipe = make_recipe(fps=fps, size=size, fit=fit, sample_rate=sample_rate, downmix=downmix,
                         truncate=truncate_seconds, decoder=decoder, hwaccel=hwaccel, max_pixels=max_pixels, fast=fast)
    plan = plan_segment(source, out, corpus=corpus, options=options, recipe=recipe, exclude=exclude, limit=limit,
                        shard_utterances=shard_utterances, max_mismatch=max_mismatch, decode_timeout=decode_timeout)
    if dry_run:
        report.show_plan(terminal, plan, out)
        return
    with terminal.progress("segment", plan.utterances) as advance:
        result = segment(plan, out, jobs=shared.jobs_or_cores(jobs), max_skipped=max_skipped,
                         overwrite=overwrite, progress=advance)
    report.show(terminal, result)
