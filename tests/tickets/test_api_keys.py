"""API keys and the audit log in both databases."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tickets import audit
from tickets.api_keys import create_key, find_key, first_key, id_of, list_keys, note_used, revoke_keys, rotate_key
from tickets.errors import InputError

AT = datetime(2026, 11, 30, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_key_is_written_once_and_only_its_hash_is_kept(engine: sa.Engine) -> None:
    made, written = create_key(engine, "helpdesk", "agent", at=AT)
    assert re.fullmatch(r"triage_[0-9a-f]{12}_[0-9a-f]{64}", written)
    assert id_of(written) == made.key_id
    found = find_key(engine, made.key_id)
    assert found == made
    assert found.is_written(written)
    assert not found.is_written(written[:-1] + ("0" if written[-1] != "0" else "1"))
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM api_keys")).one()
    assert written.split("_")[2] not in str(row)


def test_no_two_keys_are_alike(engine: sa.Engine) -> None:
    made = [create_key(engine, f"key {number}", "agent", at=AT) for number in range(20)]
    assert len({written for _, written in made}) == len({key.key_id for key, _ in made}) == 20


def test_a_name_that_is_taken_is_refused_with_the_command_as_a_shell_takes_it(engine: sa.Engine) -> None:
    create_key(engine, "front desk", "agent", at=AT)
    with pytest.raises(InputError, match="`triage keys rotate 'front desk'`"):
        create_key(engine, "front desk", "agent", at=AT)


@pytest.mark.parametrize(
    ("name", "role", "days"),
    [
        *(("a", "root", None), ("", "agent", None), ("a" * 101, "agent", None), ("a\nb", "agent", None)),
        *(("<b>", "agent", None), (" a", "agent", None), ("a", "agent", 0), ("a", "agent", float("nan"))),
        ("a", "agent", 1e9),
    ],
)
def test_what_cannot_be_a_key_is_refused(engine: sa.Engine, name: str, role: str, days: float | None) -> None:
    with pytest.raises(InputError):
        create_key(engine, name, role, at=AT, days=days)
    assert list_keys(engine) == []


def test_working_keys_have_names_of_their_own(engine: sa.Engine) -> None:
    create_key(engine, "ana", "agent", at=AT, days=1)
    with pytest.raises(InputError, match="working key named 'ana'"):
        create_key(engine, "ana", "admin", at=AT)
    create_key(engine, "ana", "agent", at=AT + timedelta(days=2))  # the first is over by then


def test_a_key_works_until_its_end_and_until_it_is_revoked(engine: sa.Engine) -> None:
    made, _ = create_key(engine, "guest", "agent", at=AT, days=1)
    assert made.works(AT)
    assert made.works(AT + timedelta(days=1, seconds=-1))
    assert not made.works(AT + timedelta(days=1))
    (ended,) = revoke_keys(engine, made.key_id, at=AT + HOUR)
    assert ended.key_id == made.key_id
    found = find_key(engine, made.key_id)
    assert found is not None
    assert not found.works(AT + HOUR)
    with pytest.raises(InputError, match="no working key"):
        revoke_keys(engine, "guest", at=AT + HOUR)


def test_a_rotated_key_keeps_its_role_and_life_and_the_old_one_its_grace(engine: sa.Engine) -> None:
    old, _ = create_key(engine, "desk", "labeler", at=AT, days=30, shared=True)
    new, written = rotate_key(engine, "desk", at=AT + HOUR, grace=HOUR)
    assert (new.role, new.shared, new.expires_at) == ("labeler", True, AT + HOUR + timedelta(days=30))
    assert new.is_written(written)
    left = find_key(engine, old.key_id)
    assert left is not None
    assert left.works(AT + 2 * HOUR - timedelta(seconds=1))
    assert not left.works(AT + 2 * HOUR)
    # A longer grace gives no longer life than was left.
    _, _ = rotate_key(engine, "desk", at=AT + 1.5 * HOUR, grace=timedelta(days=90))
    again = find_key(engine, old.key_id)
    assert again is not None
    assert again.expires_at == AT + 2 * HOUR
    assert len(revoke_keys(engine, "desk", at=AT + 1.6 * HOUR)) == 3


def test_rotating_what_does_not_work_is_refused(engine: sa.Engine) -> None:
    with pytest.raises(InputError, match="no working key is named 'nobody'"):
        rotate_key(engine, "nobody", at=AT)


def test_of_many_first_starts_one_makes_the_administrators_key(engine: sa.Engine) -> None:
    made: list[str | None] = []
    ready = threading.Barrier(5)

    def start() -> None:
        ready.wait()
        made.append(first_key(engine, at=AT))

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([written for written in made if written]) == 1
    (key,) = list_keys(engine)
    assert (key.name, key.role) == ("first-start", "admin")


def test_no_first_key_where_an_administrator_has_or_had_one(engine: sa.Engine) -> None:
    create_key(engine, "desk", "agent", at=AT)
    made, _ = create_key(engine, "boss", "admin", at=AT)
    revoke_keys(engine, made.key_id, at=AT)
    assert first_key(engine, at=AT) is None


def test_use_is_noted_of_the_key_that_was_used(engine: sa.Engine) -> None:
    made, _ = create_key(engine, "desk", "agent", at=AT)
    create_key(engine, "other", "agent", at=AT)
    note_used(engine, made.key_id, at=AT + timedelta(seconds=61))
    assert {key.name: key.last_used_at for key in list_keys(engine)} == {
        "desk": AT + timedelta(seconds=61),
        "other": None,
    }


def test_events_come_back_oldest_first_from_a_time_on(engine: sa.Engine) -> None:
    for hour, action in enumerate(("key created", "signed in", "promoted")):
        audit.record(engine, at=AT + hour * HOUR, actor="ana", action=action, target="x", details={"hour": hour})
    assert [entry.action for entry in audit.entries(engine)] == ["key created", "signed in", "promoted"]
    assert [entry.action for entry in audit.entries(engine, since=AT + HOUR)] == ["signed in", "promoted"]
    (last,) = audit.entries(engine, limit=1)
    assert (last.at, last.actor, last.action, last.target) == (AT + 2 * HOUR, "ana", "promoted", "x")
    assert dict(last.details) == {"hour": 2}
