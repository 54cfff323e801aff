"""The mix of contact types then and now: shares that sum to one, follow the times, and leave room for what is new."""

from __future__ import annotations

import numpy as np
import pytest

from models.label_mix import LEAST_TICKETS, WINDOW_DAYS, LabelMix, even_mix, label_mix
from models.tree_index import TreeIndex, index_tree
from tickets.contact_types import ContactType, ContactTypeTree

INDEX: TreeIndex = index_tree(
    ContactTypeTree(
        nodes=(
            *(ContactType(id=name, name=name) for name in ("pay", "send")),
            *(ContactType(id=name, name=name, parent="pay") for name in ("refund", "invoice", "cash")),
            *(ContactType(id=name, name=name, parent="send") for name in ("late", "lost")),
            ContactType(id="old", name="old", parent="send", active=False),
        )
    )
)
PLACE = {name: number for number, name in enumerate(INDEX.ids)}


def mix_of(history: dict[int, dict[str, int]]) -> LabelMix:
    """Day -> contact type -> tickets."""
    days = [day for day, counts in history.items() for name, count in counts.items() for _ in range(count)]
    nodes = [PLACE[name] for counts in history.values() for name, count in counts.items() for _ in range(count)]
    return label_mix(np.array(days), np.array(nodes), INDEX)


def test_shares_of_active_siblings_sum_to_one_at_every_time() -> None:
    mix = mix_of({0: {"refund": 900, "late": 300}, 500: {"invoice": 700, "lost": 800}})
    for shares in (*mix.shares, mix.now):
        for group in np.unique(INDEX.group):
            assert np.exp(shares[(INDEX.group == group) & INDEX.active]).sum() == pytest.approx(1.0, abs=1e-5)


def test_the_mix_now_is_that_of_the_last_weeks() -> None:
    mix = mix_of({0: {"refund": 3000, "late": 1000}, 500: {"refund": 500, "late": 1500}})
    share = np.exp(mix.now)
    assert share[PLACE["send"]] == pytest.approx(0.75, abs=0.01)
    assert np.exp(mix.shares[mix.row[0]])[PLACE["send"]] == pytest.approx(0.25, abs=0.01)
    assert np.exp(mix.shares[mix.row[-1]])[PLACE["send"]] == pytest.approx(0.75, abs=0.01)


def test_a_window_reaches_further_where_tickets_are_few() -> None:
    few = {day * WINDOW_DAYS: {"refund": 100, "late": 100} for day in range(12)}
    assert np.exp(mix_of(few).now)[PLACE["pay"]] == pytest.approx(0.5, abs=0.01)
    few[12 * WINDOW_DAYS] = {"late": 10}  # ten tickets must not make the mix of a thousand
    assert np.exp(mix_of(few).now)[PLACE["pay"]] == pytest.approx(0.5, abs=10 / LEAST_TICKETS)


def test_what_is_rare_now_stays_possible_and_what_is_new_gets_an_average_share() -> None:
    mix = mix_of({0: {"refund": 2000, "invoice": 2000, "late": 100}, 500: {"refund": 2000, "late": 100}})
    share = np.exp(mix.now)
    assert 0.001 < share[PLACE["invoice"]] < 0.02
    assert share[PLACE["cash"]] == pytest.approx(1 / 3, abs=0.01)  # no ticket yet: the mean of its two siblings
    assert share[PLACE["lost"]] == pytest.approx(0.5, abs=0.01)


def test_an_even_mix_knows_nothing() -> None:
    assert np.exp(even_mix(INDEX))[[PLACE["pay"], PLACE["refund"], PLACE["late"]]] == pytest.approx(
        [1 / 2, 1 / 3, 1 / 2]
    )
    assert even_mix(INDEX)[PLACE["old"]] == 0.0
