"""The folder of the benches, where they find each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(autouse=True)
def bench_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind all else: its pipeline.py must not hide the package of that name."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCH)])
