"""Themes over nights, on both databases: found again they are the same ones, and what people decided stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from monitoring.night import run_night
from monitoring.policy import Limits, Policy
from monitoring.theme_memory import remember
from tickets import theme_log
from tickets.theme_log import Theme

FIRST = date(2026, 3, 2)
POLICY = Policy(permutations=19, label_budget=0, evidently=False, limits=Limits(replays=0))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def look(world: Any, day: int, *, policy: Policy = POLICY) -> list[Theme]:
    as_of = FIRST + timedelta(days=day)
    run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader)
    return theme_log.latest_themes(world.engine)


def test_a_theme_is_found_dated_and_found_again(world: Any) -> None:
    world.arrive(350, day=FIRST, days=7, seed=1)
    world.arrive(400, day=FIRST + timedelta(days=7), days=8, seed=2, new_topic=0.12)
    assert look(world, 6) == []  # a quiet week
    (first,) = look(world, 13)
    assert "scooter" in first.words
    assert first.status == "open"
    assert sum(first.days.values()) == first.tickets == len(first.ticket_ids)
    assert first.share == round(first.tickets / 350, 4)
    assert first.first_seen.date() >= FIRST + timedelta(days=7)
    assert max(first.days) == "2026-03-15"

    (again,) = look(world, 14)
    assert (again.theme_id, again.name, again.first_seen) == (first.theme_id, first.name, first.first_seen)
    assert again.last_seen > first.last_seen
    assert again.run_id != first.run_id
    assert set(first.days) < set(again.days)
    assert 3 < again.a_day < 9

    assert look(world, 14) == [again]  # the same night once more
    assert look(world, 13) == [again]  # an earlier night only looks back


def test_what_was_dismissed_does_not_come_back(world: Any) -> None:
    world.arrive(400, day=FIRST, days=8, seed=3, new_topic=0.12)
    (found,) = look(world, 6)
    assert theme_log.decide(world.engine, found.theme_id, "dismissed", by="Ana", at=NOON)
    (kept,) = look(world, 7)
    assert (kept.status, kept.decided_by, kept.decided_at) == ("dismissed", "Ana", NOON)
    assert kept.last_seen > found.last_seen
    assert not theme_log.decide(world.engine, found.theme_id, "accepted", by="Bea", at=NOON)
    assert theme_log.decide(world.engine, found.theme_id, "open", by="Ana", at=NOON)
    (opened,) = theme_log.open_themes(world.engine)
    assert (opened.decided_by, opened.decided_at) == (None, None)


def test_themes_can_be_left_out_of_a_night(world: Any) -> None:
    world.arrive(400, day=FIRST, days=7, seed=3, new_topic=0.12)
    assert look(world, 6, policy=replace(POLICY, look_for_themes=False)) == []


def theme(name: str, ids: list[str], *, centroid: tuple[float, ...] = (1.0, 0.0), version: str = "m1") -> Theme:
    return Theme(
        theme_id=f"id-{name}",
        name=name,
        words=(name,),
        tickets=len(ids),
        share=0.1,
        days={"2026-03-02": len(ids)},
        examples=(),
        ticket_ids=ids,
        nearest={},
        centroid=centroid,
        model_version=version,
        first_seen=NOON,
        last_seen=NOON,
        run_id="r",
    )


def test_after_a_change_of_model_shared_tickets_tell() -> None:
    known = theme("old", ["a", "b", "c"])
    (same,) = remember([known], [theme("new", ["b", "c", "d"], version="m2")])
    assert (same.theme_id, same.name, same.model_version) == ("id-old", "old", "m2")
    (other,) = remember([known], [theme("new", ["d", "e"], version="m2")])  # the same centroid says nothing
    assert other.theme_id == "id-new"


def test_with_one_model_close_centroids_tell() -> None:
    known = theme("old", ["a", "b"])
    (same,) = remember([known], [theme("new", ["x", "y"], centroid=(0.96, 0.28))])
    assert same.theme_id == "id-old"
    (other,) = remember([known], [theme("new", ["x", "y"], centroid=(0.6, 0.8))])
    assert other.theme_id == "id-new"


def test_parts_of_a_known_theme_are_that_theme_however_often_they_are_looked_at() -> None:
    known = theme("old", list("abcdef"))
    parts = [theme("one", list("abc")), theme("two", list("def"), centroid=(0.0, 1.0))]
    (whole,) = remember([known], parts)
    assert (whole.theme_id, whole.tickets, sorted(whole.ticket_ids)) == ("id-old", 6, list("abcdef"))
    assert remember([whole], parts) == [whole]


def test_growth_compares_the_later_days_with_the_earlier() -> None:
    days = {f"2026-03-{day:02}": day for day in range(1, 9)}
    assert replace(theme("one", []), days=days).growth == 26 / 10
    assert replace(theme("one", []), days={"2026-03-01": 4}).growth is None
    assert replace(theme("one", []), days={"2026-03-01": 0, "2026-03-02": 4}).growth is None
