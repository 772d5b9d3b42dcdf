"""`emoprep show`."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("show")(shared.with_corpus_options(show))


def show(
    source: shared.In,
    key: Annotated[str, typer.Argument(metavar="KEY", show_default=False,
                                       help="The utterance: its key, or the end of it (dia0_utt3).")], *,
    strip: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="FILE", help="Where its frames are written as one picture, .jpg or .png.  [default: KEY.jpg in the "
                             "system's temporary folder]")] = None,
    clip: Annotated[Optional[Path], typer.Option(  # noqa: UP045
        metavar="FILE", help="Also write a film of it, with sound and caption: FILE.mp4. Needs the ffmpeg program.")
    ] = None,
    labels: Annotated[Optional[str], typer.Option(  # noqa: UP045
        metavar="NAME", help="Tell the class in this label scheme alone, or in a .toml file of your own.  [default: "
                             "all]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over files that are there.")] = False,
    corpus: shared.Corpus = None, json: shared.Json = False, config: shared.Config = None, options: dict[str, str],
) -> None:
    """Show one utterance: what is said and by whom, before and after what, how it looks and sounds.

    Of a raw corpus it is cut for this, as `segment` does by default.

    Example: emoprep show shards/meld meld_train_dia0_utt3 --clip utterance.mp4
    """
    from emoprep import show as room
    from emoprep.terminal import Terminal
    from emoprep.terminal import show as output

    output.show(Terminal(json=json), room.show(source, key, strip=strip, clip=clip, overwrite=overwrite, labels=labels,
                                           corpus=corpus, options=options))
