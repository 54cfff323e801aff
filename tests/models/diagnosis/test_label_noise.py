"""Label noise: found again where labels were spoilt on purpose, unknown where too little was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.diagnosis.label_noise import disagreement, label_noise, least_error, overruled
from models.diagnosis.same_period import by_cluster_and_customer, hold_out, linked
from models.training.data import TrainingData
from tickets.errors import TrainingDataError
from tickets.tables import FEEDBACK, IMPORTED_OUTCOMES, LABELS, SPLITS, TICKETS, Table
from tickets.workspace import Workspace

Load = Callable[..., TrainingData]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def put(workspace: Workspace, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    filled = [{name: row.get(name) for name in table.schema.names} for row in rows]
    with workspace.aside(table.name) as folder:
        inside = folder / "arrived=2026-03-01" if table.partition else folder
        inside.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(filled, schema=table.schema), inside / "part.parquet")
        workspace.publish(folder, table)


@pytest.mark.parametrize("spoilt", [0.0, 0.05, 0.2])
def test_noise_among_duplicates_is_found_again(load_tiny: Load, spoilt: float) -> None:
    """Texts in threes; each label is dealt anew, among the others, with the chance that is to be found."""
    data, random = load_tiny(), np.random.default_rng(6)
    leaves = data.index.leaves
    rows = np.zeros(6_000, np.int64)
    tickets = data.train.take(rows)
    true = np.repeat(random.integers(0, len(leaves), 2_000), 3)
    moved = (true + random.integers(1, len(leaves), 6_000)) % len(leaves)
    tickets.node[:] = leaves[np.where(random.random(6_000) < spoilt, moved, true)]
    found = disagreement(data.index, tickets, np.repeat(np.arange(2_000), 3))
    assert found.source == "near-duplicates"
    assert found.share == pytest.approx(spoilt, abs=0.012)
    assert found.sample == 2_000
    low, high = np.quantile(found.draws, [0.0, 1.0])
    assert low <= spoilt <= high or spoilt == 0 == high


def test_an_inner_node_agrees_with_what_is_under_it(load_tiny: Load) -> None:
    data = load_tiny()
    tickets = data.train.take(np.zeros(80, np.int64))
    tickets.node[:] = np.tile([data.index.position("payments"), data.index.position("refund")], 40)
    found = disagreement(data.index, tickets, np.repeat(np.arange(40), 2))
    assert found.share == 0


def test_a_form_letter_counts_by_its_copies_not_by_its_pairs(load_tiny: Load) -> None:
    data = load_tiny()
    tickets = data.train.take(np.zeros(160, np.int64))
    one, other = data.index.position("refund"), data.index.position("lost")
    tickets.node[:] = one
    tickets.node[:100] = np.tile([one, other], 50)  # a letter of 100 copies, half of each; 30 pairs that agree
    found = disagreement(
        data.index, tickets, np.concatenate([np.zeros(100, np.int64), 1 + np.repeat(np.arange(30), 2)])
    )
    assert "31.6%" in found.words  # 100 / 160 of the tickets, of which half disagree


def test_too_few_duplicates_leave_it_unknown(tiny_workspace: Workspace, load_tiny: Load) -> None:
    data = load_tiny()
    found = label_noise(tiny_workspace, data)
    assert (found.source, found.share) == ("unknown", None)
    assert "at least 30" in found.words


def test_the_bound_is_exact_for_independent_mistakes() -> None:
    for e, classes in ((0.1, 5), (0.3, 2), (0.05, 100)):
        differ = 2 * e - e * e * classes / (classes - 1)
        assert least_error(np.array([differ]), classes)[0] == pytest.approx(e)


def test_labelers_who_overrule_are_counted_at_random(tiny_workspace: Workspace, load_tiny: Load) -> None:
    """Sixty tickets asked at random, of which six were wrong, and sixty asked because they looked odd, all wrong."""
    data = load_tiny()
    told = [
        {"ticket_id": f"t{n}", "source": "file", "row": n, "created_at": NOW, "contact_type": "Payments::Refund"}
        for n in range(120)
    ]
    answers = [
        {
            "label_id": f"l{n}",
            "ticket_id": f"t{n}",
            "contact_type": "refund" if 6 <= n < 60 else "lost",
            "labeler": "ada",
            "at": NOW,
            "share": "random" if n < 60 else "unsure",
        }
        for n in range(120)
    ]
    put(tiny_workspace, IMPORTED_OUTCOMES, told)
    put(tiny_workspace, LABELS, answers)
    found = overruled(tiny_workspace, data.tree, data.index)
    assert (found.source, found.share, found.sample) == ("labelers", pytest.approx(0.1), 60)
    assert label_noise(tiny_workspace, data).words == found.words
    put(tiny_workspace, LABELS, answers[40:])
    biased = overruled(tiny_workspace, data.tree, data.index)
    assert biased.share == pytest.approx(0.75)
    assert "too high" in biased.words
    gone = [{**answer, "contact_type": "retired long ago"} for answer in answers[:20]]
    put(tiny_workspace, LABELS, [*gone, *answers[20:]])  # forty random ones can still be compared
    fewer = overruled(tiny_workspace, data.tree, data.index)
    assert (fewer.sample, fewer.share) == (100, pytest.approx(0.6))
    put(tiny_workspace, LABELS, answers[:30])
    assert overruled(tiny_workspace, data.tree, data.index).share is None


def test_what_was_said_after_the_labeler_overrules_nobody(tiny_workspace: Workspace, load_tiny: Load) -> None:
    """Sixty agents before the labeler, of whom six were overruled; sixty after, who all said something else."""
    data = load_tiny()
    hour = timedelta(hours=1)
    answers = [
        {
            "label_id": f"l{n}",
            "ticket_id": f"t{n}",
            "contact_type": "refund",
            "labeler": "ada",
            "at": NOW,
            "share": "random",
        }
        for n in range(120)
    ]
    said = [
        {
            "feedback_id": f"f{n}",
            "suggestion_id": f"s{n}",
            "ticket_id": f"t{n}",
            "action": "accept",
            "at": NOW - hour if n < 60 else NOW + hour,
            "contact_type": "refund" if 6 <= n < 60 else "lost",
        }
        for n in range(120)
    ]
    put(tiny_workspace, LABELS, answers)
    put(tiny_workspace, FEEDBACK, said)
    found = overruled(tiny_workspace, data.tree, data.index)
    assert (found.sample, found.share) == (60, pytest.approx(0.1))


def test_customers_and_near_duplicates_are_held_out_together(tiny_workspace: Workspace, load_tiny: Load) -> None:
    data = load_tiny()
    ids = data.train.ticket_ids
    put(
        tiny_workspace,
        SPLITS,
        [
            {"ticket_id": i, "arrived": "2026-03-01", "split": "train", "cluster": ids[n // 2 * 2]}
            for n, i in enumerate(ids)
        ],
    )
    assert len(np.unique(by_cluster_and_customer(tiny_workspace, ids))) == len(ids) // 2  # no customers are known
    customers = [f"customer {(n + 1) // 2 // 2}" if n % 4 in (1, 2) else None for n in range(len(ids))]
    put(
        tiny_workspace,
        TICKETS,
        [
            {
                "ticket_id": ticket_id,
                "created_at": NOW,
                "channel": "web",
                "subject": "",
                "body": "",
                "language": "en",
                "customer_key": key,
                "attributes": json.dumps({}),
            }
            for ticket_id, key in zip(ids, customers, strict=True)
        ],
    )
    groups = by_cluster_and_customer(tiny_workspace, ids)
    assert len(np.unique(groups)) == len(ids) // 4  # two pairs of near-duplicates, linked by a customer
    kept, held = hold_out(data.train, groups, seed=1)
    assert 0 < len(held) <= 0.15 * len(ids)
    assert len(kept) + len(held) == len(ids)
    of = dict(zip(ids, groups.tolist(), strict=True))
    assert not {of[ids[row]] for row in kept} & {of[ids[row]] for row in held}


def test_links_run_through_others() -> None:
    found = linked(np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8]))
    assert found[0] == found[1] == found[2]
    assert len(set(found.tolist())) == 3


def test_a_history_that_is_one_letter_cannot_be_divided(load_tiny: Load) -> None:
    data = load_tiny()
    with pytest.raises(TrainingDataError, match="can be held out"):
        hold_out(data.train, np.zeros(len(data.train), np.int64), seed=1)
