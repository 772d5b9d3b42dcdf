"""`emoprep demo`."""

import typer

from emoprep.cli import options as shared


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(out: shared.Out, *, seed: shared.Seed = 0, jobs: shared.Jobs = None, overwrite: shared.Overwrite = False,
         json: shared.Json = False, quiet: shared.Quiet = False, verbose: shared.Verbose = False,
         config: shared.Config = None) -> None:
    """Make a small corpus and run the road on it.

    The corpus has MELD's layout, class skew and csv quirks; segment, stats, features, balance and report follow.

    Example: emoprep demo demo-out
    """
    from emoprep.demo import demo
    from emoprep.terminal import Terminal
    from emoprep.terminal import demo as output

    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    results = demo(out, seed=seed, jobs=shared.jobs_or_cores(jobs), overwrite=overwrite,
                   show=lambda command, result: output.show_step(terminal, command, result))
    output.show_end(terminal, out, results)
