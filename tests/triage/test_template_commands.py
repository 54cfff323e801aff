"""`triage templates`: from replies in the lake to templates that people approved."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.importing import import_files
from tickets.catalogue import read_proposals, read_templates
from tickets.errors import InputError
from tickets.workspace import Workspace
from triage.commands.templates import templates_app

DATASET = """
name = "helpdesk"
format = "jsonl"
created_at_constant = 2026-01-01T00:00:00Z

[ticket]
ticket_id = "id"
body = "text"

[outcome]
contact_type = "reason"
reply = "answer"
"""
NAMES = ("Ann", "Bob", "Carla", "Dmitri")


@pytest.fixture
def helpdesk(workspace: Workspace, tmp_path: Path) -> Workspace:
    rows = [
        {
            "id": f"T{number}",
            "text": "Where is my money?",
            "reason": "Payments::Refund",
            "answer": f"Hi {NAMES[number % 4]}, I have sent ${number}.00 back to your card. It takes a few days. Al",
        }
        for number in range(40)
    ]
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    (tmp_path / "tickets.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    import_files(workspace, [tmp_path / "tickets.jsonl"], tmp_path / "dataset.toml", as_of=date(2026, 3, 2))
    return workspace


def call(workspace: Workspace, *arguments: str) -> Result:
    result = CliRunner().invoke(templates_app, [*arguments, "--workspace", str(workspace.root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_mine_list_approve_and_reject(helpdesk: Workspace) -> None:
    assert "No template was proposed yet" in call(helpdesk, "list").output

    mined = call(helpdesk, "mine", "--as-of", "2026-03-02").output

    (proposal,) = read_proposals(helpdesk)
    assert proposal.template_id in mined
    assert "100.0%" in mined
    whole = call(helpdesk, "list", "--whole").output
    assert "{{customer_name}}, I have sent {{amount}} back" in whole
    assert "serves Payments::Refund" in whole

    assert call(helpdesk, "approve", proposal.template_id).output == f"{proposal.template_id}: approved.\n"
    assert [template.template_id for template in read_templates(helpdesk)] == [proposal.template_id]
    with pytest.raises(InputError, match="in use already"):
        call(helpdesk, "reject", proposal.template_id)
    with pytest.raises(InputError, match="was not proposed"):
        call(helpdesk, "approve", "unheard-of")


def test_a_floor_above_what_there_is_proposes_nothing(helpdesk: Workspace) -> None:
    call(helpdesk, "mine", "--at-least", "41")
    assert read_proposals(helpdesk) == ()
