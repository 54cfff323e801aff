"""Importing a query on a real PostgreSQL: every type, flat memory, and only what changed since the last time."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.importing import import_database, import_dataset
from pipeline.rows import read_row
from pipeline.sources.database import extract_query
from tickets.dataset import load_dataset
from tickets.errors import DatasetError, InputError, SourceError
from tickets.manifests import read_manifest
from tickets.tables import RAW
from tickets.workspace import Workspace

DAY, NEXT_DAY = date(2026, 3, 2), date(2026, 3, 3)
ROWS = 20_000
DATASET = """
name = "own"
format = "database"

[source]
query = "select * from helpdesk where updated_at > :since order by updated_at, id"
watermark = "updated_at"
since = 2020-01-01T00:00:00Z

[ticket]
ticket_id = "id"
created_at = "opened"
body = "text"
customer_key = "who.mail"

[attributes]
numeric = ["amount"]
boolean = ["vip"]

[outcome]
contact_type = "reason"
resolved_at = "closed"
"""


@pytest.fixture
def database(postgres_url: str) -> Iterator[sa.Engine]:
    """A helpdesk's table of 20,000 tickets, in a schema of its own."""
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("drop table if exists helpdesk"))
        connection.execute(
            sa.text(
                "create table helpdesk (id numeric(20) primary key, opened timestamptz not null, text text, "
                "who jsonb, amount numeric(12, 2), vip boolean, reason text, closed timestamptz, photo bytea, "
                "parts text[], waited interval, seen date, ratio double precision, updated_at timestamptz)"
            )
        )
        connection.execute(
            sa.text(
                "insert into helpdesk select n, timestamptz '2026-01-01 10:00+01' + n * interval '1 minute', "
                "'Parcel ' || n || ' is late. ' || repeat('Really late. ', 20), "
                "jsonb_build_object('mail', 'c' || n || '@example.com'), n + 0.5, n % 2 = 0, 'Delivery::Late', "
                "timestamptz '2026-02-01 10:00Z', decode('ff00fe', 'hex'), array['a', 'b'], interval '90 minutes', "
                "date '2026-01-31', 'NaN', timestamptz '2026-02-01 00:00Z' + n * interval '1 second' "
                f"from generate_series(1, {ROWS}) as n"
            )
        )
        connection.execute(sa.text("update helpdesk set amount = null, closed = null, photo = null where id = 1"))
    yield engine
    with engine.begin() as connection:
        connection.execute(sa.text("drop table helpdesk"))
    engine.dispose()


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """`own(old=..., new=...)`: the dataset.toml, with one text replaced."""

    def write(old: str = "", new: str = "") -> Path:
        path = tmp_path / "own.toml"
        path.write_text(DATASET.replace(old, new) if old else DATASET, encoding="utf-8")
        return path

    return write


def raw(workspace: Workspace, day: date) -> list[dict[str, Any]]:
    rows = [row for row in workspace.read(RAW).to_pylist() if row["arrived"] == day.isoformat()]
    return [json.loads(row["fields"]) for row in sorted(rows, key=lambda row: (row["source"], row["row"]))]


@pytest.mark.usefixtures("database")
def test_every_type_arrives_as_the_cleaner_reads_it(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str
) -> None:
    manifest = import_database(workspace, own(), url=postgres_url, as_of=DAY)

    assert dict(manifest.counts) == {"raw": ROWS, "unreadable": 0}
    first, second, *_ = raw(workspace, DAY)
    assert [first[name] for name in ("amount", "closed", "photo", "ratio")] == [None, None, None, None]
    assert [second[name] for name in ("id", "amount", "photo", "parts", "waited", "seen")] == [
        *("2", "2.50", "/wD+", ["a", "b"], "1:30:00", "2026-01-31"),
    ]
    dataset = load_dataset(own())
    ticket, outcome, misread = read_row(json.dumps(second), dataset, source="own", row=2)
    assert (ticket.ticket_id, ticket.created_at, misread) == ("2", datetime(2026, 1, 1, 9, 2, tzinfo=UTC), 0)
    assert ticket.attributes == {"amount": 2.5, "vip": True}
    assert ticket.customer_key is not None
    assert outcome is not None
    assert outcome.resolved_at == datetime(2026, 2, 1, 10, tzinfo=UTC)


def test_the_next_import_reads_only_what_changed_since(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str, database: sa.Engine
) -> None:
    import_dataset(workspace, [], own(), as_of=DAY, source_url=postgres_url)
    assert import_database(workspace, own(), url=postgres_url, as_of=DAY).counts["raw"] == ROWS  # nothing new
    with database.begin() as connection:
        connection.execute(
            sa.text("update helpdesk set reason = 'Delivery::Lost', updated_at = timestamptz '2026-02-28' where id = 7")
        )
        connection.execute(
            sa.text(
                "insert into helpdesk (id, opened, text, updated_at) values "
                "(99999, timestamptz '2026-02-27', 'New', timestamptz '2026-02-27')"
            )
        )

    manifest = import_database(workspace, own(), url=postgres_url, as_of=NEXT_DAY)

    assert manifest.counts["raw"] == 2
    assert [(row["id"], row["reason"]) for row in raw(workspace, NEXT_DAY)] == [
        *(("99999", None), ("7", "Delivery::Lost")),
    ]
    assert manifest.inputs["watermark updated_at"].startswith("2026-02-28")
    again = import_database(workspace, own(), url=postgres_url, as_of=date(2026, 3, 4))
    assert again.counts["raw"] == 0
    assert again.inputs["watermark updated_at"] == manifest.inputs["watermark updated_at"]


def test_a_time_far_ahead_hides_nothing_that_comes_before_it(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str, database: sa.Engine
) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("update helpdesk set updated_at = timestamptz '2999-01-01' where id = 5"))

    manifest = import_database(workspace, own(), url=postgres_url, as_of=DAY)

    assert manifest.inputs["watermark updated_at"].startswith("2026-02-01")
    assert import_database(workspace, own(), url=postgres_url, as_of=NEXT_DAY).counts["raw"] == 1  # that row, again


@pytest.mark.usefixtures("database")
def test_an_import_that_died_before_its_manifest_is_repeated_in_place(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str
) -> None:
    import_database(workspace, own(), url=postgres_url, as_of=DAY)
    parts = sorted((workspace.table_path(RAW) / f"arrived={DAY}").iterdir())
    content = [path.read_bytes() for path in parts]
    (workspace.manifests / "import" / f"{DAY}.json").unlink()  # the rows are in the lake, the watermark is not

    manifest = import_database(workspace, own(), url=postgres_url, as_of=DAY)

    assert manifest.counts["raw"] == ROWS
    repeated = sorted((workspace.table_path(RAW) / f"arrived={DAY}").iterdir())
    assert [path.name for path in repeated] == [path.name for path in parts]
    assert [path.read_bytes() for path in repeated] == content


def test_memory_does_not_grow_with_the_rows(own: Callable[..., Path], postgres_url: str, database: sa.Engine) -> None:
    def peak(limit: int) -> float:
        dataset = load_dataset(own("order by updated_at, id", f"order by updated_at, id limit {limit}"))
        tracemalloc.start()
        rows = sum(1 for _ in extract_query(dataset, postgres_url, as_of=DAY, inputs={}).rows())
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert rows == limit
        return highest

    peak(100)  # what is loaded once
    assert peak(12_000) < 1.3 * peak(4_000)


@pytest.mark.usefixtures("database")
def test_the_address_is_written_nowhere(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "pa55word-of-the-source"
    url = sa.make_url(postgres_url).set(password=secret).render_as_string(hide_password=False)
    import_database(workspace, own(), url=url, as_of=DAY, report=print)
    with pytest.raises(SourceError, match='relation "nowhere" does not exist') as failed:
        import_database(workspace, own("from helpdesk", "from nowhere"), url=url, as_of=NEXT_DAY)

    assert secret not in str(failed.value) + capsys.readouterr().out
    written = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert not [path for path in written if secret.encode() in path.read_bytes()]
    assert read_manifest(workspace, "import", NEXT_DAY.isoformat()) is None


def test_a_query_cannot_change_what_it_reads(
    workspace: Workspace, own: Callable[..., Path], postgres_url: str, database: sa.Engine
) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("create sequence if not exists drawn"))
    changing = own("select * from", "select *, nextval('drawn') from")
    with pytest.raises(SourceError, match="read-only transaction"):
        import_database(workspace, changing, url=postgres_url, as_of=DAY)


@pytest.mark.usefixtures("database")
def test_wrong_settings_are_named(workspace: Workspace, own: Callable[..., Path], postgres_url: str) -> None:
    with pytest.raises(InputError, match="TRIAGE_SOURCE_URL"):
        import_database(workspace, own(), url=None, as_of=DAY)
    with pytest.raises(InputError, match="no SQLAlchemy URL"):
        import_database(workspace, own(), url="mysterydb://x:secret@y/z", as_of=DAY)
    with pytest.raises(SourceError, match="lacks the column 'words'"):
        import_database(workspace, own('body = "text"', 'body = "words"'), url=postgres_url, as_of=DAY)
    with pytest.raises(DatasetError, match="more than one column 'text'"):
        import_database(workspace, own("select *", "select *, 1 as text"), url=postgres_url, as_of=DAY)
    with pytest.raises(DatasetError, match="no column 'changed'"):
        import_database(workspace, own('"updated_at"', '"changed"'), url=postgres_url, as_of=DAY)
    with pytest.raises(DatasetError, match=r"`since` in dataset[.]toml as the column has it"):
        import_database(
            workspace, own("since = 2020-01-01T00:00:00Z", 'since = "2020-01-01"'), url=postgres_url, as_of=DAY
        )
    with pytest.raises(DatasetError, match="together, or none of them"):
        load_dataset(own('watermark = "updated_at"\n', ""))
