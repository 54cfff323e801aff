"""A person forgotten: what is held of them in the database, the lake and the files, and all that can go, gone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tickets import audit
from tickets.catalogue import read_dataset
from tickets.dataset import Dataset
from tickets.errors import InputError, MissingStepError, WorkspaceError
from tickets.forgetting import Held, forget_rows, held_rows, record_forgotten, tickets_of
from tickets.named_files import files_that_name
from tickets.progress import Report, silent
from tickets.workspace import Workspace, write_text
from triage.settings import Settings
from triage.steps import opened

if TYPE_CHECKING:
    from models.remembered import Remembering
    from pipeline.upkeep.source_rows import Person

_UNDER_WAY = "forgetting.json"  # in the workspace, from a run's first change to its last: which tickets it is about
_SEARCHED = ("reports", "experiments", "nightly", "manifests", "mlflow-artifacts", "spool/refused.ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What is held of a person, and with `applied` what went. `models` and `files` hold some of it and stay: they are
    for a person to see to. `waiting` are files of the suggestion log, whose rows come to the database later.
    `unfinished`: a run before this one was killed, and its tickets are among these."""

    tickets: tuple[str, ...]
    held: tuple[Held, ...]
    models: tuple[Remembering, ...]
    files: tuple[str, ...]
    waiting: tuple[str, ...]
    applied: bool
    unfinished: bool


def forget(
    settings: Settings, *, customer: str | None, tickets: Collection[str], apply: bool, report: Report = silent
) -> Forgotten:
    """Find, and with `apply` remove, all rows of a customer (as `customer_key` is written at the source), of tickets,
    or of both. Raises InputError when neither is given, WorkspaceError, LockedError, MachineError."""
    from pipeline.upkeep.forgetting import forget_in_lake

    given = frozenset(one.strip() for one in tickets) - {""}
    customer = (customer or "").strip() or None
    if customer is None and not given:
        raise InputError(
            "nobody was named.", hint="Give --customer with an address as the source writes it, or --ticket with an id."
        )
    with opened(settings, "forget", locked=apply) as (workspace, engine):
        unfinished = _left_by_a_killed_run(workspace)
        dataset = _dataset(workspace)
        person = _whole(workspace, engine, dataset, customer, given | unfinished)
        if apply:
            held = _remove(workspace, engine, dataset, person, report)
        else:
            held = [*held_rows(engine, person.tickets), *forget_in_lake(workspace, dataset, person)]
        return _told(workspace, person, held, applied=apply, unfinished=bool(unfinished))


def _dataset(workspace: Workspace) -> Dataset:
    """How source rows are read; before the first import there are none, and the service hashes without a salt."""
    try:
        return read_dataset(workspace)
    except MissingStepError:
        return Dataset(name="", format="jsonl", ticket={})


def _whole(
    workspace: Workspace, engine: sa.Engine, dataset: Dataset, customer: str | None, known: frozenset[str]
) -> Person:
    """The person with every ticket that the database or the lake knows of them."""
    from pipeline.upkeep.forgetting import find_tickets
    from pipeline.upkeep.source_rows import Person

    person = Person(customer=customer, tickets=known)
    if (key := person.key(dataset)) is not None:
        person = Person(customer=customer, tickets=known | tickets_of(engine, key))
    return Person(customer=customer, tickets=find_tickets(workspace, dataset, person))


def _remove(workspace: Workspace, engine: sa.Engine, dataset: Dataset, person: Person, report: Report) -> list[Held]:
    """The database first: what is gone from it, no night brings into the lake again. Until all is done the workspace
    knows which tickets are meant, so that a run after one that was killed finishes it."""
    from pipeline.upkeep.forgetting import forget_in_lake

    actor, note = audit.machine_user(), workspace.root / _UNDER_WAY
    if person.tickets:
        write_text(note, json.dumps({"tickets": sorted(person.tickets)}))
    in_database = forget_rows(engine, person.tickets, at=dt.datetime.now(dt.UTC), actor=actor)
    in_lake = forget_in_lake(workspace, dataset, person, apply=True, report=report)
    if in_lake:
        with engine.begin() as connection:
            record_forgotten(connection, in_lake, at=dt.datetime.now(dt.UTC), actor=actor)
    note.unlink(missing_ok=True)
    return [*in_database, *in_lake]


def _left_by_a_killed_run(workspace: Workspace) -> frozenset[str]:
    note = workspace.root / _UNDER_WAY
    if not note.exists():
        return frozenset()
    try:
        return frozenset(json.loads(note.read_text(encoding="utf-8"))["tickets"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            f"cannot read {note}: it holds no list of tickets.", hint="Remove it, and name the tickets with --ticket."
        ) from error


def _told(workspace: Workspace, person: Person, held: list[Held], *, applied: bool, unfinished: bool) -> Forgotten:
    from models.remembered import versions_that_hold

    return Forgotten(
        tickets=tuple(sorted(person.tickets)),
        held=tuple(held),
        models=tuple(versions_that_hold(workspace, person.tickets)),
        files=tuple(_inside(workspace, _files(workspace, person.tickets))),
        waiting=tuple(_inside(workspace, _waiting(workspace))),
        applied=applied,
        unfinished=unfinished,
    )


def _files(workspace: Workspace, tickets: Collection[str]) -> Iterator[Path]:
    for name in _SEARCHED:
        yield from files_that_name(workspace.root / name, tickets)


def _waiting(workspace: Workspace) -> Iterator[Path]:
    return (path for path in sorted((workspace.root / "spool").glob("*.jsonl")) if path.stat().st_size)


def _inside(workspace: Workspace, paths: Iterator[Path]) -> Iterator[str]:
    return (str(path.relative_to(workspace.root)) for path in paths)
