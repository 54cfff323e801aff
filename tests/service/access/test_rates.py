"""Counting by name: what a flood of names costs, and who counts as one sender."""

from __future__ import annotations

import time

import pytest

from service.access import address_of
from service.access.rates import Rates


def test_a_flood_of_names_costs_each_newcomer_the_same() -> None:
    rates = Rates(1, clock=lambda: 100.0)
    for number in range(50_000):
        rates.count(str(number))
    began = time.perf_counter()
    for number in range(50_000, 55_000):
        assert rates.count(str(number))
    assert time.perf_counter() - began < 1, "a table built anew for each took half a minute"
    assert not rates.is_over("4999"), "the oldest is forgotten"
    assert rates.is_over("5000")


def test_a_window_that_begins_anew_is_not_the_oldest_any_more() -> None:
    now = [100.0]
    rates = Rates(1, clock=lambda: now[0])
    rates.count("first")
    rates.count("second")
    now[0] += 61
    rates.count("first")
    for number in range(49_999):
        rates.count(str(number))
    assert rates.is_over("first")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("what: ever", "what: ever"),
    ],
)
def test_ipv6_addresses_count_by_their_network(address: str, counted: str) -> None:
    assert address_of({"type": "http", "client": (address, 1)}) == counted


def test_a_request_from_nowhere_has_no_address() -> None:
    assert address_of({"type": "http", "client": None}) == "unknown"
