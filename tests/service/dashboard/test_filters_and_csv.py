"""Period, language and channel in the address, and the numbers of each chart as CSV, on both databases."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from service.dashboard import traffic_charts
from service.dashboard.board import CHARTS
from service.dashboard.chart import Chart
from service.dashboard.filters import DashboardAddress, Period
from service.problems import Problem
from tests.service.dashboard.nights import result_of, run_of, shift_of
from tests.service.dashboard.traffic import judge, label, suggest
from tickets import monitor_log
from tickets.traffic import DayOfJudgements, GivenLabel, TypeCount

if TYPE_CHECKING:
    from tests.service.conftest import Service

AT = datetime(2026, 3, 9, 9, tzinfo=UTC)
DAY = timedelta(days=1)
SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # where no database makes a difference


def rows_of(service: Service, chart: str, query: str = "") -> list[dict[str, str]]:
    answer = service.client.get(f"/dashboard/charts/{chart}.csv{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def fill(service: Service) -> None:
    """Forty days of a ticket a day, accepted in English by e-mail, corrected in German by chat; a night and labels."""
    for number in range(40):
        german = number % 4 == 0
        at, kind = AT - number * DAY, {"language": "de", "channel": "chat"} if german else {}
        made = suggest(service.engine, number, at, "login" if german else "refund", **kind)
        judge(service.engine, made, "corrected" if german else "accepted", template="t-refund", edited=0.5)
    monitor_log.record_run(service.engine, run_of(), [result_of(), shift_of()], [])
    monitor_log.record_event(service.engine, "promoted", at=AT, model_version="m1", details={"reasons": ["=better"]})
    label(service.engine, "L-1", "random", AT, seconds=90)


def test_filters_are_in_the_address_and_reach_every_chart_made_of_rows(service: Service) -> None:
    fill(service)
    everything = rows_of(service, "volumes")
    assert sum(int(row["tickets"]) for row in everything) == 30
    assert {row["contact_type"] for row in everything} == {"Payments::Refund", "Account::Login"}
    german = rows_of(service, "volumes", "?days=7&language=de&channel=chat")
    assert [(row["date"], row["tickets"]) for row in german] == [("2026-03-05", "1"), ("2026-03-09", "1")]
    weeks = rows_of(service, "volumes", "?since=2026-01-01&until=2026-03-09")
    assert [row["date"] for row in weeks if row["contact_type"] == "Payments::Refund"][-1] == "2026-03-02"
    judged = rows_of(service, "acceptance", "?days=7&language=de")
    assert [(row["accepted"], row["judged"]) for row in judged] == [("0.0", "1"), ("0.0", "1")]
    (sent,) = [row for row in rows_of(service, "templates", "?days=7") if row["template"] == "t-refund"]
    assert (sent["sent"], sent["edited"], sent["findings"]) == ("7", "1.0", "always edited")
    assert rows_of(service, "labels", "?language=de") == []
    assert [(row["labels"], row["minutes"]) for row in rows_of(service, "labels")] == [("1", "1.5")]
    assert [row["reasons"] for row in rows_of(service, "models")] == ["'=better"]
    page = service.client.get("/dashboard?days=7&language=de&channel=chat").text
    assert "2026-03-03 to 2026-03-09" in page
    assert "language and channel make no difference here" in page
    assert "<option selected>de</option>" in page
    linked = re.findall(r'href="(/dashboard/charts/[^"]+)"', page)
    assert {address.split("/")[3].split(".")[0] for address in linked} == set(CHARTS) - {"labels"}  # none is German
    assert all(address.endswith("?days=7&amp;language=de&amp;channel=chat") for address in linked)
    assert "make no difference" not in service.client.get("/dashboard?days=7").text


def test_a_period_without_anything_says_so_and_stands(service: Service) -> None:
    fill(service)
    page = service.client.get("/dashboard?since=2020-01-01&until=2020-01-31&language=xx").text
    for words in ("No ticket came", "have judged nothing", "No label was given", "No night", "no reply templates"):
        assert words in page
    assert "reply templates in this language" in page
    assert all(
        rows_of(service, name, "?since=2020-01-01&until=2020-01-02") == [] for name in set(CHARTS) - {"templates"}
    )


@SQLITE
def test_a_period_that_is_none_is_refused_with_words(service: Service) -> None:
    backwards = "since=2026-03-02&until=2026-03-01"
    for query in ("days=8", "since=yesterday", "until=1066-10-14", backwards, "since=1990-01-01"):
        for address in ("/dashboard", "/dashboard/charts/volumes.csv"):
            answer = service.client.get(f"{address}?{query}", headers={"accept": "application/json"})
            assert answer.status_code == 422, answer.text
            assert answer.json()["detail"]


def test_odd_filters_find_nothing_and_an_unknown_chart_is_not_found(service: Service) -> None:
    fill(service)
    assert service.client.get("/dashboard?language=%00&channel=%27%3B--<script>").status_code == 200
    assert "<script>&#39;" not in service.client.get("/dashboard?channel=<script>").text
    assert service.client.get("/dashboard/charts/passwords.csv").status_code == 404


def test_without_days_the_period_ends_today_or_where_there_is_something() -> None:
    today, ask = date(2026, 11, 30), DashboardAddress()
    assert ask.period(today=today, newest=[]) == Period(date(2026, 11, 1), today)
    assert ask.period(today=today, newest=[date(2026, 11, 20)]).last == today
    assert ask.period(today=today, newest=[date(2026, 3, 9), date(2026, 3, 1)]) == Period(
        date(2026, 2, 8), date(2026, 3, 9)
    )
    assert ask.period(today=today, newest=[date(2027, 1, 5)]).last == date(2027, 1, 5)  # simulated time
    since = DashboardAddress(since="2026-11-29").period(today=today, newest=[date(2026, 3, 9)])
    assert since == Period(date(2026, 11, 29), today)
    assert DashboardAddress(days="7", until="2026-03-09").period(today=today, newest=[]).days == 7
    with pytest.raises(Problem):
        DashboardAddress(since="2026-12-24").period(today=today, newest=[])


def test_long_periods_are_drawn_by_week_from_monday() -> None:
    quarter = Period(date(2026, 1, 1), date(2026, 3, 31))
    assert quarter.step_of("2026-03-08") == "2026-03-02"
    judged = [DayOfJudgements("2026-03-02", 3, 1), DayOfJudgements("2026-03-08", 0, 4)]
    (week,) = traffic_charts.acceptance(judged, quarter).rows
    assert (week["date"], week["accepted"], week["judged"]) == ("2026-03-02", 0.375, 8)
    assert week["low"] < 0.375 < week["high"]


def test_rare_types_are_drawn_together_and_told_apart_in_the_table() -> None:
    counts = [TypeCount("2026-03-02", f"type-{number}", 20 - number) for number in range(12)]
    chart = traffic_charts.volumes(counts, Period(date(2026, 3, 1), date(2026, 3, 7)), str)
    assert chart.spec is not None
    drawn = chart.spec["data"]["values"]
    assert len(chart.rows) == 12
    assert len(drawn) == 9
    assert sum(row["tickets"] for row in drawn) == sum(row["tickets"] for row in chart.rows)


def test_what_labels_cost_is_told_where_it_is_known() -> None:
    assert traffic_charts.label_cost([]) == ""
    assert "not known" in traffic_charts.label_cost([GivenLabel(AT, "random", None)])
    given = [GivenLabel(AT, "random", 60.0), GivenLabel(AT, "unsure", 180.0), GivenLabel(AT, "unsure", None)]
    assert traffic_charts.label_cost(given) == (
        "3 labels in this period, 4 minutes of work (known for 2 of them), 120 seconds each."
    )


def test_a_spreadsheet_runs_nothing_of_a_csv() -> None:
    rows = [{"a": "=cmd()", "b": -1.5}, {"a": "+1", "b": None}]
    assert Chart(("a", "b"), rows).as_csv() == "a,b\r\n'=cmd(),-1.5\r\n'+1,\r\n"
