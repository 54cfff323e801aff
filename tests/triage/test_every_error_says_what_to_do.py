"""Every error raised on purpose, anywhere in the product, tells the reader what to do about it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tickets import errors

ROOT = Path(__file__).parents[2]
ROOMS = ("tickets", "pipeline", "models", "service", "monitoring", "triage")
KINDS = {name for name in vars(errors) if name.endswith("Error")} | {"Problem"}


def raised(path: Path) -> list[tuple[int, ast.Call]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(call.lineno, call) for call in calls if isinstance(call.func, ast.Name) and call.func.id in KINDS]


def test_the_walk_finds_the_errors_there_are() -> None:
    found = sum(len(raised(path)) for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    assert found > 300


@pytest.mark.parametrize("room", ROOMS)
def test_each_has_a_hint(room: str) -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, call in raised(path)
        if not any(keyword.arg == "hint" for keyword in call.keywords)
    ]
    assert silent == []
