"""Options that several commands share, `emoprep.toml`, and the options that corpora bring along."""

import functools
import inspect
import tomllib
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from emoprep.errors import MissingInput, UsageError

SETTINGS = Path("emoprep.toml")


def _read_settings(context: typer.Context, given: Path | None) -> Path | None:
    """Make the command's table of emoprep.toml its defaults; the command line wins."""
    path = given or (SETTINGS if SETTINGS.is_file() else None)
    if path is None or context.resilient_parsing:
        return given
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingInput("the settings cannot be read", where=str(path), got=error.strerror or "") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the settings are no TOML", where=str(path), got=str(error)) from error
    commands = context.parent.command.commands
    for name, table in tables.items():
        context.parent.command.complete(name)
        known = {spelling for parameter in commands[name].params for spelling in _spellings(parameter)} \
            if name in commands else set()
        if not isinstance(table, dict) or name not in commands:
            raise UsageError("this table is no command", where=str(path), got=f"[{name}]",
                             expected=", ".join(f"[{command}]" for command in commands))
        unknown = sorted(set(table) - known)
        if unknown:
            raise UsageError("the command has no such option", where=f"{path} [{name}]", got=", ".join(unknown),
                             expected=", ".join(sorted(known)))
    names = {spelling: parameter.name for parameter in context.command.params for spelling in _spellings(parameter)}
    context.meta["emoprep.settings"] = str(path)  # where a value that typer refuses came from
    several = {parameter.name for parameter in context.command.params if getattr(parameter, "multiple", False)}
    # What is accepted of an audit is accepted in the report of it.
    found = {"audit": {key: value for key, value in tables.get("audit", {}).items() if key in ("accept", "threshold")}
             } if context.info_name == "report" else {}
    found[context.info_name] = tables.get(context.info_name, {})
    context.default_map = {
        names[key]: _pairs(value, f"{path} [{table}.{key}]") if names[key] in several else value
        for table, entries in found.items() for key, value in entries.items()}
    return given


def _pairs(value: Any, where: str) -> Any:
    """Return a table below a command's ([audit.accept]) as the "name=value" that its option takes, others as they are.

    >>> _pairs({"speaker-overlap": "split by dialogue"}, "")
    ['speaker-overlap=split by dialogue']
    """
    if not isinstance(value, dict):
        return value
    wrong = next((name for name, one in value.items() if type(one) not in (str, int, float)), None)
    if wrong is not None:
        raise UsageError("this entry is no text and no number", where=where, got=f"{wrong} = {value[wrong]!r}")
    return [f"{name}={one}" for name, one in value.items()]


def _spellings(parameter) -> list[str]:
    """Return how an option may be written in emoprep.toml: its long name, with - or _."""
    if parameter.param_type_name != "option" or parameter.name in ("config", "help"):
        return []
    longs = [flag[2:] for flag in parameter.opts if flag.startswith("--")]
    return longs + [flag.replace("-", "_") for flag in longs]


Config = Annotated[Optional[Path], typer.Option(  # noqa: UP045 - typer wants Optional under eval_str
    "--config", metavar="FILE", is_eager=True, callback=_read_settings,
    help="Settings file; emoprep.toml in the working folder is read unasked.")]
In = Annotated[Path, typer.Argument(metavar="IN", show_default=False,
                                    help="A raw corpus (a folder, or a table of clips), or a store.")]
Raw = Annotated[Path, typer.Argument(metavar="IN", show_default=False,
                                     help="A raw corpus: its folder, or a table of clips.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", show_default=False, help="The folder to make.")]
Corpus = Annotated[Optional[str], typer.Option(  # noqa: UP045
    "--corpus", metavar="NAME", help="The corpus, where its layout leaves doubt: meld, iemocap, mosei or table.")]
Labels = Annotated[Optional[str], typer.Option(  # noqa: UP045
    "--labels", metavar="NAME", help="Label scheme: meld-7, iemocap-4, mosei-6 …, or a .toml file of your own.  "
                                     "[default: the corpus's first]")]
Protocol = Annotated[Optional[str], typer.Option(  # noqa: UP045
    "--protocol", metavar="NAME", help="How a corpus without official split is split: session5 (IEMOCAP's default), "
                                       "loso:K, dialoguernn, or none.")]
AllIsTrain = Annotated[bool, typer.Option(
    "--all-is-train", help="Take every row of an IN without splits for train.")]
Accept = Annotated[Optional[list[str]], typer.Option(  # noqa: UP045
    "--accept", metavar="CHECK=REASON", help="Let this check's findings pass, and print why; may be repeated. In "
                                             "emoprep.toml: [audit.accept].")]
Threshold = Annotated[Optional[list[str]], typer.Option(  # noqa: UP045
    "--threshold", metavar="CHECK=NUMBER", help="Another threshold for a check; may be repeated. In emoprep.toml: "
                                                "[audit.threshold].")]
Jobs = Annotated[Optional[int], typer.Option(  # noqa: UP045
    "-j", "--jobs", min=1, help="Processes.  [default: the cores at hand]")]
MaxSkipped = Annotated[str, typer.Option(
    "--max-skipped", metavar="N|SHARE", help="End with code 3 and no manifest above this: 12, 0.05 or 5%.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No notes and no progress.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More notes: every skip, every decision.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start anew where OUT holds another run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of all that is drawn; recorded.")]


def jobs_or_cores(jobs: int | None) -> int:
    from emoprep.engine import cores

    return jobs or cores()


def with_corpus_options(command):
    """Give a command the options that corpora bring along (MELD's --twins), as its argument `options`."""
    from emoprep.contracts import modules

    signature = inspect.signature(command)
    found = {name: (module.NAME, option) for module in modules("corpora").values()
             for name, option in module.OPTIONS.items()}

    @functools.wraps(command)
    def wrapped(**values: Any):
        options = {name: value for name in found if (value := values.pop(name.replace("-", "_"))) is not None}
        return command(**values, options=options)

    kept = [parameter for name, parameter in signature.parameters.items() if name != "options"]
    added = [inspect.Parameter(
        name.replace("-", "_"), inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[Optional[str], typer.Option(  # noqa: UP045
            f"--{name}", metavar="|".join(option.choices),
            help=f"{corpus.upper()}: {option.help}.  [default: {option.default}]")])
        for name, (corpus, option) in found.items()]
    wrapped.__signature__ = signature.replace(parameters=[
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept] + added)
    wrapped.__annotations__ = {parameter.name: parameter.annotation
                               for parameter in wrapped.__signature__.parameters.values()}
    return wrapped


def with_strategy_options(command, *, whole: bool):
    """Give a command the options that strategies bring along (SMOTE's --k-neighbors), as its argument `given`.

    Unless `whole`, it gets none: to know them, the strategies must be imported, and numpy with them.
    """
    from emoprep.contracts import modules

    found: dict[str, list] = {}
    for module in modules("strategies").values() if whole else ():
        for name, setting in module.OPTIONS.items():
            found.setdefault(name, []).append((module.NAME.rstrip(":"), setting))
    signature = inspect.signature(command)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "given"]
    own = [parameter.name for parameter in kept]
    found = {name: readers for name, readers in found.items() if name not in own}  # --force is the command's own

    @functools.wraps(command)
    def wrapped(**values: Any):
        given = {name: value for name in found if (value := values.pop(name)) is not None}
        return command(**values, given=given)

    wrapped.__signature__ = signature.replace(parameters=[
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept] + [
        _strategy_option(name, readers) for name, readers in found.items()])
    wrapped.__annotations__ = {parameter.name: parameter.annotation
                               for parameter in wrapped.__signature__.parameters.values()}
    return wrapped


def _strategy_option(name: str, readers: list) -> inspect.Parameter:
    """Return a parameter that is None unless given; its help names the strategies that read it."""
    setting = readers[0][1]
    kind = {tuple: list[str], type(None): str}.get(type(setting.default), type(setting.default))
    texts: dict[str, list[str]] = {}
    for strategy, one in readers:
        texts.setdefault(one.help, []).append(strategy)
    said = "; ".join(f"{', '.join(strategies)}: {text}" for text, strategies in texts.items())
    default = "" if setting.default in ((), None, False) else f"  [default: {setting.default}]"
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[
        Optional[kind], typer.Option(  # noqa: UP045
            f"--{name.replace('_', '-')}", *filter(None, [setting.short]), metavar=setting.metavar or None,
            help=f"{said}.{default}")])
