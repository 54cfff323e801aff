"""What is checked of a block that nobody runs: that it can be read, and that what it names exists."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import yaml

from tests.docs.command_lines import triage_calls, what_is_wrong
from tests.docs.pages import INDENTED, ROOT, Block, Page
from tickets.changes_file import changes_from_toml
from tickets.dataset import load_dataset
from tickets.errors import TriageError

PACKAGES = frozenset({"tickets", "pipeline", "models", "service", "monitoring", "triage"})
SAYS_WHO_RUNS_IT = frozenset({"sh", "bash", "console", "python"})
UNREAD = frozenset(
    {"text", "html", "hcl", "ini", "sql", "promql", "diff", "markdown", "jinja", "javascript", "mermaid"}
)
STEERS = re.compile(r"run|output|file: \S+|run by: (?P<test>\S+)|not run: \S.*")
_SETTING = re.compile(r"\bTRIAGE_[A-Z]+__[A-Z_]*[A-Z](?!\w|\*)")  # those of a group; NAME stands for any helpdesk
_COMMAND = re.compile(r"^(\$ |triage |python |make |curl |docker |kubectl |export )", re.MULTILINE)


def problems_of_block(block: Block) -> list[str]:
    """What is wrong with one block, each with what to do about it."""
    found = list(_steering(block))
    if block.steer == "run" and block.language not in {"sh", "bash", "python"}:
        found.append(f"only sh and python are run, not {block.language!r}.")
    if block.language in _READERS:
        found += _READERS[block.language](block.text)
    elif block.language not in UNREAD:
        told = f"{block.language!r} is not known" if block.language else "the block does not name its language"
        found.append(f"{told}; take one of {', '.join(sorted({*_READERS, *UNREAD} - {INDENTED}))}.")
    return [f"{block.place}: {problem}" for problem in [*found, *_unknown_settings(block.text)]]


def _steering(block: Block) -> Iterator[str]:
    """What is run says so, and what is not says why: nobody has to guess which commands were ever tried."""
    steered = STEERS.fullmatch(block.steer)
    if block.language == INDENTED and _COMMAND.match(block.text):
        yield "commands stand between fences, so that a comment can say who runs them."
    elif not block.steer and block.language in SAYS_WHO_RUNS_IT:
        yield "say in a comment before it who runs it: run, file: NAME, run by: TEST, or not run: REASON."
    elif block.steer and steered is None:
        yield (
            f"the comment {block.steer!r} steers nothing; it may say run, output, file: NAME, run by: TEST, "
            "not run: REASON."
        )
    elif steered is not None and steered["test"] and not _speaks_of(ROOT / steered["test"], Path(block.page).name):
        yield f"{steered['test']} is no test that reads {Path(block.page).name}."


def _speaks_of(test: Path, name: str) -> bool:
    return test.is_file() and name in test.read_text(encoding="utf-8")


def problems_of_prose(page: Page) -> list[str]:
    """Commands and settings that running text names in code spans and that do not exist."""
    found = []
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.prose()):
        if span.startswith("triage "):
            found += [problem for problem in _calls(span, whole=False) if problem]
        found += _unknown_settings(span)
    return [f"{page.name}: {problem}" for problem in found]


def _shell(text: str) -> list[str]:
    read = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if read.returncode:
        return [f"bash cannot read it: {read.stderr.strip().splitlines()[0]}"]
    return list(_calls(text))


def _console(text: str) -> list[str]:
    """Lines after `$ `, and those that go on with one after a backslash; the rest is what they print."""
    typed, goes_on = [], False
    for line in text.splitlines():
        if line.startswith("$ ") or goes_on:
            typed.append(line.removeprefix("$ ").removeprefix("> "))
            goes_on = line.endswith("\\")
    return _shell("\n".join(typed)) if typed else ["a console block shows what is typed after `$ `; none is here."]


def _indented(text: str) -> list[str]:
    return _shell(text) if _COMMAND.match(text) else []


def _python(text: str) -> list[str]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [f"Python cannot read it: {error.msg}, line {error.lineno}."]
    return [problem for node in ast.walk(tree) for problem in _unknown_imports(node)]


def _unknown_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [(alias.name, None) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        names = [(node.module, alias.name) for alias in node.names]
    else:
        return
    for module, name in names:
        if module.split(".")[0] in PACKAGES and not _importable(module, name):
            yield f"there is no {module if name is None else f'{name} in {module}'}."


@cache
def _importable(module: str, name: str | None) -> bool:
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    if name is None or hasattr(loaded, name):
        return True
    return hasattr(loaded, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None


def _json(text: str) -> list[str]:
    """One value, or one a line."""
    try:
        json.loads(text)
    except ValueError as error:
        return [] if _all_lines_are_json(text) else [f"JSON cannot be read: {error}."]
    return []


def _all_lines_are_json(text: str) -> bool:
    try:
        return len([json.loads(line) for line in text.splitlines() if line.strip()]) > 1
    except ValueError:
        return False


def _toml(text: str) -> list[str]:
    """A whole dataset.toml and a file of changes are read by what reads them in the product, too."""
    try:
        data = tomllib.loads(text)
        if {"name", "format", "ticket"} <= data.keys():
            _load_dataset(text)
        elif "change" in data:
            changes_from_toml(data, text=text)
    except tomllib.TOMLDecodeError as error:
        return [f"TOML cannot be read: {error}."]
    except TriageError as error:
        return [str(error)]
    return []


def _load_dataset(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.toml"
        path.write_text(text, encoding="utf-8")
        load_dataset(path)


def _yaml(text: str) -> list[str]:
    try:
        list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        return [f"YAML cannot be read: {' '.join(str(error).split())}."]
    return []


_READERS: dict[str, Callable[[str], list[str]]] = {
    **{"sh": _shell, "bash": _shell, "console": _console, INDENTED: _indented},
    **{"python": _python, "json": _json, "ndjson": _json, "toml": _toml, "yaml": _yaml},
}


def _calls(text: str, *, whole: bool = True) -> Iterator[str]:
    try:
        calls = triage_calls(text)
    except ValueError as error:
        yield f"its words cannot be told apart: {error}."
        return
    for arguments in calls:
        problem = what_is_wrong(arguments, whole=whole)
        if problem is not None:
            yield f"{problem} In: triage {' '.join(arguments)}"


def _unknown_settings(text: str) -> Iterator[str]:
    for name in sorted(set(_SETTING.findall(text))):
        if name.replace("_NAME__", "_ZENDESK__") not in _settings():
            yield f"there is no setting {name}; triage/settings.py has them all."


@cache
def _settings() -> frozenset[str]:
    from triage.reference.settings import every_setting

    return frozenset(name for name, _, _ in every_setting())
