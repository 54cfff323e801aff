"""A chart of the dashboard: what is drawn, its numbers as a table, and the same as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.dashboard.csv_text import csv_text

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
IN_A_TABLE = 300  # rows that the page shows; the CSV has them all
BLUE, RED, GREY = "#5b8def", "#d4572f", "#8a94a3"
Rows = Sequence[Mapping[str, Any]]
Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several small charts: its title, how its detector stands on the newest night ("" where that night did not
    ask it), and what is drawn."""

    title: str
    status: str
    spec: Spec


@dataclass(frozen=True, slots=True)
class Chart:
    """Rows (column -> value) as the table shows them, oldest first. Either one drawing, or panels, or
    neither: then `note` says why."""

    columns: Sequence[str]
    rows: Rows
    spec: Spec | None = None
    panels: Sequence[Panel] = ()
    note: str = ""  # what one must know to read it

    @property
    def newest(self) -> Rows:
        """The rows of the page's table, newest first."""
        return list(reversed(self.rows[-IN_A_TABLE:]))

    def as_csv(self) -> str:
        """All rows."""
        return csv_text(self.columns, ([row.get(column) for column in self.columns] for row in self.rows))


def drawn(description: str, *, height: int, **parts: Any) -> Spec:
    """A specification as wide as its place."""
    return {"$schema": SCHEMA, "description": description, "width": "container", "height": height, **parts}


def days(field: str = "date", *, ticks: int = 6) -> dict[str, Any]:
    """A day without a time is midnight in UTC; drawn in a reader's own zone it could be the day before."""
    axis = {"format": "%d %b", "tickCount": ticks, "labelOverlap": True}
    return {"field": field, "type": "temporal", "title": None, "axis": axis, "scale": {"type": "utc"}}


def shares(title: str = "share of tickets") -> dict[str, Any]:
    return {"type": "quantitative", "axis": {"format": ".0%"}, "title": title, "scale": {"domain": [0, 1]}}


def named(field: str, *, order: Sequence[str] = ()) -> dict[str, Any]:
    """Colours by name, told below the chart, one a line, so that they fit on a phone."""
    told: dict[str, Any] = {"field": field, "type": "nominal", "title": None}
    if order:
        told["scale"] = {"domain": list(order)}
    return told | {"legend": {"orient": "bottom", "columns": 1, "labelLimit": 260, "symbolOpacity": 1}}
