"""A Zendesk export as rows of the lake: bodies, macros, contact types, and what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.datasets import ready_dataset
from pipeline.importing import import_dataset, import_files
from pipeline.rows import outcome_from_row, read_row
from tickets.catalogue import read_templates
from tickets.dataset import load_dataset
from tickets.errors import DatasetError, SourceError
from tickets.manifests import read_manifest
from tickets.tables import RAW
from tickets.workspace import Workspace

DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)
AGENT = 77
FIELDS = [
    {
        "id": 360001,
        "title": "Contact reason",
        "custom_field_options": [{"name": "Payments::Refund::Cleaning fee", "value": "payments__refund__cleaning_fee"}],
    },
    {"id": 360002, "title": "Country v1.0", "custom_field_options": [{"name": "France", "value": "fr"}]},
]
MACROS = [
    {
        "id": 25,
        "title": "Refund",
        "active": True,
        "updated_at": "2026-01-01T00:00:00Z",
        "actions": [
            {"field": "status", "value": "solved"},
            {
                "field": "comment_value_html",
                "value": "<p>Hello {{ticket.requester.first_name}},</p><p>I refunded it.</p>",
            },
        ],
    },
    {"id": 26, "title": "Close", "actions": [{"field": "status", "value": "solved"}]},
    {
        "id": 27,
        "title": "Note",
        "actions": [
            {"field": "comment_value", "value": ["channel:all", "For colleagues only"]},
            {"field": "comment_mode_is_public", "value": "false"},
        ],
    },
]


def comment(author: int, body: str, *, public: bool = True) -> dict[str, Any]:
    return {"type": "Comment", "author_id": author, "body": body, "html_body": f"<p>{body}</p>", "public": public}


def audit(author: int, minute: int, *events: dict[str, Any]) -> dict[str, Any]:
    return {"id": minute, "author_id": author, "created_at": f"2026-02-01T10:{minute:02d}:00Z", "events": list(events)}


def ticket(number: int, audits: list[dict[str, Any]] | None = None, **changed: Any) -> dict[str, Any]:
    requester = 9_000 + number
    usual = [
        audit(requester, 1, comment(requester, f"I left the car {number} clean.")),
        audit(-1, 2, comment(-1, "We got your message."), {"type": "Notification", "body": "We got your message."}),
        audit(AGENT, 3, comment(AGENT, "Looks like a refund.", public=False)),
        audit(AGENT, 4, comment(AGENT, "I refunded it."), {"type": "AgentMacroReference", "macro_id": "25"}),
        audit(AGENT, 5, {"type": "Change", "field_name": "status", "value": "solved", "previous_value": "open"}),
    ]
    return {
        "id": number,
        "subject": "Cleaning fee",
        "description": f"I left the car {number} clean.",
        "status": "solved",
        "requester_id": requester,
        "assignee_id": AGENT,
        "via": {"channel": "web"},
        "brand_id": 4,
        "created_at": "2026-02-01T10:00:00Z",
        "updated_at": "2026-02-02T10:00:00Z",
        "custom_fields": [{"id": 360001, "value": "payments__refund__cleaning_fee"}, {"id": 360002, "value": "fr"}],
        "audits": usual if audits is None else audits,
        **changed,
    }


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """`export(page, tickets)`: write a page of an export; returns its folder."""
    folder = tmp_path / "export"
    folder.mkdir()
    for name, rows in (("ticket_fields", FIELDS), ("macros", MACROS)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def write(page: int, tickets: list[dict[str, Any]]) -> Path:
        lines = "".join(json.dumps(row) + "\n" for row in tickets)
        (folder / f"tickets-{page:08d}.jsonl").write_text(lines, encoding="utf-8")
        return folder

    return write


def raw(workspace: Workspace, day: date) -> list[dict[str, Any]]:
    rows = [row for row in workspace.read(RAW).to_pylist() if row["arrived"] == day.isoformat()]
    return sorted(rows, key=lambda row: (row["source"], row["row"]))


def test_a_ticket_is_its_first_message_its_macro_its_reply_and_its_path(
    workspace: Workspace, export: Callable[..., Path]
) -> None:
    import_files(workspace, [export(1, [ticket(1)])], ready_dataset("zendesk"), as_of=DAY)
    dataset = load_dataset(ready_dataset("zendesk"))

    (row,) = raw(workspace, DAY)
    found, outcome, misread = read_row(row["fields"], dataset, source=row["source"], row=row["row"])

    assert (found.ticket_id, found.subject, found.body, found.channel, misread) == (
        *("1", "Cleaning fee", "I left the car 1 clean.", "web", 0),
    )
    assert outcome is not None
    assert outcome.contact_type == "Payments::Refund::Cleaning fee"
    assert (outcome.template_id, outcome.reply, outcome.labeler) == ("25", "I refunded it.", "77")
    assert outcome.resolved_at == datetime(2026, 2, 1, 10, 5, tzinfo=UTC)
    fields = json.loads(row["fields"])
    assert fields["fields"] == {"Contact reason": "Payments::Refund::Cleaning fee", "Country v1 0": "France"}
    assert len(fields["audits"]) == 5
    assert "html_body" not in row["fields"]


def test_pages_are_known_again_when_they_are_imported_from_within_their_folder(
    workspace: Workspace, export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export(1, [ticket(1)])
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)
    monkeypatch.chdir(folder)

    again = import_files(workspace, [Path()], ready_dataset("zendesk"), as_of=NEXT_DAY)

    assert again.rows_in == 0
    assert raw(workspace, NEXT_DAY) == []


def test_an_open_ticket_has_no_outcome_and_a_reply_without_macro_no_template(
    workspace: Workspace, export: Callable[..., Path]
) -> None:
    own_words = [audit(9_002, 1, comment(9_002, "Where is it?")), audit(AGENT, 2, comment(AGENT, "On its way."))]
    closing = {"type": "AgentMacroReference", "macro_id": "26"}  # it sets the status and writes nothing
    own_words[1]["events"].append(closing)
    folder = export(1, [ticket(1, status="open"), ticket(2, own_words)])
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)
    dataset = load_dataset(ready_dataset("zendesk"))

    first, second = (outcome_from_row(row["fields"], dataset, source="z", row=1) for row in raw(workspace, DAY))

    assert first is None
    assert second is not None
    assert (second.template_id, second.reply) == (None, "On its way.")


def test_macros_that_reply_become_templates_and_newer_ones_replace_them(
    workspace: Workspace, export: Callable[..., Path]
) -> None:
    folder = export(1, [ticket(1)])
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)

    (template,) = read_templates(workspace)
    assert (template.template_id, template.title, template.active) == ("25", "Refund", True)
    assert template.body == "Hello {{ticket.requester.first_name}},\n\nI refunded it."

    newer = {**MACROS[0], "title": "Refund it", "updated_at": "2026-02-01T00:00:00Z", "active": False}
    (folder / "macros.jsonl").write_text(json.dumps(newer) + "\n", encoding="utf-8")
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=NEXT_DAY)
    (template,) = read_templates(workspace)
    assert (template.title, template.active) == ("Refund it", False)


def test_deleted_tickets_are_counted_and_left_out(workspace: Workspace, export: Callable[..., Path]) -> None:
    gone = {"id": 5, "status": "deleted", "subject": "SCRUBBED", "description": "SCRUBBED"}

    manifest = import_files(workspace, [export(1, [ticket(1), gone])], ready_dataset("zendesk"), as_of=DAY)

    assert dict(manifest.counts) == {"raw": 1, "skipped, deleted in Zendesk": 1, "unreadable": 0}


def test_only_new_pages_are_imported_and_a_corrected_ticket_arrives_again(
    workspace: Workspace, export: Callable[..., Path]
) -> None:
    folder = export(1, [ticket(1), ticket(2)])
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)
    assert len(raw(workspace, DAY)) == 2

    export(2, [ticket(2, subject="Corrected"), ticket(3)])
    manifest = import_dataset(workspace, [folder], ready_dataset("zendesk"), as_of=NEXT_DAY)

    assert manifest.counts["raw"] == 2
    assert [json.loads(row["fields"])["subject"] for row in raw(workspace, NEXT_DAY)] == ["Corrected", "Cleaning fee"]
    assert len(raw(workspace, DAY)) == 2
    kept = read_manifest(workspace, "import", NEXT_DAY.isoformat())
    assert kept is not None
    assert len([name for name in kept.inputs if "tickets-00000002.jsonl" in name]) == 1


def test_another_contact_type_field_reads_all_pages_again(
    workspace: Workspace, export: Callable[..., Path], tmp_path: Path
) -> None:
    folder = export(1, [ticket(1)])
    import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)
    changed = tmp_path / "own.toml"
    text = ready_dataset("zendesk").read_text(encoding="utf-8")
    changed.write_text(text.replace('"Contact reason"', '["Contact reason", "360002"]'), encoding="utf-8")

    import_files(workspace, [folder], changed, as_of=NEXT_DAY)

    (row,) = raw(workspace, NEXT_DAY)
    assert json.loads(row["fields"])["outcome"]["contact_type"] == "Payments::Refund::Cleaning fee::France"


def test_a_broken_line_is_kept_with_its_problem(workspace: Workspace, export: Callable[..., Path]) -> None:
    folder = export(1, [ticket(1)])
    with open(folder / "tickets-00000001.jsonl", "a", encoding="utf-8") as page:
        page.write("{broken\n")

    manifest = import_files(workspace, [folder], ready_dataset("zendesk"), as_of=DAY)

    assert (manifest.counts["raw"], manifest.counts["unreadable"]) == (2, 1)


def test_a_field_that_zendesk_lacks_and_a_folder_without_export_are_refused(
    workspace: Workspace, export: Callable[..., Path], tmp_path: Path
) -> None:
    folder = export(1, [ticket(1)])
    text = ready_dataset("zendesk").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace('"Contact reason"', '"Reason"'), encoding="utf-8")

    with pytest.raises(SourceError, match=r"no ticket field 'Reason'.*'Contact reason', 'Country v1 0'"):
        import_files(workspace, [folder], wrong, as_of=DAY)
    with pytest.raises(SourceError, match="holds no Zendesk export"):
        import_files(workspace, [tmp_path], ready_dataset("zendesk"), as_of=DAY)
    wrong.write_text(text.replace('"brand_id"', '"fields.Contact reason"'), encoding="utf-8")
    with pytest.raises(DatasetError, match="both an input and an outcome"):
        load_dataset(wrong)
    wrong.write_text(
        text.replace('"Contact reason"', '"360001"').replace('"brand_id"', '"fields.Contact reason"'), encoding="utf-8"
    )
    with pytest.raises(DatasetError, match="'Contact reason' is both an input and the contact type"):
        import_files(workspace, [folder], wrong, as_of=DAY)
