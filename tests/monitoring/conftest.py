"""A small world to watch: tickets about four topics, a promoted release with its reference, and a model made by hand.

The model stands where models.suggest.Suggester does: it tells the topic from the words; unknown ones make it unsure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from models import release as names
from models.calibrate import Calibration
from models.predictions import Predictions
from models.release import Release, open_release, promote, seal
from monitoring.evidence import Evidence
from monitoring.windows import Window
from tests.logged import log_suggestions
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import feedback
from tickets.records import RankedContactType, Suggestion, Ticket, attributes_to_text
from tickets.workspace import Workspace

WIDTH = 24
TOPICS = {
    "refund": "please refund the money for my ride today",
    "invoice": "send the invoice of last month for my company",
    "login": "the password and the login code do not work",
    "damage": "my parcel arrived damaged and the box is open",
}
NEW_TOPIC = "scooter battery exploded while charging overnight"  # words that no reference ticket has
TREE = ContactTypeTree(nodes=tuple(ContactType(id=name, name=name.title()) for name in TOPICS))
VERSION = "20260301-000000-abcdef"
REFERENCE_FROM = date(2026, 2, 2)  # a Monday
FIRST_DAY = date(2026, 3, 2)  # of service, a Monday


def draw_tickets(
    count: int, *, day: date, days: int, seed: int, new_topic: float = 0.0, prefix: str = "t", hour: int = 9
) -> list[tuple[Ticket, str]]:
    """Tickets spread evenly over `days` days from `day` on, each with its true topic."""
    rng = np.random.default_rng(seed)
    start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    drawn = []
    for number in range(count):
        topic = str(rng.choice(list(TOPICS)))
        words = (NEW_TOPIC if rng.random() < new_topic else TOPICS[topic]).split()
        kept = rng.permutation(len(words))[: int(rng.integers(4, len(words) + 1))]
        ticket = Ticket(
            ticket_id=f"{prefix}-{seed}-{number}",
            created_at=start + timedelta(days=number * days // count, minutes=int(rng.integers(600))),
            body=" ".join(words[place] for place in sorted(kept)),
            channel=str(rng.choice(["email", "chat"])),
            language="en",
            attributes={"city": str(rng.choice(["Lisbon", "Porto", "Faro"])), "amount": float(rng.gamma(2, 10))},
        )
        drawn.append((ticket, topic))
    return drawn


@dataclass(frozen=True)
class Reader:
    """Finds the topic whose words the ticket uses most. Same ticket, same answer."""

    release: Release
    tree: ContactTypeTree = TREE
    calls: list[int] = field(default_factory=list)

    def detail_cleaned(self, tickets: Sequence[Ticket]) -> Predictions:
        self.calls.append(len(tickets))
        centers = np.random.default_rng(1).normal(size=(len(TOPICS) + 1, WIDTH))
        shares = np.array(
            [[len({*ticket.body.split()} & {*words.split()}) for words in TOPICS.values()] for ticket in tickets],
            dtype=np.float64,
        ).reshape(len(tickets), len(TOPICS))
        known = shares.max(axis=1, initial=0) >= 3
        predicted = shares.argmax(axis=1) if len(tickets) else np.zeros(0, np.int64)
        noise = np.array([_noise(ticket.body + ticket.ticket_id) for ticket in tickets]).reshape(len(tickets), WIDTH)
        vectors = centers[np.where(known, predicted, len(TOPICS))] + 0.8 * noise
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        sure = np.array([0.5 + 0.1 * abs(noise[row, 0]) for row in range(len(tickets))])
        probability = np.where(known, np.clip(0.4 + sure, 0, 0.99), np.clip(sure - 0.2, 0, 1))
        nodes = np.zeros((len(tickets), len(TOPICS)), np.float32)
        nodes[np.arange(len(tickets)), predicted] = probability
        return Predictions(
            embeddings=vectors.astype(np.float32),
            node_probabilities=nodes,
            predicted=predicted.astype(np.int64),
            probability=probability.astype(np.float32),
            out_of_scope=np.where(known, 0.1, 0.8).astype(np.float32) + (0.05 * noise[:, 1]).astype(np.float32),
            abstained=~known,
            template_queries=vectors.astype(np.float32),
            neighbours=np.zeros((len(tickets), 1), np.int64),
            cosines=np.zeros((len(tickets), 1), np.float32),
            tokens=[],
        )


def _noise(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).normal(size=WIDTH)


@dataclass(frozen=True)
class World:
    """A workspace with a promoted release, and a database that fills day by day."""

    workspace: Workspace
    engine: sa.Engine
    reader: Reader

    def arrive(
        self,
        count: int,
        *,
        day: date,
        days: int,
        seed: int,
        accepted: float = 0.9,
        new_topic: float = 0.0,
        hour: int = 9,
    ) -> None:
        """Tickets come, get suggestions, and agents judge half of them."""
        drawn = draw_tickets(count, day=day, days=days, seed=seed, new_topic=new_topic, hour=hour)
        tickets = [ticket for ticket, _ in drawn]
        said = self.reader.detail_cleaned(tickets)
        pairs = [(ticket, _suggestion(ticket, said, row)) for row, ticket in enumerate(tickets)]
        log_suggestions(self.engine, pairs)
        rng = np.random.default_rng(seed)
        given = []
        for number, (ticket, suggestion) in enumerate(pairs[::2]):
            took = bool(rng.random() < accepted)
            first = suggestion.contact_types[0].contact_type
            other = next(name for name in TOPICS if name != first)
            given.append(
                {
                    "feedback_id": f"f-{seed}-{number}",
                    "suggestion_id": suggestion.suggestion_id,
                    "ticket_id": ticket.ticket_id,
                    "action": "accepted" if took else "corrected",
                    "at": ticket.created_at + timedelta(minutes=5),
                    "contact_type": first if took else other,
                }
            )
        if given:
            with self.engine.begin() as connection:
                connection.execute(sa.insert(feedback), given)


def _suggestion(ticket: Ticket, said: Predictions, row: int) -> Suggestion:
    order = [int(said.predicted[row]), *(node for node in range(len(TOPICS)) if node != int(said.predicted[row]))]
    return Suggestion(
        suggestion_id=f"s-{ticket.ticket_id}",
        ticket_id=ticket.ticket_id,
        model_version=VERSION,
        created_at=ticket.created_at + timedelta(seconds=1),
        contact_types=tuple(
            RankedContactType(
                contact_type=TREE.nodes[node].id,
                path=TREE.nodes[node].name,
                probability=float(said.node_probabilities[row, node]),
                band="medium",
            )
            for node in order[:3]
        ),
        templates=(),
        abstained=bool(said.abstained[row]),
    )


def write_reference(release: Release, drawn: Sequence[tuple[Ticket, str]]) -> None:
    """reference.parquet as training writes it, from what the reader says."""
    tickets = [ticket for ticket, _ in drawn]
    said = Reader(release).detail_cleaned(tickets)
    table = pa.table(
        {
            "ticket_id": [ticket.ticket_id for ticket in tickets],
            "created_at": pa.array([ticket.created_at for ticket in tickets], pa.timestamp("us", tz="UTC")),
            "text": [ticket.body for ticket in tickets],
            "language": [ticket.language for ticket in tickets],
            "channel": [ticket.channel for ticket in tickets],
            "attributes": [attributes_to_text(ticket.attributes) for ticket in tickets],
            "contact_type": [topic for _, topic in drawn],
            "predicted": [TREE.nodes[int(node)].id for node in said.predicted],
            "probability": said.probability,
            "out_of_scope": said.out_of_scope,
            "abstained": said.abstained,
            "embedding": pa.array(said.embeddings.tolist(), pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, release.path(names.REFERENCE))


def make_release(workspace: Workspace, version: str = VERSION) -> Release:
    """A model directory that monitoring can read; the files it does not read are empty."""
    folder = workspace.models / version
    release = Release(
        folder=folder,
        version=version,
        created_at="2026-03-01T00:00:00+00:00",
        tree_version=1,
        languages=("en",),
        max_tokens=64,
        calibration=Calibration(
            temperatures=(1.0,), high=0.9, medium=0.7, abstain_below=0.2, scope_center=0.5, scope_scale=0.1
        ),
        windows={"test": {"from": "2026-02-01T00:00:00+00:00", "to": "2026-03-01T00:00:00+00:00", "tickets": 600}},
    )
    for name in names.EXPECTED_FILES:
        release.path(name).parent.mkdir(parents=True, exist_ok=True)
        release.path(name).write_bytes(b"")
    write_reference(release, draw_tickets(800, day=REFERENCE_FROM, days=28, seed=99, prefix="r"))
    seal(release)
    return open_release(folder)


@pytest.fixture
def release(workspace: Workspace) -> Release:
    """The release that is served."""
    made = make_release(workspace)
    promote(workspace, made.version)
    return made


@pytest.fixture
def world(workspace: Workspace, engine: sa.Engine, release: Release) -> World:
    """A world on both databases, before its first ticket."""
    return World(workspace, engine, Reader(release))


@pytest.fixture
def draw() -> Callable[..., list[tuple[Ticket, str]]]:
    return draw_tickets


@pytest.fixture
def reader_of() -> Callable[[Release], Reader]:
    return Reader


@pytest.fixture
def make() -> Callable[..., Release]:
    return make_release


def evidence_of(reference: Window, current: Window) -> Evidence:
    """Two windows, without feedback, labels or days."""
    return Evidence(
        whole_reference=reference,
        reference=reference,
        weekdays_matched=True,
        current=current,
        logged=(),
        judged=(),
        judged_before=(),
        judged_after=(),
        labelled=(),
        days={},
        days_before={},
    )
