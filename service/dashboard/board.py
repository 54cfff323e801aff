"""Everything the dashboard shows, read for one request: the charts by name, the templates, the nights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import sqlalchemy as sa

from service.dashboard import nights, shift_chart, template_health, traffic_charts
from service.dashboard.chart import Chart
from service.dashboard.filters import DashboardAddress, Period
from service.dashboard.template_health import TemplatesSeen
from service.pages import words
from service.serving import Serving
from tickets import monitor_log, traffic
from tickets.monitor_log import DetectorResult, ModelEvent, MonitorRun
from tickets.traffic import Slice


@dataclass(frozen=True)
class Board:
    """What was asked for, and the service that answers. Each chart reads what it needs when it is asked for."""

    held: Serving
    address: DashboardAddress
    period: Period

    @property
    def slice(self) -> Slice:
        return self.address.slice_of(self.period)

    def chart(self, name: str) -> Chart:
        """One of CHARTS. Raises KeyError."""
        return CHARTS[name](self)

    @cached_property
    def runs(self) -> list[MonitorRun]:
        """Nights of the period, newest first."""
        first, last = self.period.first.isoformat(), self.period.last.isoformat()
        return monitor_log.runs_between(self.held.engine, first, last)

    @cached_property
    def results(self) -> Mapping[str, Sequence[DetectorResult]]:
        """run id -> what its detectors saw, of those nights."""
        return monitor_log.results_of_runs(self.held.engine, [run.run_id for run in self.runs])

    @cached_property
    def events(self) -> list[ModelEvent]:
        """What became of models in the period, newest first."""
        period = (self.slice.since, self.slice.until)
        return monitor_log.model_timeline(self.held.engine, limit=monitor_log.ALL, period=period)

    @cached_property
    def templates(self) -> TemplatesSeen:
        """Of the release that is served, or of the catalogue while none is."""
        loaded = self.held.releases.loaded
        alike: Mapping[str, Sequence[str]] = (
            template_health.near_duplicates(loaded.suggester.template_matrix) if loaded else {}
        )
        templates = loaded.suggester.templates if loaded else self.held.choices.templates()
        part = self.slice
        used = traffic.template_use(self.held.engine, part)
        return template_health.health(templates, used, alike, language=part.language)


def read_board(held: Serving, address: DashboardAddress) -> Board:
    """Raises Problem for days that cannot be read."""
    return Board(held, address, address.period(today=held.options.clock().date(), newest=_newest_days(held.engine)))


def _newest_days(engine: sa.Engine) -> list[date]:
    suggested = traffic.newest_time(engine)
    runs = monitor_log.recent_runs(engine, limit=1)
    return [*([suggested.date()] if suggested else []), *(date.fromisoformat(run.as_of) for run in runs)]


def _quality(board: Board) -> Chart:
    return nights.quality(board.runs, board.events, split=board.address.split)


def _drift(board: Board) -> Chart:
    return nights.drift(board.runs, board.results, split=board.address.split)


def _label_shift(board: Board) -> Chart:
    return shift_chart.label_shift(board.runs, board.results, board.held.choices.path, split=board.address.split)


def _volumes(board: Board) -> Chart:
    counts = traffic.tickets_by_day(board.held.engine, board.slice)
    return traffic_charts.volumes(counts, board.period, board.held.choices.path)


def _acceptance(board: Board) -> Chart:
    return traffic_charts.acceptance(traffic.judgements_by_day(board.held.engine, board.slice), board.period)


def _labels(board: Board) -> Chart:
    return traffic_charts.labels(traffic.labels_given(board.held.engine, board.slice))


def _templates(board: Board) -> Chart:
    return template_health.as_chart(board.templates)


def _models(board: Board) -> Chart:
    rows = [
        {
            "at": f"{event.at:%Y-%m-%d %H:%M}",
            "event": words.event(event.kind),
            "model": event.model_version,
            "reasons": reasons_of(event),
        }
        for event in reversed(board.events)
    ]
    return Chart(("at", "event", "model", "reasons"), rows)


def reasons_of(event: ModelEvent) -> str:
    reasons: Sequence[object] = event.details.get("reasons") or ()
    return " ".join(map(str, reasons)) if isinstance(reasons, list | tuple) else str(reasons)


CHARTS: Mapping[str, Callable[[Board], Chart]] = {
    "quality": _quality,
    "acceptance": _acceptance,
    "volumes": _volumes,
    "label_shift": _label_shift,
    "drift": _drift,
    "labels": _labels,
    "templates": _templates,
    "models": _models,
}
