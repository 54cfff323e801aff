"""Retry-After, in both forms that RFC 9110 knows, and in none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from service.retry_after import seconds_to_wait


def test_a_number_of_seconds_and_a_date_are_read() -> None:
    assert seconds_to_wait("120") == 120
    assert seconds_to_wait(" 1.5 ") == 1.5
    soon = datetime.now(UTC) + timedelta(seconds=60)
    assert seconds_to_wait(format_datetime(soon, usegmt=True)) == pytest.approx(60, abs=2)
    assert seconds_to_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "1.2.3", "²", ".", "Wed, 21 Oct 2015 07:28:00 -0000"])
def test_whatever_else_stands_there_says_nothing(header: str | None) -> None:
    assert seconds_to_wait(header) is None
