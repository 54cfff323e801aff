"""The suggestion log: on disk first, in the database once, whatever happens in between."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from service.spool import Spool
from tests.waiting import soon
from tickets.database import challenger_answers, open_database, suggestions
from tickets.errors import MachineError
from tickets.feedback_log import find_suggestion
from tickets.records import RankedContactType, Suggestion, Ticket

AT = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)


class Ledger:
    """Remembers what the spool tells."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.taken_up: list[int] = []

    def spooled(self, *, rows: int, size: int, oldest_seconds: float) -> None:
        assert size >= 0 and oldest_seconds >= 0
        self.rows.append(rows)

    def replayed(self, rows: int) -> None:
        self.taken_up.append(rows)


def pair(number: int, *, body: str = "Where is my refund?\nÄrger 🙂") -> tuple[Ticket, Suggestion]:
    ticket = Ticket(ticket_id=f"t{number}", created_at=AT, body=body, attributes={"city": "Oslo", "amount": 3.5})
    first = RankedContactType(contact_type="refund", path="Payments::Refund", probability=0.9, band="high")
    made = Suggestion(
        suggestion_id=f"s{number}",
        ticket_id=ticket.ticket_id,
        model_version="v1",
        created_at=AT,
        contact_types=(first,),
        templates=(),
    )
    return ticket, made


def ids(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(connection.execute(sa.select(suggestions.c.suggestion_id)).scalars())


@contextmanager
def away(path: Path) -> Iterator[None]:
    """An SQLite database that cannot be written for a while: another process holds it."""
    holder = sa.create_engine(f"sqlite:///{path}")
    with holder.connect() as connection:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        yield
        connection.exec_driver_sql("ROLLBACK")
    holder.dispose()


def impatient(path: Path) -> sa.Engine:
    """The database, given up on after a moment instead of ten seconds."""
    open_database(f"sqlite:///{path}").dispose()
    return sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})


def test_what_is_kept_comes_back_from_the_database_as_it_was(engine: sa.Engine, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", engine, Ledger())
    with spool.running():
        spool.keep([pair(1), pair(2)])
        assert spool.find("s2") == pair(2) or find_suggestion(engine, "s2") == pair(2)
        assert spool.settle(seconds=10)
        assert spool.find("s1") is None
        assert find_suggestion(engine, "s1") == pair(1)
    assert list((tmp_path / "spool").iterdir()) == []


def test_it_is_committed_soon_without_anybody_asking(engine: sa.Engine, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", engine, Ledger())
    with spool.running():
        spool.keep([pair(1)])
        assert soon(lambda: ids(engine) == ["s1"])


def test_a_challengers_answer_follows_the_suggestion_it_belongs_to(engine: sa.Engine, tmp_path: Path) -> None:
    said = {
        **{"suggestion_id": "s1", "model_version": "v2", "at": AT, "contact_type": "refund", "probability": 0.8},
        **{"abstained": False, "agreed": True},
    }
    spool = Spool(tmp_path / "spool", engine, Ledger())
    with spool.running():
        spool.keep([pair(1)])
        spool.keep_challenger_answers([said, said])  # kept once
        assert spool.settle(seconds=10)
    with engine.connect() as connection:
        (row,) = connection.execute(sa.select(challenger_answers)).mappings()
    assert dict(row) == said


def test_while_the_database_is_away_lines_wait_on_disk_and_then_all_arrive_once(tmp_path: Path) -> None:
    path, ledger = tmp_path / "triage.db", Ledger()
    engine = impatient(path)
    spool = Spool(tmp_path / "spool", engine, ledger)
    with spool.running():
        with away(path):
            for number in range(50):
                spool.keep([pair(number)])
            assert not spool.settle(seconds=5)
            assert spool.away
            assert spool.find("s7") == pair(7)
            assert soon(lambda: ledger.rows[-1:] == [50])
        assert soon(lambda: spool.settle(seconds=0))
        assert not spool.away
        assert ids(engine) == sorted(f"s{number}" for number in range(50))
    engine.dispose()


def test_the_log_blames_the_database_only_for_what_is_its_own(tmp_path: Path) -> None:
    path, folder = tmp_path / "triage.db", tmp_path / "spool"
    engine = impatient(path)
    first = Spool(folder, engine, Ledger())
    with capture_logs() as told, first.running(), away(path):
        first.keep([pair(1)])
        assert soon(lambda: first.away)
    assert [line["event"] for line in told] == ["database unavailable"]
    refused, left = folder / "refused.ndjson", folder / "0.jsonl"
    refused.mkdir()  # so that no row can be set aside
    left.write_bytes(b"Quetzalcoatl\n")
    second = Spool(folder, engine, Ledger())
    with capture_logs() as told, second.running():
        assert soon(lambda: second.away)
        refused.rmdir()
        assert soon(lambda: not left.exists())
    (line,) = [line for line in told if line["event"] == "suggestion log not committed"]
    assert line["kind"] == "IsADirectoryError"
    assert any(place.endswith(" _refuse") for place in line["at"])
    assert "database unavailable" not in [line["event"] for line in told]
    assert "Quetzalcoatl" not in str(told)
    engine.dispose()


def test_what_the_database_did_not_take_before_the_end_is_taken_up_by_the_next_process(tmp_path: Path) -> None:
    path, ledger = tmp_path / "triage.db", Ledger()
    engine = impatient(path)
    with away(path):
        first = Spool(tmp_path / "spool", engine, Ledger())
        with first.running():
            first.keep([pair(1), pair(2)])
    assert ids(engine) == []
    second = Spool(tmp_path / "spool", engine, ledger)
    with second.running():
        assert soon(lambda: ids(engine) == ["s1", "s2"])
        assert soon(lambda: ledger.taken_up == [2])
    assert list((tmp_path / "spool").iterdir()) == []
    engine.dispose()


def test_lines_that_were_committed_already_and_a_torn_last_one_do_no_harm(engine: sa.Engine, tmp_path: Path) -> None:
    folder, ledger = tmp_path / "spool", Ledger()
    spool = Spool(folder, engine, Ledger())
    with spool.running():
        spool.keep([pair(1), pair(2)])
        (file,) = folder.glob("*.jsonl")
        lines = file.read_bytes()
        assert spool.settle(seconds=10)
    (folder / "dead.jsonl").write_bytes(lines + lines[:100])  # as a killed process leaves it
    second = Spool(folder, engine, ledger)
    with second.running():
        assert soon(lambda: ledger.taken_up == [2])
    assert ids(engine) == ["s1", "s2"]


def test_the_file_of_a_process_that_lives_is_left_alone(engine: sa.Engine, tmp_path: Path) -> None:
    folder, ledger = tmp_path / "spool", Ledger()
    first, second = Spool(folder, engine, Ledger()), Spool(folder, engine, ledger)
    with first.running(), second.running():
        assert soon(lambda: second.settle(seconds=0))
        first.keep([pair(1)])
        second.keep([pair(2)])
        assert first.settle(seconds=10) and second.settle(seconds=10)
        assert len(list(folder.glob("*.jsonl"))) == 2
    assert ids(engine) == ["s1", "s2"]
    assert ledger.taken_up == []


def test_a_row_the_database_will_never_take_is_set_aside_whole_and_the_others_go_on(
    engine: sa.Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, engine, Ledger())
    orphan = {
        **{"suggestion_id": "nowhere", "model_version": "v2", "at": AT, "contact_type": None, "probability": None},
        **{"abstained": True, "agreed": False},
    }
    with spool.running():
        spool.keep([pair(1)])
        spool.keep_challenger_answers([orphan])
        spool.keep([pair(2)])
        assert spool.settle(seconds=10)
    assert ids(engine) == ["s1", "s2"]
    assert "nowhere" in (folder / "refused.ndjson").read_text(encoding="utf-8")


def test_a_line_that_cannot_be_read_is_set_aside_once_however_long_the_database_is_away(tmp_path: Path) -> None:
    path, folder = tmp_path / "triage.db", tmp_path / "spool"
    engine = impatient(path)
    with away(path):
        first = Spool(folder, engine, Ledger())
        with first.running():
            first.keep([pair(1)])
        (file,) = folder.glob("*.jsonl")
        with file.open("ab") as lines:
            lines.write(b"what a disk held after it lost power\n")
        second = Spool(folder, engine, Ledger())
        with second.running():
            assert soon(lambda: second.away)
            time.sleep(0.5)  # and another try
    third = Spool(folder, engine, Ledger())
    with third.running():
        assert soon(lambda: ids(engine) == ["s1"])
        assert soon(lambda: third.settle(seconds=0))
    assert len((folder / "refused.ndjson").read_bytes().splitlines()) == 1
    engine.dispose()


@pytest.mark.parametrize("wrong", [{"created_at": "yesterday"}, {"created_at": None}, {"colour": "red"}])
def test_rows_of_another_version_are_set_aside_and_hold_up_no_others(wrong: dict[str, Any], tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'triage.db'}")
    folder, ledger = tmp_path / "spool", Ledger()
    folder.mkdir()
    row = {"table": "suggestions", "row": {"suggestion_id": "old", "created_at": AT.isoformat(), **wrong}}
    (folder / "dead.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    spool = Spool(folder, engine, ledger)
    with spool.running():
        spool.keep([pair(1)])
        assert spool.settle(seconds=5)
    assert ids(engine) == ["s1"]
    assert '"old"' in (folder / "refused.ndjson").read_text(encoding="utf-8")
    engine.dispose()


def test_a_full_disk_is_told_and_leaves_no_half_line(engine: sa.Engine, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", engine, Ledger(), most_bytes=5_000)
    with spool.running():
        spool.keep([pair(1)])
        with pytest.raises(MachineError, match="wait for the database"):
            spool.keep([pair(2, body="x" * 10_000)])
        spool.keep([pair(3)])
        assert spool.settle(seconds=10)
    assert ids(engine) == ["s1", "s3"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_told_at_the_start(engine: sa.Engine, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MachineError, match="cannot write"), Spool(tmp_path / "spool", engine, Ledger()).running():
        pass


def test_a_disk_that_takes_no_more_files_is_no_database_that_is_away(tmp_path: Path) -> None:
    engine, folder = open_database(f"sqlite:///{tmp_path / 'triage.db'}"), tmp_path / "spool"
    spool = Spool(folder, engine, Ledger())
    with spool.running():
        folder.rename(tmp_path / "elsewhere")
        folder.touch()  # a file, so that no other can be made below it
        spool.keep([pair(1, body="x" * (9 << 20))])  # enough for the file to start anew
        assert spool.settle(seconds=10)
        time.sleep(0.2)
        assert not spool.away
        folder.unlink()
        folder.mkdir()
    assert ids(engine) == ["s1"]
    engine.dispose()


def test_the_file_does_not_grow_for_ever_and_nothing_is_lost_when_it_starts_anew(
    engine: sa.Engine, tmp_path: Path
) -> None:
    spool, ended = Spool(tmp_path / "spool", engine, Ledger()), threading.Event()
    sizes, kept = [], []

    def keep_on() -> None:  # lines come while others are committed, so the file is never quite empty
        while not ended.is_set():
            kept.append(f"s{len(kept)}")
            spool.keep([pair(len(kept) - 1, body="x" * 100_000)])
            time.sleep(0.01)

    with spool.running():
        thread = threading.Thread(target=keep_on)
        thread.start()
        while len(kept) < 400:
            sizes += [path.stat().st_size for path in (tmp_path / "spool").glob("*.jsonl") if path.exists()]
            time.sleep(0.005)
        ended.set()
        thread.join()
        assert spool.settle(seconds=30)
    assert max(sizes) < 25 << 20 < 400 * 100_000
    assert ids(engine) == sorted(kept)
