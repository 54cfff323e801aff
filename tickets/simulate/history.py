"""A simulated past as a helpdesk would export it: raw JSON lines, the tree, the templates, and their dataset.toml."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.catalogue import templates_to_text
from tickets.contact_types import tree_to_text
from tickets.simulate.catalogue import LANGUAGES, contact_type_tree, reply_templates
from tickets.simulate.events import launch_day
from tickets.simulate.stream import Chunk, SimulatedTicket, SimulationConfig, chunks, in_order, simulate_chunk
from tickets.workspace import write_text

if TYPE_CHECKING:
    import pyarrow as pa

_SIMULATED = {
    "categorical": ("product", "city", "platform", "trip_status", "payment_method"),
    "numeric": ("amount", "tenure_days"),
    "boolean": ("member",),
}
_DATASET = """# {told}
name = "{name}"
format = "jsonl"
files = [{{ path = "tickets.jsonl" }}]
languages = {languages}
contact_types_file = "contact_types.json"
templates_file = "templates.json"

[ticket]
ticket_id = "id"
created_at = "created_at"
subject = "subject"
body = "description"
channel = "channel"
customer_key = "requester.email"

[attributes]
categorical = {categorical}
numeric = {numeric}
boolean = {boolean}

[outcome]
contact_type = "category"
template_id = "macro_id"
resolved_at = "solved_at"
handle_seconds = "handle_seconds"
labeler = "assignee"
reply = "reply"
"""


def dataset_text(
    name: str,
    *,
    told: str,
    languages: Sequence[str] = LANGUAGES,
    attributes: Mapping[str, Sequence[str]] = _SIMULATED,
) -> str:
    """The dataset.toml of tickets that `export_row` wrote; `attributes` by kind: categorical, numeric, boolean."""
    kinds = {kind: json.dumps(list(attributes[kind]), ensure_ascii=False) for kind in _SIMULATED}
    return _DATASET.format(name=name, told=told, languages=json.dumps(list(languages)), **kinds)


def write_history(
    config: SimulationConfig,
    folder: Path,
    *,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write tickets.jsonl, contact_types.json, templates.json and dataset.toml, and return the path of dataset.toml.

    The true contact types go to truth.parquet, which no importer reads. The tree and the templates are those of the
    last day: they hold the new product's only when it has been launched by then. `progress` hears how many tickets are
    written, of about how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = config.days * config.tickets_per_day
    tables, written = [], 0
    aside = folder / ".tickets.jsonl"
    with open(aside, "wb") as file:
        for chunk, (lines, truth) in in_order(config, _export_chunk, chunks(config), processes=processes):
            file.write(lines)
            tables.append(truth)
            written += chunk.count
            if progress is not None:
                progress(written, max(expected, written))
    aside.rename(folder / "tickets.jsonl")
    _write_truth(tables, folder / "truth.parquet")
    launched = launch_day(config.events)
    with_new_product = launched is not None and launched <= config.dates[-1]
    write_text(folder / "contact_types.json", tree_to_text(contact_type_tree(with_new_product=with_new_product)))
    write_text(folder / "templates.json", templates_to_text(reply_templates(with_new_product=with_new_product)))
    told = "Tickets of Rondo, a fictional ride-and-delivery company, as its helpdesk exports them."
    write_text(folder / "dataset.toml", dataset_text("simulated", told=told))
    return folder / "dataset.toml"


def export_row(simulated: SimulatedTicket) -> dict[str, object]:
    """One ticket as the helpdesk exports it. The truth is not in it."""
    ticket, outcome = simulated.ticket, simulated.outcome
    name, email = simulated.requester
    return {
        "id": ticket.ticket_id,
        "created_at": ticket.created_at.isoformat(),
        "channel": ticket.channel,
        "subject": ticket.subject,
        "description": ticket.body,
        "requester": {"name": name, "email": email},
        **ticket.attributes,
        "category": outcome.contact_type,
        "macro_id": outcome.template_id,
        "solved_at": outcome.resolved_at.isoformat() if outcome.resolved_at else None,
        "handle_seconds": outcome.handle_seconds,
        "assignee": outcome.labeler,
        "reply": simulated.reply_text,
    }


def _export_chunk(config: SimulationConfig, chunk: Chunk) -> tuple[bytes, pa.Table]:
    import pyarrow as pa

    tickets = simulate_chunk(config, chunk)
    lines = "".join(json.dumps(export_row(ticket), ensure_ascii=False) + "\n" for ticket in tickets).encode()
    truth = pa.table(
        {
            "ticket_id": pa.array([t.ticket.ticket_id for t in tickets], pa.string()),
            "true_contact_type": pa.array([t.true_contact_type for t in tickets], pa.string()),
            "recorded_contact_type": pa.array([t.outcome.contact_type for t in tickets], pa.string()),
            "right_template_id": pa.array([t.right_template_id for t in tickets], pa.string()),
            "language": pa.array([t.language for t in tickets], pa.string()),
            "multi_issue": pa.array([t.multi_issue for t in tickets], pa.bool_()),
            "ambiguous": pa.array([t.ambiguous for t in tickets], pa.bool_()),
            "events": pa.array([list(t.events) for t in tickets], pa.list_(pa.string())),
        }
    )
    return lines, truth


def _write_truth(tables: list[pa.Table], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.concat_tables(tables), path)
