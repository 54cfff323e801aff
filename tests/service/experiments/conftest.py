"""A service without a model, since experiments come before the first release, and runs to show on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from tickets.database import open_database
from tickets.experiment_log import ExperimentRun, append_run
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Start

START = datetime(2026, 11, 20, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Young:
    """A running service, its workspace and a client of it."""

    address: str
    workspace: Workspace
    client: httpx.Client


@pytest.fixture
def engine(workspace: Workspace) -> Iterator[sa.Engine]:
    """SQLite alone: the page reads no database."""
    opened = open_database(workspace.default_database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def service(start: Start, connect: Connect, workspace: Workspace, engine: sa.Engine) -> Iterator[Young]:
    with start(workspace, engine) as address, connect(address) as client:
        yield Young(address, workspace, client)


@pytest.fixture
def run_of() -> Callable[..., ExperimentRun]:
    """`run_of(number, mrr=None, knobs={}, **other fields)`: a trial of the study s1, `number` minutes after the
    start."""

    def make(number: int, mrr: float | None = None, knobs: dict[str, Any] | None = None, **other: Any) -> ExperimentRun:
        judged = {"validation_mrr": mrr, "validation_accuracy": mrr - 0.125} if mrr is not None else {}
        facts: dict[str, Any] = {
            "id": f"s1-{number:04d}",
            "kind": "trial",
            "name": f"s1-{number:04d}",
            "started": START + timedelta(minutes=number),
            "seconds": 10.0 + number,
            "status": "finished",
            "study": "s1",
            "knobs": {"encoder": "tiny", "epochs": 3} | (knobs or {}),
            "figures": {**judged, "train_seconds": 9.0 + number} if judged else {},
            "validation_hash": "a" * 64,
        }
        return ExperimentRun(**(facts | other))

    return make


@pytest.fixture
def study(service: Young, run_of: Callable[..., ExperimentRun]) -> Young:
    """The service, with six runs: four trials that finished, one that failed, and a training."""
    rates = (1e-5, 3e-5, 1e-4, 3e-4)
    for number, (rate, mrr) in enumerate(zip(rates, (0.5, 0.75, 0.875, 0.625), strict=True)):
        append_run(service.workspace, run_of(number, mrr, {"learning_rate": rate, "epochs": 1 + number}))
    failed = run_of(4, None, {"learning_rate": 1e-3}, status="failed", reason="RuntimeError: <b>no</b> memory")
    append_run(service.workspace, failed)
    training = run_of(5, 0.8125, {"learning_rate": 1e-4}, kind="training", study=None)
    append_run(service.workspace, training)
    return service
