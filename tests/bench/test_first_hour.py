"""The stopwatch over docs/getting-started.md: what it types, and that a step which fails is not timed as done."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("bench_folder")

PAGE = (Path(__file__).parents[2] / "docs" / "getting-started.md").read_text(encoding="utf-8")


def test_it_types_the_page_from_the_demonstration_to_the_request() -> None:
    from first_hour import _blocks, _name

    names = [_name(block) for block in _blocks(PAGE, demonstration=True)]
    assert names[0] == "make_demo"
    assert names[-1] == "curl"
    assert {"triage_import_tickets.csv", "triage_train_cpu-quick", "triage_serve_demo", "triage_serve"} <= set(names)
    assert len(set(names)) == len(names)
    assert "make_demo" not in [_name(block) for block in _blocks(PAGE, demonstration=False)]


def test_what_a_block_exports_lasts_and_what_it_says_is_kept(tmp_path: Path) -> None:
    from first_hour import Terminal

    with Terminal(tmp_path, home=tmp_path / "home") as terminal:
        terminal.type("export TRIAGE_KEY=secret\n")
        terminal.type('echo "$TRIAGE_KEY of $HOME"\n')
        assert terminal.said.strip() == f"secret of {tmp_path / 'home'}"


def test_a_block_that_fails_midway_ends_the_walk(tmp_path: Path) -> None:
    from first_hour import Terminal

    with pytest.raises(RuntimeError, match="no-such-file"), Terminal(tmp_path, home=tmp_path / "home") as terminal:
        terminal.type("cat no-such-file\necho went on\n")
