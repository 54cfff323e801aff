"""`triage themes`: open themes in words, decided ones when they are asked for, JSON for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from typer.testing import CliRunner

from tickets import theme_log
from tickets.database import open_database
from tickets.theme_log import Theme
from tickets.workspace import Workspace
from triage.cli import app

AT = datetime(2026, 3, 2, tzinfo=UTC)


def triage(workspace: Workspace, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["themes", *arguments, "--workspace", str(workspace.root)])
    if result.exception:
        raise result.exception
    return result.output


def test_themes_are_listed_open_ones_alone_unless_all_are_wanted(workspace: Workspace) -> None:
    assert triage(workspace).startswith("No theme is open")
    engine = open_database(workspace.default_database_url)
    theme_log.record(
        engine,
        [
            Theme(
                theme_id=name,
                name=f"Scooter {name}",
                words=("scooter", name),
                tickets=12,
                share=0.04,
                days={"2026-03-02": 12},
                examples=[{"ticket_id": "1", "text": "It burns."}],
                ticket_ids=["1"],
                nearest={},
                centroid=(1.0,),
                model_version="m",
                first_seen=AT,
                last_seen=AT,
                run_id="r",
            )
            for name in ("battery", "brakes")
        ],
    )
    assert theme_log.decide(engine, "brakes", "accepted", by="Ana", at=AT, contact_type="Rides::Brakes")
    engine.dispose()
    assert triage(workspace) == (
        "Scooter battery\n"
        "  12 tickets (4.0%), 12.0 a day, seen 2026-03-02 to 2026-03-02\n"
        "  scooter, battery\n"
    )  # fmt: skip
    assert "Scooter brakes (accepted: Rides::Brakes)" in triage(workspace, "--all")
    (told,) = json.loads(triage(workspace, "--json"))
    assert (told["name"], told["examples"][0]["text"], told["status"]) == ("Scooter battery", "It burns.", "open")
    assert "centroid" not in told
