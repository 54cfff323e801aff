"""Charts of what the nights found: quality, what changed, which contact types grew and shrank."""

from __future__ import annotations

from typing import Any

import pytest

from service.dashboard.chart import Chart
from service.dashboard.nights import drift, over_limit, quality
from service.dashboard.shift_chart import label_shift
from service.dashboard.state import figures
from tests.service.dashboard.nights import result_of, run_of, shift_of
from tickets.monitor_log import DetectorResult


def test_charts_hold_the_numbers_of_their_tables() -> None:
    runs = [run_of("2026-03-09-m1"), run_of("2026-03-08-m1")]
    shares = quality(runs)
    assert shares.spec is not None
    assert shares.spec["data"]["values"] == shares.rows
    assert [row["date"] for row in shares.rows] == ["2026-03-08", "2026-03-08", "2026-03-09", "2026-03-09"]
    drawn = drift(runs, {run.run_id: [result_of()] for run in runs})
    assert [row["over_limit"] for row in drawn.rows] == [2.0, 2.0]


def test_what_labels_and_unaided_agents_say_is_shown_where_it_is_known() -> None:
    more = {"accuracy_unaided": 0.7, "accuracy_unaided_tickets": 40, "hits_at_3_labels": 0.95, "abstained": None}
    night = run_of(summary=run_of().summary | more)
    usual = [figure.name for figure in figures(run_of())]
    assert usual[-1] == "Left open"  # which is shown though it is unknown
    assert [(figure.name, figure.share, figure.tickets) for figure in figures(night)[len(usual) :]] == [
        ("Right, unaided", 0.7, 40),
        ("Among the first three, by random labels", 0.95, 0),
    ]
    drawn = {row["figure"]: row["share"] for row in quality([night]).rows}
    assert drawn["right, by agents who saw no suggestion"] == 0.7
    assert drawn["among the first three, by random labels"] == 0.95


def test_the_newest_night_decides_how_a_detector_stands_also_when_it_knows_nothing() -> None:
    blind: dict[str, Any] = {"statistic": None, "limit": None, "p_value": None, "status": "unknown"}
    why = {"details": {"why": "needs 50 tickets in both windows"}}
    runs = [run_of("2026-03-09-m1"), run_of("2026-03-08-m1")]
    drawn = drift(
        runs,
        {
            "2026-03-08-m1": [result_of("volume"), result_of("text.length", **blind, **why), result_of("text.words")],
            "2026-03-09-m1": [
                result_of("volume", **blind, **why),
                result_of("text.length", **blind, **why),
                result_of("text.words", statistic=0.01, status="ok"),
                result_of("predictions.types"),
            ],
        },
    )
    assert [(panel.title, panel.status) for panel in drawn.panels] == [
        ("Mix of contact types", "drifted"),
        ("Words in use", "ok"),
        ("Number of tickets", "unknown"),
        ("Length of tickets", "unknown"),
    ]
    told = [(row["date"], row["over_limit"], row["note"]) for row in drawn.rows if row["detector"] == "volume"]
    assert told == [("2026-03-08", 2.0, ""), ("2026-03-09", None, "needs 50 tickets in both windows")]
    assert drawn.panels[2].spec["data"]["values"][1]["over_limit"] is None


def test_a_detector_that_the_newest_night_did_not_ask_stands_among_the_unknown() -> None:
    runs = [run_of("2026-03-09-m1"), run_of("2026-03-08-m1")]
    before = [result_of("volume"), result_of("text.words", status="ok")]
    drawn = drift(runs, {"2026-03-08-m1": before, "2026-03-09-m1": [result_of("text.words", status="ok")]})
    assert [(panel.title, panel.status) for panel in drawn.panels] == [
        ("Words in use", "ok"),
        ("Number of tickets", ""),
    ]
    nothing = drift(runs, {"2026-03-08-m1": before})
    assert [panel.status for panel in nothing.panels] == ["", ""]


def test_the_types_that_grew_and_shrank_are_drawn_of_the_newest_night() -> None:
    runs = [run_of("2026-03-09-m1"), run_of("2026-03-08-m1")]
    blind = shift_of(statistic=None, status="unknown", details={"why": "tickets do not read as they did"})
    still = shift_of(details={"grew": [], "shrank": []})

    def shown(before: DetectorResult, newest: DetectorResult) -> Chart:
        return label_shift(runs, {"2026-03-08-m1": [before], "2026-03-09-m1": [newest]}, str.upper)

    chart = shown(blind, shift_of())
    assert chart.spec is not None
    told = [(one["contact_type"], one["before"], one["now"]) for one in chart.spec["data"]["values"]]
    assert told == [("REFUND", 0.12, 0.19), ("LOGIN", 0.2, 0.1)]
    assert [one["low"] for one in chart.spec["data"]["values"]] == pytest.approx([0.17, 0.08])
    assert "the bar is the range of the change, drawn from before" in chart.note  # not of the share now: both err
    assert chart.rows[0] | {"status": "unknown", "note": "tickets do not read as they did"} == chart.rows[0]
    assert [row["moved"] for row in chart.rows] == ["", "grew", "shrank"]
    unknown = shown(shift_of(), blind)
    assert unknown.spec is None
    assert unknown.note == "On the night of 2026-03-09 this is unknown: tickets do not read as they did."
    assert "no contact type surely grew or shrank" in shown(shift_of(), still).note
    assert drift(runs, {"2026-03-09-m1": [shift_of(), blind]}).rows == []


def test_a_statistic_is_measured_from_its_chance_level() -> None:
    auc = result_of("embeddings.domain", statistic=0.56, limit=0.53, details={"chance": 0.5})
    assert over_limit(auc) == pytest.approx(2.0)
    assert over_limit(result_of(statistic=-0.1)) == 0.0
    assert over_limit(result_of(limit=None)) is None
