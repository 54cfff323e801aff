"""The picture: its front, its labels, its bytes; and the ladder's files."""

from __future__ import annotations

import dataclasses
import json
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest

from models.ladder.budget import Budget, recommend
from models.ladder.picture import Box, draw, pareto_front, place_labels
from models.ladder.record import LadderRun, RungResult
from models.ladder.saved import HEADINGS, page, read_ladder, table, write_ladder
from tickets.errors import MissingStepError, WorkspaceError
from tickets.workspace import Workspace

PANEL = Box(0.0, 0.0, 500.0, 460.0)


def rung(title: str, right: float, cost: float) -> RungResult:
    correct = np.random.default_rng(7).random(400) < right
    figures = {
        "test": {"accuracy": right, "hits@3": 0.9, "ece": 0.05},
        "cost": {"train_seconds": cost * 10, "ms_per_ticket": cost, "megabytes": cost * 3},
    }
    return RungResult(name=title, title=title, reads="text", figures=figures, correct=correct)


@pytest.fixture
def climbed() -> LadderRun:
    rungs = (
        dataclasses.replace(rung("majority", 0.1, 0.0), readable=""),
        dataclasses.replace(rung("keyword rules", 0.5, 0.1), readable="Payments: money\n"),
        rung("TF-IDF + logistic regression", 0.8, 1.0),
        rung("COTA v1", 0.7, 30.0),
        RungResult(name="lstm", title="LSTM", reads="text, attributes", problem="no memory"),
        dataclasses.replace(rung("transformer", 0.9, 4.0), note="version v1, trained in this run"),
    )
    return LadderRun(
        rungs=rungs,
        split="test",
        tickets={"train": 1000, "validation": 100, "test": 400},
        data_hash="abcdef" * 10,
        settings={"seed": 17},
        machine="two cores",
        made_at="2026-11-23T10:00:00+00:00",
    )


def test_the_front_is_what_no_other_beats() -> None:
    assert pareto_front([0.1, 0.5, 0.8, 0.7, 0.9], [0.0, 0.1, 1.0, 30.0, 4.0]) == [0, 1, 2, 4]
    assert pareto_front([0.5, 0.5], [1.0, 2.0]) == [0]
    assert pareto_front([0.5, 0.5], [1.0, 1.0]) == [0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_labels_stand_on_no_other_and_on_no_point(seed: int) -> None:
    """Ten rungs, half of them crowded into a corner as good ones are."""
    deal = np.random.default_rng(seed)
    crowd = np.array([380.0, 400.0]) + deal.normal(0, 12, size=(5, 2))
    points = np.concatenate([crowd, deal.uniform(20, 440, size=(5, 2))])
    sizes = np.column_stack([deal.uniform(40, 190, 10), np.full(10, 14.0)])
    line = Box(0.0, 395.0, 300.0, 2.0)
    places = place_labels(points, sizes, PANEL, lines=[line])
    assert not any(one.meets(other) for one, other in combinations(places, 2))
    assert not any(place.meets(Box(x - 5, y - 5, 10, 10)) for place in places for x, y in points)
    assert all(place.inside(PANEL) for place in places)
    assert not any(place.meets(line) for place in places)


def test_the_picture_is_svg_with_every_measured_rung_in_three_panels(climbed: LadderRun) -> None:
    drawn = draw(climbed)
    assert drawn is not None
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    for title in ("majority", "keyword rules", "TF-IDF + logistic regression", "COTA v1", "transformer"):
        assert drawn.count(f"<!-- {title} -->") == 3
    assert "LSTM" not in drawn
    assert draw(climbed) == drawn


def test_nothing_measured_is_no_picture(climbed: LadderRun) -> None:
    assert draw(dataclasses.replace(climbed, rungs=climbed.rungs[4:5])) is None


def test_the_table_has_a_row_a_rung_and_the_page_says_why_one_failed(climbed: LadderRun) -> None:
    rows = table(climbed)
    assert all(len(row) == len(HEADINGS) for row in rows)
    assert rows[4][2] == "failed"
    accuracy = f"{100 * climbed.rungs[5].right:.1f}"
    assert rows[5][2] == accuracy
    written = page(climbed, recommend(climbed.rungs, Budget()), with_picture=True)
    assert "LSTM failed: no memory" in written
    assert f"|transformer|text|{accuracy}|" in written
    assert "(ladder.svg)" in written
    assert "take transformer" in written


def test_a_climb_is_read_back_as_it_was(climbed: LadderRun, workspace: Workspace) -> None:
    with pytest.raises(MissingStepError, match="triage baselines"):
        read_ladder(workspace)
    advice = recommend(climbed.rungs, Budget(ms_per_ticket=2))
    written = write_ladder(workspace, climbed, advice, draw(climbed))
    assert {path.name for path in written.parent.iterdir()} == {
        *("ladder.json", "ladder.md", "ladder.svg", "keyword_rules.txt"),
    }
    again = read_ladder(workspace)
    assert again.tickets == climbed.tickets
    assert table(again) == table(climbed)
    assert [rung.problem for rung in again.rungs] == [rung.problem for rung in climbed.rungs]
    assert recommend(again.rungs, Budget(ms_per_ticket=2)) == advice
    facts = json.loads((written.parent / "ladder.json").read_text())
    assert facts["recommendation"]["rung"] == "TF-IDF + logistic regression"
    assert facts["data_hash"] == climbed.data_hash


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": 9}'])
def test_a_record_of_something_else_is_one_clear_line(text: str, workspace: Workspace) -> None:
    workspace.experiments.mkdir(parents=True, exist_ok=True)
    (workspace.experiments / "ladder.json").write_text(text)
    with pytest.raises(WorkspaceError, match="triage baselines"):
        read_ladder(workspace)
