"""The house rules: the file map is true, the names are ours, files and functions stay small, help loads little."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tickets", "pipeline", "models", "service", "monitoring", "triage")
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in set(listed.stdout.split()) if (ROOT / name).is_file())


def sources() -> list[Path]:
    """Every Python file but the migrations, which Alembic wrote and a person read."""
    return [ROOT / name for name in tracked("*.py") if not name.startswith("tickets/migrations/")]


def test_each_package_name_is_ours() -> None:
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin == str(ROOT / name / "__init__.py")


def mapped_files() -> set[str]:
    """The paths that README's file map names."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## File map", 1)[1].split("\n## ", 1)[0]
    names, folder = set(), ""
    for line in section.splitlines():
        if heading := re.match(r"^([a-z_/]+/)(\s|$)", line.strip()) if not line.startswith("      ") else None:
            folder = heading[1]
        elif entry := re.match(r"^\s{6,}([\w./]+\.py)\s", line):
            names.add(folder + entry[1])
    return names


def test_the_file_map_names_every_source_file_and_no_other() -> None:
    ours = {
        name
        for name in tracked(*(f"{package}/*.py" for package in PACKAGES))
        if not name.endswith("__init__.py") and "/migrations/" not in name
    }
    ours |= {name for name in tracked("*/*__init__.py") if name.startswith(PACKAGES) and code_lines(ROOT / name) > 1}
    assert mapped_files() == ours


def code_lines(path: Path) -> int:
    """Statements of a module, its docstring aside."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return sum(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_lives_in_it(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree)


def test_the_environment_is_read_in_one_place() -> None:
    reads = re.compile(r"os\.environ|os\.getenv|getenv\(")
    places = {str(path.relative_to(ROOT)) for path in sources() if reads.search(path.read_text(encoding="utf-8"))}
    ours = {place for place in places if place.startswith(PACKAGES)}
    # Spark's launcher itself reads JAVA_HOME and PYSPARK_PYTHON, so the session must look and write there.
    assert ours == {"triage/settings.py", "pipeline/session.py"}


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "triage", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert not imported & {"torch", "pyspark", "pandas", "mlflow", "evidently", "fastapi", "transformers", "sklearn"}
