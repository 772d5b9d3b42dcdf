"""How quickly the program answers: `--help` beside a minimal typer app, and `stats` on MELD's real rows.

    python bench/startup.py [--runs 7] [--shared ../shared]

Commands run in turn, and the medians of the wall time are printed, with one line of JSON for programs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

MINIMAL_APP = '''
import typer

app = typer.Typer()


@app.command()
def greet(name: str, times: int = typer.Option(1, help="How often.")):
    """Say hello."""
    for _ in range(times):
        print("hello", name)


if __name__ == "__main__":
    app()
'''


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--shared", type=Path, default=REPOSITORY.parent / "shared")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        app = Path(scratch, "app.py")
        app.write_text(MINIMAL_APP)
        commands = {
            "python -c pass": ["-c", "pass"],
            "a minimal typer app --help": [str(app), "--help"],
            "emoprep --help": ["-m", "emoprep", "--help"],
            "emoprep stats, 13,708 rows": ["-m", "emoprep", "stats", str(options.shared / "real" / "meld")],
        }
        if not (options.shared / "real" / "meld").is_dir():
            print(f"no {options.shared / 'real' / 'meld'}: stats is left out", file=sys.stderr)
            del commands["emoprep stats, 13,708 rows"]
        times = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, command in commands.items():
                times[name].append(stopwatch(command))
    report(times)


def stopwatch(arguments):
    """Return the wall seconds of a Python command, None if it failed."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, cwd=REPOSITORY)
    seconds = time.perf_counter() - start
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        print(f"{' '.join(arguments)}: exit code {done.returncode}: {lines[-1]}", file=sys.stderr)
    return None if done.returncode else seconds


def report(times):
    medians = {name: None if None in runs else statistics.median(runs) for name, runs in times.items()}
    minimal = medians["a minimal typer app --help"]
    for name, median in medians.items():
        told = f"{1000 * median:6.0f} ms {median / minimal:6.2f} × minimal" if median else "failed"
        print(f"{name:30} {told}")
    print(json.dumps({"bench": "startup", "runs": len(next(iter(times.values()))), "median_s": medians}))


if __name__ == "__main__":
    main()
