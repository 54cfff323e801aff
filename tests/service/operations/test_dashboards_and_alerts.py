"""Alerts and the Grafana dashboard ask for metrics that the running service really exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tickets.monitor_log import LATE_AFTER

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
OURS = re.compile(r"\b(?:triage|process|python)_[a-z0-9_]+\b")
OF_GRAFANA = {"$__rate_interval": "5m", "$instance": ".*"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    return dict(json.loads((DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8")))


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    yield from (annotation["expr"] for annotation in dashboard()["annotations"]["list"])
    yield from (one["definition"] for one in dashboard()["templating"]["list"] if "definition" in one)


@pytest.fixture(scope="module")
def exported(answering: httpx.Client) -> set[str]:
    """Every series name that the service exports, or will once there is something to count."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", answering.get("/metrics").text, re.MULTILINE):
        names |= {f"{name}{end}" for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
    return names


def test_every_metric_that_is_asked_for_is_exported(exported: set[str]) -> None:
    asked = {name for expression in expressions() for name in OURS.findall(expression)}
    assert len(asked) > 20
    assert asked <= exported


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert(exported: set[str]) -> None:
    asked = " ".join(expressions())
    series = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported if name.startswith("triage_")}
    told = {name for name in series if not name.endswith("_created")}
    assert [name for name in sorted(told) if name not in asked] == []


def test_every_label_that_is_asked_for_is_one_of_the_metrics(answering: httpx.Client) -> None:
    answering.post("/v1/suggestions", json={"ticket": {"body": "please refund my ride"}})
    text = answering.get("/metrics").text
    labels = {
        label
        for given in re.findall(r"^triage_\w+\{(.*?)\} ", text, re.MULTILINE)
        for label in re.findall(r"(\w+)=", given)
    }
    asked = {
        label
        for expression in expressions()
        for given in re.findall(r"triage_\w+\{(.*?)\}", expression)
        for label in re.findall(r"(\w+)(?:=|!)", given)
    }
    of_prometheus = {"instance", "job"}
    seen_later = {
        "severity",
        "step",
        "reason",
        "agreed",
        "version",
        "detector",
        "action",
        "helpdesk",
        "outcome",
    }  # nothing to count yet
    assert asked <= labels | of_prometheus | seen_later


def test_every_alert_says_what_to_do() -> None:
    guide = (DEPLOY.parent / "docs" / "runbook.md").read_text(encoding="utf-8")
    titled = re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    sections = {title.lower().replace(",", "").replace(" ", "-"): text for title, text in titled}
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["alert"] in sections[rule["annotations"]["runbook"].removeprefix("docs/runbook.md#")]


def test_a_night_is_late_for_prometheus_when_it_is_for_the_dashboard() -> None:
    (late,) = (rule["expr"] for rule in rules() if rule["alert"] == "TriageNightlyLate")
    assert late.endswith(f"> {LATE_AFTER.total_seconds():.0f}")


def test_promtool_accepts_configuration_rules_and_queries(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    queries = []
    for number, expression in enumerate(expressions()):
        for name, value in OF_GRAFANA.items():
            expression = expression.replace(name, value)  # noqa: PLW2901  # one after the other
        if not expression.startswith("label_values("):
            queries.append({"record": f"query:{number}", "expr": expression})
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}), encoding="utf-8")
    folder = DEPLOY / "prometheus"
    for command in (
        ["check", "config", "prometheus.yaml"],
        ["check", "rules", str(file)],
        ["test", "rules", "alerts_test.yaml"],
    ):
        done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_panels_of_the_dashboard_stand_side_by_side() -> None:
    panels = dashboard()["panels"]
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Traffic", "Latency", "Model", "Queue and spool", "Helpdesks", "Feedback", "Drift", "Jobs"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_grafana_finds_data_source_and_dashboard_where_compose_puts_them() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "triage.yaml").read_text())["providers"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    mounts = [mount.split(":")[1] for mount in compose["services"]["grafana"]["volumes"]]
    assert any(mount.startswith(provider["options"]["path"] + "/") for mount in mounts)
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
