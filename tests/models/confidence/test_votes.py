"""The nearest training tickets' say in the probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.votes import Votes, fit_votes, vote_shares, with_votes

COLUMNS = np.array([[0, 0, 2], [-1, -1, -1]])
COSINES = np.array([[0.9, 0.8, 0.8], [0.9, 0.9, 0.9]], np.float32)


def test_closer_neighbours_weigh_more_and_those_without_a_leaf_nothing():
    shares = vote_shares(COLUMNS, COSINES, 3, width=0.1)
    near, far = 1.0, np.exp(-1.0)
    assert shares[0] == pytest.approx([(near + far) / (near + 2 * far), 0.0, far / (near + 2 * far)], abs=1e-6)
    assert shares[1].tolist() == [0, 0, 0]


def test_mixed_probabilities_sum_to_one_and_stay_where_nobody_votes():
    plain = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    mixed = with_votes(plain, COLUMNS, COSINES, Votes(share=0.5, width=0.1))
    assert mixed.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert mixed[0].argmax() == 0
    assert mixed[1].tolist() == plain[1].tolist()


def test_a_leaf_that_nobody_could_vote_for_keeps_what_it_has():
    plain = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    silent = np.array([False, True, False])
    mixed = with_votes(plain, COLUMNS, COSINES, Votes(share=0.5, width=0.1), silent=silent)
    assert mixed[:, 1].tolist() == plain[:, 1].tolist()
    assert mixed.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert mixed[0, 0] > 0.25


def test_without_a_share_nothing_changes():
    plain = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    assert with_votes(plain, COLUMNS, COSINES, Votes()) is plain


def opinions(count: int, *, neighbours_right: float, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Probabilities of a model that is right 70 % of the time, and three neighbours that are right together or not."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, count)
    said = np.where(rng.random(count) < 0.7, truth, rng.integers(0, 5, count))
    plain = np.full((count, 5), 0.06)
    plain[np.arange(count), said] = 0.76
    voted = np.where(rng.random(count) < neighbours_right, truth, rng.integers(0, 5, count))
    return (
        plain,
        np.repeat(voted[:, None], 3, axis=1),
        np.full((count, 3), 0.9, np.float32),
        np.eye(5, dtype=bool)[truth],
    )


def test_neighbours_that_know_something_get_a_share_and_make_the_right_leaf_likelier():
    plain, columns, cosines, right = opinions(400, neighbours_right=0.7)
    found = fit_votes(plain, columns, cosines, right)
    assert found.share >= 0.2
    plain, columns, cosines, right = opinions(400, neighbours_right=0.7, seed=1)
    mixed = with_votes(plain, columns, cosines, found)
    assert np.log(mixed[right]).mean() > np.log(plain[right]).mean() + 0.1


def test_tickets_of_a_type_that_nobody_could_vote_for_take_no_share_from_the_neighbours():
    plain, columns, cosines, right = opinions(400, neighbours_right=0.7)
    about_four = right[:, 4]
    columns[columns == 4] = 0  # no training ticket is about it, so its own tickets have neighbours of other types
    plain[about_four] = [0.02, 0.02, 0.02, 0.02, 0.92]
    silent = np.arange(5) == 4
    assert (
        fit_votes(plain, columns, cosines, right, silent=silent).share
        > fit_votes(*(plain, columns, cosines, right)).share
    )


@pytest.mark.parametrize(("count", "skill"), [(400, 0.0), (10, 0.9)])
def test_neighbours_that_know_nothing_or_too_few_tickets_give_no_votes(count: int, skill: float):
    assert fit_votes(*opinions(count, neighbours_right=skill)) == Votes()
