"""Write the pages that are made from the program itself: docs/cli.md.

    python -m docs.generate            write them
    python -m docs.generate --check    compare them, and end with 1 where one differs
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent / "cli.md"
REMEDY = "run `make docs` and commit the result"

HEAD = """\
<!-- Written by `python -m docs.generate` from the program; changes made here are lost. -->

# Commands

What `emoprep COMMAND --help` says, in full. Results go to stdout; progress, notes and errors to stderr. What the
exit codes mean stands in [errors](errors.md). `-h` or `--help` shows a command's help.

Every option may also stand in `emoprep.toml`, in a table with the command's name; the command line wins:

```toml
[segment]
size = 224
max-skipped = "1%"
```
"""

# How the help of an option tells a default that the option itself leaves open.
_TOLD_DEFAULT = re.compile(r"\s*\[default: (?P<default>[^]]+)\]")


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the pages, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    made = cli_page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    there = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    if there == made:
        return 0
    sys.stderr.writelines(difflib.unified_diff(there.splitlines(True), made.splitlines(True), "docs/cli.md",
                                               "the program", n=0))
    print(f"docs/cli.md: the page differs from the program; {REMEDY}", file=sys.stderr)
    return 1


def cli_page() -> str:
    """Return docs/cli.md: the program's own options, then each command with everything it takes."""
    from emoprep.cli import program

    whole = program()
    sections = [HEAD, _section("emoprep", whole, "COMMAND …")]
    sections += [_section(f"emoprep {name}", command) for name, command in whole.commands.items()]
    return "\n".join(sections)


def _section(path: str, command: Any, tail: str = "") -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join([path, "[OPTIONS]", *(_metavar(argument) for argument in arguments), tail]).rstrip()
    lines = [f"## {path}", "", *_help(command.help or ""), "```text", usage, "```", ""]
    if arguments:
        lines += ["Arguments:", "", *(f"- `{_metavar(argument)}`: {argument.help}" for argument in arguments), ""]
    lines += ["Options:", "", *map(_option, options), ""]
    return "\n".join(lines)


def _help(text: str) -> Iterator[str]:
    """Yield a command's help as Markdown; a paragraph `Example: …` becomes a block to copy."""
    for paragraph in text.strip().split("\n\n"):
        line = " ".join(paragraph.split())
        label, _, example = line.partition("Example: ")
        yield from (["```sh", example, "```", ""] if example and not label else [line, ""])


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if not option.is_flag:
        names += f" `{_metavar(option)}`"
    told = _TOLD_DEFAULT.search(option.help or "")
    text = _TOLD_DEFAULT.sub("", option.help or "")
    facts = [text, _range(option)]
    if option.required:
        facts.append("Required.")
    elif told:
        facts.append(f"Default: {told['default']}.")
    elif not option.is_flag and option.default is not None:
        facts.append(f"Default: `{option.default}`.")
    return f"- {names}: {' '.join(fact for fact in facts if fact)}"


def _metavar(parameter: Any) -> str:
    return parameter.metavar or "N"  # only whole numbers (--jobs, --seed) go without


def _range(option: Any) -> str:
    """Return what numbers an option takes, where it is bounded."""
    # Newer typer keeps the bounds in the option, older in its type.
    low, high = (getattr(option, bound, getattr(getattr(option, "type", None), bound, None))
                 for bound in ("min", "max"))
    if low is None and high is None:
        return ""
    return f"At least {low}." if high is None else f"From {low} to {high}."


if __name__ == "__main__":
    sys.exit(main())
