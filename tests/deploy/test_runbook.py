"""docs/runbook.md names every alert that can ring, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_runbook_names_the_alerts_there_are() -> None:
    alerts = re.findall(r"alert: (\w+)", (ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8"))
    told = re.findall(r"`(Triage[A-Z]\w+)`", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"))
    assert set(alerts) == set(told)
