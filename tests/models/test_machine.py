"""What is said of the machine: in the units of each system."""

from __future__ import annotations

import os

import pytest

from models.machine import cores, machine, memory_mb, peak_mb


def test_the_peak_of_memory_is_in_one_unit_on_every_system() -> None:
    assert peak_mb(500_000, "linux") == pytest.approx(512.0)
    assert peak_mb(512_000_000, "darwin") == pytest.approx(512.0)
    assert 0 < peak_mb() < memory_mb()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system ties no process to a core")
def test_a_process_tied_to_one_core_has_one() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:1])
    try:
        assert cores() == 1
        assert ", 1 core, " in machine()
    finally:
        os.sched_setaffinity(0, before)
