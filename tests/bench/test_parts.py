"""--only: parts of a bench by name."""

from __future__ import annotations

import argparse

import pytest

pytestmark = pytest.mark.usefixtures("bench_folder")


def test_parts_are_named_by_commas_and_an_unknown_one_ends_the_bench_before_it_begins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from parts import add_only

    parser = argparse.ArgumentParser()
    add_only(parser, ("power", "night"))
    assert parser.parse_args([]).only == ["power", "night"]
    assert parser.parse_args(["--only", "night"]).only == ["night"]
    with pytest.raises(SystemExit):
        parser.parse_args(["--only", "power,nights"])
    assert "there is no part 'nights'; parts: power, night" in capsys.readouterr().err
