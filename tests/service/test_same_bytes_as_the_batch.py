"""One ticket is cleaned to the same bytes by the nightly Spark batch and by the running service.

The service keeps the ticket that it cleaned beside its suggestion, in the database; that is what is compared with the
rows of the `tickets` table.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cleaning import clean
from pipeline.importing import import_files
from tickets.database import open_database
from tickets.feedback_log import find_suggestion
from tickets.records import Ticket, attributes_to_text
from tickets.simulate import SimulationConfig, simulate
from tickets.tables import QUARANTINE, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.service.conftest import Connect, Start

DAY = date(2026, 3, 2)
BATCH = 64
ATTRIBUTES = ("city", "amount", "vip")
DATASET = """
name = "small"
format = "jsonl"
languages = ["en", "de"]
[ticket]
ticket_id = "ticket_id"
created_at = "created_at"
subject = "subject"
body = "body"
channel = "channel"
customer_key = "customer_key"
[attributes]
categorical = ["city"]
numeric = ["amount"]
boolean = ["vip"]
"""
UGLY = [
    "<html><head><style>p {color: red}</style></head><body><p>Hi John,</p><p>{0}</p><blockquote>old</blockquote>",
    '<div dir="ltr">{0}<br><br>Mit freundlichen Grüßen<br>Sabine Krüger</div><div class="gmail_quote">'
    "Am 3.3.2026 um 10:00 schrieb Help &lt;h@x.org&gt;:<blockquote>alt</blockquote></div>",
    "{0}\r\n\r\n-----Original Message-----\r\nFrom: Help\r\nSent: Monday\r\nTo: Me\r\n\r\nDear customer",
    "<ADDRESS>{0}</ADDRESS><table><tr><td>a<td>b</table>&amp;amp;lt;b&gt; \u200b\u00a0 \u0085 \u2028 😀 e\u0301 İ",
    "CAUTION: This email originated from outside of the organization.\n{0}\n\nThis e-mail is confidential and "
    "intended for the addressee only. If received in error, delete it.",
    "<p>{0}<p>" + "<div>" * 200 + "deep" + "</div>" * 150 + "> quoted\n" * 50,
    "<p></p>",  # nothing left: refused on both sides
]


@pytest.mark.slow
def test_spark_and_the_service_clean_thousands_of_tickets_to_the_same_bytes(
    workspace: Workspace, trained: Workspace, start: Start, connect: Connect, *, spark: SparkSession, tmp_path: Path
) -> None:
    written = _tickets()
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    lines = [json.dumps(ticket, ensure_ascii=number % 2 == 0) for number, ticket in enumerate(written)]
    (tmp_path / "tickets.jsonl").write_text("\n".join(lines), encoding="utf-8")

    import_files(workspace, [tmp_path / "tickets.jsonl"], tmp_path / "dataset.toml", as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    batch = {row["ticket_id"]: _of_row(row) for row in workspace.read(TICKETS).to_pylist()}
    refused = {json.loads(row["fields"])["ticket_id"] for row in workspace.read(QUARANTINE).to_pylist()}
    kept, rejected = _through_the_service(start, connect, trained, tmp_path, written, refused=refused)

    assert len(batch) >= 3_000
    assert {row["language"] for row in batch.values()} >= {"en", "de"}
    assert sum("<" in row["body"] for row in batch.values()) >= 1_000
    assert {written["ticket_id"] for written in rejected} == refused
    assert len(refused) == sum(ticket["body"] == "<p></p>" for ticket in written)
    assert kept.keys() == batch.keys()
    assert [key for key in batch if json.dumps(kept[key]).encode() != json.dumps(batch[key]).encode()] == []


def _tickets() -> list[dict[str, Any]]:
    """Simulated tickets in four languages, the cases of masking, and HTML that nobody should send."""
    config = SimulationConfig(seed=7, start=date(2026, 1, 5), days=2, tickets_per_day=1_700)
    simulated = [made.ticket for day in simulate(config) for made in day.tickets]
    cases = (Path(__file__).parents[1] / "pipeline" / "pii_cases.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in cases]
    ugly = [form.replace("{0}", text) for form in UGLY for text in islice(texts, 60)]
    bodies = [*((ticket.subject, ticket.body) for ticket in simulated), *((f"Re: {text}", text) for text in texts)]
    bodies += [("[EXTERNAL] Fwd: <b>x</b>", text) for text in ugly]
    return [
        {
            "ticket_id": f"T{number}",
            "created_at": f"2026-01-{1 + number % 28:02d}T10:{number % 60:02d}:00+02:00",
            "subject": subject,
            "body": body,
            "channel": "  e-mail\t" if number % 2 else "app",
            "customer_key": f"c{number % 500}@example.com" if number % 3 else None,
            **{"city": "  Bonn ", "amount": number / 7, "vip": number % 2 == 0},
        }
        for number, (subject, body) in enumerate(bodies)
    ]


def _through_the_service(
    start: Start,
    connect: Connect,
    trained: Workspace,
    folder: Path,
    written: list[dict[str, Any]],
    *,
    refused: set[str],
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """What the service keeps of each ticket, and those it refuses. A batch with a refused ticket is refused whole, so
    tickets that Spark refused are sent alone."""
    engine = open_database(f"sqlite:///{folder / 'triage.db'}")
    kept, rejected = {}, []
    sound = [ticket for ticket in written if ticket["ticket_id"] not in refused]
    with start(trained, engine) as address, connect(address) as client:
        for first in range(0, len(sound), BATCH):
            asked = {"tickets": [_fields(ticket) for ticket in sound[first : first + BATCH]]}
            answer = client.post("/v1/suggestions/batch", json=asked)
            assert answer.status_code == 200, answer.text
            assert client.get("/console").status_code == 200  # which waits until the suggestions are in the database
            for suggestion in answer.json()["suggestions"]:
                found = find_suggestion(engine, suggestion["suggestion_id"])
                assert found is not None
                kept[found[0].ticket_id] = _of_ticket(found[0])
        for ticket in written:
            if ticket["ticket_id"] in refused:
                answer = client.post("/v1/suggestions", json={"ticket": _fields(ticket)})
                assert (answer.status_code, answer.json()["code"]) == (422, "ticket-refused")
                rejected.append(ticket)
    engine.dispose()
    return kept, rejected


def _fields(ticket: dict[str, Any]) -> dict[str, Any]:
    """The ticket as the API takes it: attributes by themselves."""
    fields = {name: value for name, value in ticket.items() if name not in ATTRIBUTES}
    return {**fields, "attributes": {name: ticket[name] for name in ATTRIBUTES}}


def _of_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("subject", "body", "channel", "language", "customer_key", "attributes")} | {
        "created_at": row["created_at"].astimezone(UTC).isoformat()
    }


def _of_ticket(ticket: Ticket) -> dict[str, Any]:
    created_at: datetime = ticket.created_at
    return {
        "subject": ticket.subject,
        "body": ticket.body,
        "channel": ticket.channel,
        "language": ticket.language,
        "customer_key": ticket.customer_key,
        "attributes": attributes_to_text(ticket.attributes),
        "created_at": created_at.astimezone(UTC).isoformat(),
    }
