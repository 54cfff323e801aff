"""Labels of the past that are doubted, asked about again: training tickets whose contact type a model that never saw
them finds hard to believe (models/diagnosis/suspects.py).

They are looked for once a release, unless `triage evaluate --errors` did. Each is asked about once; the answer is a new
outcome. Nothing is relabelled by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from models import release as names
from models.diagnosis.error_text import report_paths
from models.diagnosis.suspects import write_suspects
from models.diagnosis.trained_suspects import trained_suspects
from models.neighbours import Neighbours
from models.release import Release
from models.tree_index import index_tree
from tickets.catalogue import load_tree
from tickets.errors import TriageError
from tickets.examples import read_examples
from tickets.label_queue import LabelRequest
from tickets.progress import Report, silent
from tickets.records import Ticket
from tickets.tables import OUTCOMES, TICKETS
from tickets.workspace import Workspace

log = structlog.get_logger()

MOST = 5_000  # of the newest training tickets; with eighty contact types they take eleven seconds of one core
_COLUMNS = ("ticket_id", "created_at", "text", "contact_type")


def suspect_requests(
    workspace: Workspace,
    release: Release,
    *,
    count: int,
    reviewed: Set[str],
    report: Report = silent,
) -> list[LabelRequest]:
    """The `count` likeliest wrong labels that still stand, without the tickets in `reviewed`.

    A night without them is a night all the same: where history or cleanlab are missing, there are none.
    """
    if count <= 0:
        return []
    try:
        found = [row for row in _found(workspace, release, report) if row["ticket_id"] not in reviewed]
        standing = _outcomes(workspace, [row["ticket_id"] for row in found])
        kept = [row for row in found if standing.get(row["ticket_id"], {}).get("contact_type") == row["contact_type"]][
            :count
        ]
        tickets = _tickets(workspace, [row["ticket_id"] for row in kept])
    except TriageError as error:
        log.info("no suspect labels", reason=error.message)
        return []
    known = [row for row in kept if row["ticket_id"] in tickets]
    return [
        LabelRequest(
            ticket=tickets[row["ticket_id"]],
            share="suspect",
            priority=1 - place / len(known),
            known_type=row["contact_type"],
            doubt={
                "likelier": row["likelier"],
                "given_probability": row["given_probability"],
                "likelier_probability": row["likelier_probability"],
                "source": standing[row["ticket_id"]]["source"],
                "model_version": release.version,
            },
        )
        for place, row in enumerate(known)
    ]


def _found(workspace: Workspace, release: Release, report: Report) -> list[dict[str, Any]]:
    """Rows of the release's suspects among its training tickets, surest first; looked for where nobody has."""
    path = report_paths(workspace, release.version, "test")[2]
    if not path.exists():
        _look(workspace, release, path, report)
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    return [row for row in rows if row["split"] == "train"]


def _look(workspace: Workspace, release: Release, path: Path, report: Report) -> None:
    train = read_examples(workspace, splits=("train",), columns=_COLUMNS).filter(pc.field("contact_type").is_valid())
    train = train.sort_by([("created_at", "ascending"), ("ticket_id", "ascending")])
    index = index_tree(load_tree(release.path(names.TREE)))
    found = trained_suspects(workspace, Neighbours.load(release.folder), index, train, report=report, most=MOST)
    write_suspects(path, [found], version=release.version)


def _outcomes(workspace: Workspace, ticket_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    rows = workspace.read(OUTCOMES, ["ticket_id", "contact_type", "source"], where=_among(ticket_ids))
    return {row["ticket_id"]: row for row in rows.to_pylist()}


def _tickets(workspace: Workspace, ticket_ids: Sequence[str]) -> dict[str, Ticket]:
    """Each in the version that arrived last."""
    columns = ("ticket_id", "created_at", "channel", "subject", "body", "language", "customer_key", "attributes")
    rows = workspace.read(TICKETS, [*columns, "arrived"], where=_among(ticket_ids)).sort_by("arrived")
    return {
        row["ticket_id"]: Ticket(
            **{name: row[name] for name in columns if name != "attributes"}, attributes=json.loads(row["attributes"])
        )
        for row in rows.to_pylist()
    }


def _among(ticket_ids: Sequence[str]) -> pc.Expression:
    return pc.field("ticket_id").isin(pa.array(ticket_ids, pa.string()))
