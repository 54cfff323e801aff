"""Shares of the traffic: each ticket stays where it fell, and the shares are what was asked for."""

from __future__ import annotations

import pytest

from service.arms import Shares

IDS = [f"T-{number}" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_the_shares_are_kept(share: float) -> None:
    shares = Shares(holdout=share, canary=share, shadow=share)
    arms = [shares.arm(one) for one in IDS]
    spread = 4 * (share * (1 - share) / len(IDS)) ** 0.5
    assert arms.count("holdout") / len(IDS) == pytest.approx(share, abs=spread)
    assert arms.count("canary") / (len(IDS) - arms.count("holdout")) == pytest.approx(share, abs=2 * spread)
    assert sum(map(shares.shadowed, IDS)) / len(IDS) == pytest.approx(share, abs=spread)


def test_a_ticket_stays_in_its_arm_when_a_share_grows() -> None:
    small, large = Shares(canary=0.1), Shares(canary=0.2)
    moved = [one for one in IDS if small.arm(one) == "canary" and large.arm(one) != "canary"]
    assert moved == []


def test_by_default_every_ticket_is_the_champions_alone() -> None:
    assert {Shares().arm(one) for one in IDS[:100]} == {"champion"}
    assert not any(Shares().shadowed(one) for one in IDS[:100])


def test_an_id_may_hold_any_character() -> None:
    assert Shares(canary=0.5).arm("\ud800\x00é") in {"champion", "canary"}
