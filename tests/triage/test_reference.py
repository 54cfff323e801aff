"""The reference pages say what the code says, and hold everything that there is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from service.telemetry import Metrics
from tickets.database import metadata
from tickets.tables import TABLES
from triage.reference import pages
from triage.reference.http import description
from triage.reference.markdown import table
from triage.reference.remarks import remarks_of

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.fixture(scope="module")
def fresh() -> dict[str, str]:
    return {name: pages.page(name) for name in pages.PAGES}


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_committed_page_is_what_the_code_says_today(fresh: dict[str, str], name: str) -> None:
    path = FOLDER / name
    kept = path.read_text(encoding="utf-8") if path.is_file() else ""
    changed = [line for line in fresh[name].splitlines() if line not in kept.splitlines()]
    gone = [line for line in kept.splitlines() if line not in fresh[name].splitlines()]
    told = f"docs/reference/{name} is stale; run `{pages.COMMAND}` and commit what it writes."
    assert kept == fresh[name], f"{told}\nnew: {changed[:5]}\ngone: {gone[:5]}"


def test_no_other_page_lies_among_them() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages.PAGES)


def test_every_command_table_metric_and_address_is_there(fresh: dict[str, str]) -> None:
    for command in ("triage import", "triage keys create", "triage quarantine replay", "triage serve"):
        assert f"\n## {command}\n" in fresh["commands.md"]
    assert "| `-w, --workspace <path>` |" in fresh["commands.md"]
    assert "| 75 | another run holds the lock |" in fresh["commands.md"]
    for lake in TABLES:
        assert f"\n### {lake.name}\n" in fresh["tables.md"]
    for name in metadata.tables:
        assert f"\n### {name} (database)\n" in fresh["tables.md"]
    measured = {family.name for family in Metrics().registry.collect() if family.name.startswith("triage_")}
    assert [name for name in measured if f"`{name}" not in fresh["metrics.md"]] == []
    assert [path for path in description()["paths"] if f" {path}\n" not in fresh["http.md"]] == []


def test_what_is_written_is_what_a_page_holds(tmp_path: Path, fresh: dict[str, str]) -> None:
    written = pages.write(tmp_path / "new")
    assert {path.name: path.read_text(encoding="utf-8") for path in written} == fresh


def test_remarks_beside_declarations_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "declared.py").write_text(
        "def box(*parts): return parts\n"
        "def field(name, **kind): return name\n"
        "A = box(  # the first,\n"
        "    # over two lines\n"
        "    field('x'),  # left\n"
        "    field('y', kind=dict(\n"
        "        a=1)),  # right\n"
        "    field('z'),\n"
        ")\n"
        "B = box(field('x'))\n"
        "C = field('x')  # not asked for\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import declared  # type: ignore[import-not-found]  # written above

    module: ModuleType = declared
    found = remarks_of(module, call="box")
    assert set(found) == {"A", "B"}
    assert (found["A"].whole, found["A"].parts) == ("the first, over two lines", {"x": "left", "y": "right"})
    assert (found["B"].whole, found["B"].parts) == ("", {})


def test_a_cell_breaks_no_table() -> None:
    assert table(("a", "b"), [("x | y", "two\nlines")]) == "| a | b |\n|---|---|\n| x \\| y | two lines |"
    assert table(("a",), []) == ""
