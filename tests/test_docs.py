"""The pages cannot lie: what the program has is on them, and what they show is what the program does."""

from __future__ import annotations

import ast
import configparser
import doctest
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import emoprep
from emoprep import __main__ as program
from emoprep import errors
from emoprep.contracts import modules
from emoprep.methods.class_weights import NORMALIZATIONS, SCHEMES, class_weights
from emoprep.methods.nonfinite import POLICIES
from emoprep.methods.targets import PRESETS, decide_targets
from emoprep.store.folder import FACTS
from emoprep.store.index import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # `docs` is no part of the package
generate = importlib.import_module("docs.generate")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Pages with examples that other tests run.
RUN_ELSEWHERE = {"loaders.md", "makefile-recipes.md"}
MELD = {"neutral": 4710, "surprise": 1205, "fear": 268, "sadness": 683, "joy": 1743, "disgust": 271, "anger": 1109}
# What a page finds in its folder, and where `emoprep demo` has it.
ROAD = {"data/MELD.Raw": "MELD.Raw", "shards/meld": "shards", "features/meld": "features"}
PROGRESS = re.compile(r"[a-z]+: [0-9,]+ of [0-9,]+ \([0-9]+ %\)")
# Where pages have the real annotation, and where it lies below ../shared/real.
REAL = {"/data/MELD.Raw": "meld", "/data/CMU_MOSEI": "mosei"}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ------------------------------------------------------------------------------------------ the CLI page

def test_the_cli_page_is_the_programs():
    assert page("docs/cli.md") == generate.cli_page(), generate.REMEDY


def test_the_cli_page_does_not_depend_on_the_terminal():
    done = subprocess.run([sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "COLUMNS": "40", "TERMINAL_WIDTH": "40", "FORCE_COLOR": "1"})
    assert done.returncode == 0, done.stderr


def test_a_page_that_differs_is_told_with_the_remedy(monkeypatch, tmp_path, capsys):
    old = tmp_path / "cli.md"
    old.write_text("# Commands\n", encoding="utf-8")
    monkeypatch.setattr(generate, "PAGE", old)
    assert generate.main(["--check"]) == 1
    assert "docs/cli.md: the page differs from the program; run `make docs`" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_every_command_and_option_is_on_the_cli_page():
    from emoprep.cli import program

    for name, command in program().commands.items():
        section = re.search(rf"^## emoprep {name}$(.*?)(?=^## |\Z)", page("docs/cli.md"), re.M | re.S)
        assert section, name
        for parameter in command.params:
            shown = parameter.metavar if parameter.param_type_name == "argument" else max(parameter.opts, key=len)
            assert f"`{shown}`" in section[1], (name, shown)
            assert parameter.help and parameter.help.split("  [")[0] in section[1], (name, shown)


# ------------------------------------------------------------------------- what there is, is on its page

def test_corpora_with_their_options_and_schemes():
    overview = page("docs/corpora.md")
    for module in modules("corpora").values():
        own = page(f"docs/{module.NAME}.md")
        assert f"| [`{module.NAME}`]({module.NAME}.md) |" in overview
        for option, of in module.OPTIONS.items():
            assert f"`--{option}" in own
            assert all(f"`--{option} {choice}`" in own for choice in of.choices)
        assert all(f"`{column}`" in own for column in module.ANNOTATION)
        assert all(re.search(rf"^\| `{protocol}`", overview, re.M) for protocol in module.PROTOCOLS)
        for scheme in module.SCHEMES:
            for text in (own, overview):
                row = next(line for line in text.splitlines() if line.startswith(f"| `{scheme.name}`"))
                columns = ", ".join(f"`{column}`" for column in scheme.reads)
                assert row.endswith(f"| {columns} | {', '.join(scheme.labels)} |"), row


def test_strategies_with_their_options():
    text = page("docs/balancing.md") + page("docs/augmentation.md")
    headings = {name for line in re.findall(r"^### (.+)$", text, re.M) for name in line.replace("NAME", "").split(", ")}
    for module in modules("strategies").values():
        assert module.NAME in headings
        assert f"`{module.NAME}{'NAME' if module.NAME.endswith(':') else ''}`" in text.partition("### weights")[0]
        for option in module.OPTIONS:
            assert f"`--{option.replace('_', '-')}" in text, option


def test_extractors_with_their_pools_and_dimensions():
    rows = [line for line in page("docs/features.md").splitlines() if line.startswith("| `--")]
    for module in modules("extractors").values():
        row = [line for line in rows if line.startswith(f"| `--{module.MODALITY}` | `{module.NAME}")]
        assert len(row) == 1, (module.MODALITY, module.NAME)
        _, _, name, pools, dim, *_ = (cell.strip() for cell in row[0].split("|"))
        assert ("(default)" in name) == module.DEFAULT
        assert pools == ", ".join(f"`{pool}`" for pool in module.POOLS)
        assert dim == (str(module.DIM) if module.DIM else "the model's")
    assert len(rows) == len(modules("extractors"))


def test_weighting_schemes_normalisations_policies_and_presets():
    balancing, features, weights = (page(f"docs/{name}.md") for name in ("balancing", "features", "weights"))
    assert all(re.search(rf"^\| `{scheme}[`=]", weights, re.M) for scheme in SCHEMES)
    assert all(f"`{name}`" in weights for name in NORMALIZATIONS)
    assert all(f"`preset:{name}`" in balancing for name in PRESETS)
    assert all(f"| `{policy}`" in features for policy in POLICIES)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / "emoprep").rglob("*.py")):
        yield named(path), ast.parse(path.read_text(encoding="utf-8"))


def test_skip_reasons_and_flags():
    reasons, flags, said = set(), set(), set()
    for _, tree in sources():
        said |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        reasons |= {node.value.value for node in ast.walk(tree)
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason"
                    and isinstance(node.value, ast.Constant)}
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called = ast.unparse(call.func)
            if called == "Skip" and len(call.args) == 3 and isinstance(call.args[1], ast.Constant):
                reasons.add(call.args[1].value)
            elif called.endswith("flags.append") and isinstance(call.args[0], ast.Constant):
                flags.add(call.args[0].value)
    assert {"no-clip", "undecodable", "excluded"} <= reasons and "no-sound" in flags
    text = page("docs/corpora.md")
    told = {heading: set(re.findall(r"`([a-z-]+)`", " ".join(re.findall(r"^\|([^|]+)\|", section, re.M))))
            for heading, section in re.findall(r"^## (Skip reasons|Flags)$(.*?)(?=^## |\Z)", text, re.M | re.S)}
    # Some are chosen before they are used, so that only their words stand in the program.
    assert reasons <= told["Skip reasons"] <= said and flags <= told["Flags"] <= said


def test_flags_and_reasons_of_the_demo_are_told(demo_road):
    from pyarrow import parquet

    text = page("docs/corpora.md")
    for store in ("shards", "smote"):
        index = parquet.read_table(demo_road / store / "utterances.parquet", columns=["flags"])
        rows = index.column("flags").to_pylist()
        assert all(f"`{flag}`" in text for flags in rows for flag in flags)


def test_exit_codes():
    codes = {0, errors.FOUND, program.INTERRUPTED, program.TERMINATED, program.USAGE}
    codes |= {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", page("docs/errors.md"), re.M)} == codes


def test_messages_in_the_error_table_are_the_programs():
    said = " ".join(" ".join(node.value for node in ast.walk(tree)
                             if isinstance(node, ast.Constant) and isinstance(node.value, str))
                    for _, tree in sources())
    table = page("docs/errors.md").partition("## Messages and remedies")[2]
    messages = [message for line in table.splitlines() if line.startswith("| `")
                for message in re.findall(r"`([^`]+)`", line.split("|")[1])]
    assert len(messages) > 15
    for message in messages:
        for part in message.split("…"):
            assert part.removeprefix("train_sent_emo.csv:").strip(": ") in said, message


def test_columns_and_manifest_fields(demo_road):
    import json

    from pyarrow import parquet

    text = page("docs/store.md")
    words = {"strings": "list of string", "float": "float32", "double": "float64"}
    for column, kind in COLUMNS.items():
        row = next((line for line in text.splitlines() if re.match(rf"\| (`\w+`, )*`{column}`", line)), None)
        assert row and row.split("|")[2].strip() == words.get(kind, kind), column
    plan = parquet.read_schema(demo_road / "smote" / "plan.parquet")
    for field in plan:
        assert f"| `{field.name}` | {words.get(str(field.type), field.type)} |" in text, field.name
    for store in ("shards", "features", "weights"):
        manifest = json.loads((demo_road / store / "manifest.json").read_bytes())
        fields = text.partition("## The manifest")[2].partition("##")[0]
        assert all(f"`{name}`" in fields for name in manifest), set(manifest)
        assert set(FACTS) <= set(manifest)
        files = {path.name for path in (demo_road / store).iterdir()}
        assert all(f"`{name}`" in text for name in files if not name.endswith(".tar")), files
    weights = json.loads((demo_road / "weights" / "class_weights.json").read_bytes())
    assert all(f"`{name}`" in page("docs/weights.md") for name in weights)


def test_members_of_a_sample(demo_road):
    import tarfile

    with tarfile.open(demo_road / "shards" / "train-000000.tar") as tar:
        members = {name.partition(".")[2] for name in tar.getnames()}
    assert all(f"| `.{member}` |" in page("docs/store.md") for member in members)


def table_rows(text: str, heading: str, columns: str) -> Iterator[list[str]]:
    lines = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(columns))
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("direction", ["over", "under"])
def test_targets_in_the_table_are_what_they_come_to(direction):
    rows = list(table_rows(page("docs/balancing.md"), "Targets", f"| `--target` | {direction}-sampling |"))
    assert len(rows) >= 6
    for forms, _, counts, total, ratio in rows:
        for form in re.findall(r"`([^`]+)`", forms):
            found = list(decide_targets(form, MELD, direction).values())
            assert counts == ", ".join(map(str, found)), form
            assert (total, ratio) == (str(sum(found)), f"{max(found) / min(found):.2f}"), form


def test_weights_in_the_table_are_what_they_come_to():
    rows = list(table_rows(page("docs/weights.md"), "Schemes", "| `--scheme` |"))
    assert len(rows) >= len(SCHEMES)
    for form, _, normalization, values in rows:
        made = class_weights(MELD, re.search(r"`([^`]+)`", form)[1])
        assert normalization == f"`{made.normalize}`"
        assert values == ", ".join(f"{weight:.4f}" for weight in made.weights.values())


def test_layers_and_dependencies_in_the_design():
    text = page("docs/design.md")
    rules = configparser.ConfigParser()
    rules.read(ROOT / ".importlinter")
    layers = [line.replace("emoprep.", "")
              for line in rules["importlinter:contract:layers"]["layers"].strip().splitlines()]
    assert "```text\n" + "\n".join(layers) + "\n```" in text
    project = tomllib.loads(page("pyproject.toml"))["project"]
    wanted = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    rows = dict(re.findall(r"^\| `([\w-]+)` \| .* \| ([^|]*) \|$", text, re.M))
    assert wanted <= set(rows)
    imports = {alias.split(".")[0] for _, tree in sources() for node in ast.walk(tree)
               for alias in ([name.name for name in node.names] if isinstance(node, ast.Import)
                             else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])}
    modules_of = {"ffmpeg-python": "ffmpeg", "pillow": "PIL", "imbalanced-learn": "imblearn", "scikit-learn": "sklearn"}
    for package in wanted:
        used = modules_of.get(package, package) in imports
        assert used == (rows[package] != "nothing imports it yet"), package
    assert all(f"`{extra}`" in text for extra in project["optional-dependencies"])


def test_make_targets_that_pages_name_exist():
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.M))
    asked = {target for path in PAGES if path.name not in RUN_ELSEWHERE
             for target in re.findall(r"(?:`|^\s+|^)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.M)}
    assert {"demo", "test"} <= asked <= targets


# ------------------------------------------------------------------------------------------------ links

def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", text, re.M)}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_local_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", link):
            continue
        target, _, anchor = link.partition("#")
        there = path.parent / target if target else path
        assert there.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{link}: no such heading"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_no_page_names_a_place_of_one_machine(path):
    assert not re.search(r"(?<![\w.$}])/(home|root|tmp|usr|work|mnt|opt)/", path.read_text(encoding="utf-8"))


# --------------------------------------------------------------------------------------------- examples

def prepare(folder: Path, road: Path, text: str) -> None:
    """Link the demo's results to where a page expects them, unless its own commands make them."""
    made = set(re.findall(r"^\$ emoprep (?:segment|features|balance) \S+ (\S+)", text, re.M))
    for place, there in ROAD.items():
        # An example that shows a refusal needs the store to be there.
        if place not in made or "another run" in text:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).symlink_to(road / there)
    # A block that begins with a file's name is that file.
    for block in blocks(text, "(?:toml|python)"):
        if name := re.match(r"# (\S+\.(?:toml|py))\n", block):
            (folder / name[1]).write_text(block, encoding="utf-8")


def real_annotation(corpus: str) -> Path | None:
    folder = Path(os.environ.get("EMOPREP_SHARED") or ROOT.parent / "shared") / "real" / corpus
    return folder.resolve() if folder.is_dir() else None


def run_console(block: str, folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (command, lines the page shows, lines the program gives)."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        if real := next((place for place in REAL if place in command), None):
            if (folder_of := real_annotation(REAL[real])) is None:
                continue
            command = command.replace(real, str(folder_of))
        done = subprocess.run(["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env={**environment, "PATH": path, "LC_ALL": "C.UTF-8"})
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        # How long it takes is no part of a page. Tables end in spaces, which no page shows either.
        given = [line for line in done.stdout.split("\n") if not PROGRESS.match(line)]
        yield command, tidy(shown), tidy(given)


def tidy(lines: list[str]) -> list[str]:
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def agrees(shown: list[str], given: list[str]) -> bool:
    """Compare lines; `…` on a line of its own stands for any lines.

    >>> agrees(["a", "…", "d"], ["a", "b", "c", "d"]), agrees(["a"], ["a", "b"])
    (True, False)
    """
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(line + "\n" for line in given)) is not None


@pytest.mark.parametrize("path", [path for path in PAGES if path.name not in RUN_ELSEWHERE], ids=named)
def test_examples_give_what_the_page_shows(path, tmp_path, demo_road):
    text = path.read_text(encoding="utf-8")
    if not re.search(r"^```(console|python)$", text, re.M):
        pytest.skip("no examples")
    prepare(tmp_path, demo_road, text)
    # In the page's order: what one example writes, the next may read.
    for language, block in re.findall(r"^```(console|python)\n(.*?)^```$", text, re.M | re.S):
        if language == "python":
            done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, f"{block}\n{done.stderr}"
            continue
        assert block.startswith("$ "), block
        for command, shown, given in run_console(block, tmp_path):
            assert agrees(shown, given), f"$ {command}\nthe page shows:\n" + "\n".join(shown) \
                + "\nthe program gives:\n" + "\n".join(given)


# --------------------------------------------------------------------------------------------- doctests

MODULES = sorted(entry.name for entry in pkgutil.walk_packages(emoprep.__path__, "emoprep.")
                 if not entry.name.endswith("__main__"))


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_there_are_doctests():
    finder = doctest.DocTestFinder()
    assert sum(bool(test.examples) for name in MODULES
               for test in finder.find(importlib.import_module(name))) > 50


def test_the_readmes_other_ways_to_balance_run(demo_road, tmp_path, emoprep):
    """Each command of the block, on the demo's stores; CMU-MOSEI's where its real labels are at hand."""
    places = {"/data/MELD.Raw": demo_road / "MELD.Raw", "shards/meld": demo_road / "shards",
              "features/meld": demo_road / "features", "/data/CMU_MOSEI": real_annotation("mosei")}
    section = page("README.md").partition("## More ways to balance")[2]
    lines = [shlex.split(line, comments=True) for line in blocks(section, "sh")[0].splitlines()]
    assert len(lines) == 7 and all(line[:2] == ["emoprep", "balance"] for line in lines)
    for number, (_, command, source, _, *options) in enumerate(lines):
        if places[source] is None:
            continue
        done = emoprep(command, places[source], tmp_path / str(number), *options, "-q")
        if "imblearn:SVMSMOTE" in options:  # the demo's two utterances of fear are too few for five neighbours
            assert done.returncode == 2 and "SVMSMOTE cannot add to fear" in done.stderr
        else:
            assert done.returncode == 0, done.stderr
            assert (tmp_path / str(number) / "plan.parquet").is_file()
