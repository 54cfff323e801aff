"""How good the model is: what counts as right, intervals, and the estimate without labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from models.release import Release
from monitoring.night import run_night
from monitoring.performance import (
    Judged,
    accepted,
    as_of_today,
    audited_hits,
    editing,
    feedback_figures,
    label_figures,
    overridden_when_sure,
    proportion,
)
from monitoring.policy import Limits, Policy
from monitoring.windows import match_weekdays, read_reference, sample
from tests.monitoring.conftest import TREE
from tickets.catalogue import write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import feedback
from tickets.errors import ReleaseError

AT = datetime(2026, 3, 9, tzinfo=UTC)
TODAY = ContactTypeTree(
    nodes=tuple(ContactType(id=name, name=name) for name in ("a", "b", "new", "left", "right")),
    mapping={"old": ("new",), "older": ("new",), "whole": ("left", "right"), "gone": ()},
)


def judged(action: str, contact_type: str | None, *suggested: str) -> Judged:
    return Judged(
        ticket_id="t", at=AT, model_version="v", action=action, contact_type=contact_type, suggested=suggested
    )


def test_figures_from_feedback() -> None:
    figures = feedback_figures(
        [
            judged("accepted", None, "a", "b", "c"),
            judged("accepted", "b", "a", "b", "c"),
            judged("corrected", "c", "a", "b", "c"),
            judged("corrected", "z", "a", "b", "c"),
            judged("ignored", None, "a", "b", "c"),
        ]
    )
    shares = {name: figure.share for name, figure in figures.items() if figure}
    assert shares == {"acceptance": 0.5, "accuracy_feedback": 0.25, "hits_at_3": 0.75}


def test_only_the_random_share_of_labels_measures_accuracy() -> None:
    figures = label_figures([judged("random", "a", "a"), judged("unsure", "b", "a"), judged("diverse", "b", "a")])
    assert figures["accuracy_labels"] is not None
    assert figures["accuracy_labels"].share == 1.0
    assert figures["accuracy_labels"].tickets == 1


def test_only_sure_suggestions_that_an_agent_acted_on_count_as_overridden_or_not() -> None:
    sure = [
        replace(judged(action, None, "a"), band="high") for action in ("accepted", "corrected", "ignored", "unaided")
    ]
    doubtful = replace(judged("corrected", "b", "a"), band="low")
    assert overridden_when_sure([*sure, doubtful]) == [False, True]


def test_what_agents_changed_counts_where_a_template_was_sent() -> None:
    sent = [replace(judged("accepted", "a", "a"), edit_distance=share) for share in (0.0, None, 0.4)]
    assert editing(sent) == [0.0, 0.4]


def test_hits_of_the_audit_are_of_random_labels_only() -> None:
    asked = [
        judged("random", "c", "a", "b", "c"),
        judged("random", "d", "a", "b", "c", "d"),
        judged("unsure", "d", "a"),
    ]
    assert audited_hits(asked) == [True, False]


@pytest.mark.parametrize(
    ("label", "suggested", "hit"),
    [
        ("new", ["old"], True),  # renamed since the model learned
        ("old", ["new"], True),  # labelled before the change, suggested after it
        ("new", ["a", "older"], False),  # merged: the second of two
        ("a", ["old"], False),
        ("b", ["gone"], False),  # a name that nothing replaced is no other
        ("left", ["a"], False),
        ("left", ["whole"], None),  # split: nothing tells which part was meant
        ("left", ["left", "whole"], True),
        ("left", ["whole", "left"], None),
        ("b", ["whole"], False),
        ("whole", ["whole"], None),
        ("gone", ["gone"], None),
    ],
)
def test_suggestions_and_labels_are_compared_by_their_names_of_today(
    label: str, suggested: list[str], hit: bool | None
) -> None:
    accuracy = label_figures([as_of_today(judged("random", label, *suggested), TODAY)])["accuracy_labels"]
    assert (None if accuracy is None else accuracy.share == 1) is hit


def test_an_agent_who_gives_a_suggestion_its_name_of_today_accepts_it() -> None:
    given = [("accepted", None, "old"), ("corrected", "new", "old"), ("corrected", "a", "old"), ("corrected", "a", "a")]
    read = [as_of_today(judged(*one), TODAY) for one in given]
    assert [item.action for item in read] == ["accepted", "accepted", "corrected", "corrected"]
    split = as_of_today(judged("corrected", "left", "whole"), TODAY)  # which nobody can tell
    figures = feedback_figures([*read, split])
    assert figures["accuracy_feedback"] is not None
    assert (figures["accuracy_feedback"].share, figures["accuracy_feedback"].tickets) == (0.75, 4)
    assert figures["acceptance"] is not None
    assert figures["acceptance"].tickets == 4
    assert accepted(read) == [True, True, False, False]
    assert overridden_when_sure([replace(item, band="high") for item in (*read, split)]) == [False, False, True, True]


def test_agents_who_use_the_new_name_of_a_renamed_type_correct_nothing(world: Any) -> None:
    nodes = tuple(node for node in TREE.nodes if node.id != "refund")
    new = ContactType(id="money back", name="Money back")
    write_tree(world.workspace, ContactTypeTree(nodes=(*nodes, new), mapping={"refund": (new.id,)}))
    world.arrive(800, day=date(2026, 3, 2), days=14, seed=1, accepted=1.0)
    renamed = sa.update(feedback).where(feedback.c.contact_type == "refund")
    with world.engine.begin() as connection:
        changed = connection.execute(renamed.values(action="corrected", contact_type=new.id))
        assert changed.rowcount > 50
    policy = Policy(permutations=199, label_budget=20, evidently=False, limits=Limits(replays=0))
    night = run_night(world.workspace, world.engine, as_of=date(2026, 3, 15), policy=policy, suggester=world.reader)
    assert night.run.status == "quiet"
    assert night.run.summary["acceptance"] == night.run.summary["accuracy_feedback"] == 1.0


def test_nothing_judged_gives_no_figure() -> None:
    assert set(feedback_figures([]).values()) == {None}


def test_the_interval_of_a_share_is_wilsons() -> None:
    estimate = proportion([True] * 8 + [False] * 2)
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((0.490, 0.943), abs=0.001)


def test_the_reference_is_matched_to_the_weekdays_of_the_window(release: Release) -> None:
    reference = read_reference(release)
    weekend = reference.take(np.flatnonzero([time.weekday() >= 5 for time in reference.created_at]))
    matched, could = match_weekdays(reference, weekend, seed=0)
    assert not could  # two days in seven leave too few of 800 tickets
    assert matched is reference
    workdays = reference.take(np.flatnonzero([time.weekday() < 5 for time in reference.created_at]))
    matched, could = match_weekdays(reference, workdays, seed=0)
    assert could
    assert {time.weekday() for time in matched.created_at} == set(range(5))


def test_a_sample_is_the_same_for_the_same_seed(release: Release) -> None:
    reference = read_reference(release)
    assert sample(reference, 30, seed=3).ticket_ids == sample(reference, 30, seed=3).ticket_ids
    assert len(sample(reference, 30, seed=3)) == 30


def test_embeddings_are_read_as_they_were_written(release: Release) -> None:
    written = pq.read_table(release.path("reference.parquet"))["embedding"].to_pylist()
    embeddings = read_reference(release).embeddings
    assert embeddings.dtype == np.float32
    assert np.array_equal(embeddings, np.array(written, np.float32))


@pytest.mark.parametrize("odd", [[1.0], None, "no list"], ids=["shorter", "missing", "of another kind"])
def test_a_reference_without_equal_embeddings_is_a_release_error(release: Release, odd: object) -> None:
    table = pq.read_table(release.path("reference.parquet"))
    rows = table["embedding"].to_pylist()
    column = pa.array([odd] * len(rows) if isinstance(odd, str) else [odd, *rows[1:]])
    release.path("reference.parquet").unlink()
    pq.write_table(
        table.set_column(table.schema.get_field_index("embedding"), "embedding", column),
        release.path("reference.parquet"),
    )
    with pytest.raises(ReleaseError, match=r"reference\.parquet"):
        read_reference(release)


def test_an_empty_reference_is_an_empty_window(release: Release) -> None:
    table = pq.read_table(release.path("reference.parquet")).slice(0, 0)
    release.path("reference.parquet").unlink()
    pq.write_table(table, release.path("reference.parquet"))
    window = read_reference(release)
    assert len(window) == len(window.embeddings) == 0


def test_a_damaged_reference_is_a_release_error(release: Release) -> None:
    release.path("reference.parquet").unlink()
    release.path("reference.parquet").write_bytes(b"not parquet")
    with pytest.raises(ReleaseError, match=r"reference\.parquet"):
        read_reference(release)
