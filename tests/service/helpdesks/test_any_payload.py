"""Whatever stands in a payload, reading it ends with what it tells or with the reason why it cannot be read."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.helpdesks.kinds import KINDS
from service.helpdesks.options import HelpdeskOptions
from service.helpdesks.payloads import Unreadable
from service.schemas import MAX_TEXT

PAYLOADS = sorted(Path(__file__).with_name("payloads").glob("*.json"))
NOW = datetime(2026, 3, 2, 9, 31, tzinfo=UTC)
OPTIONS = HelpdeskOptions(
    webhook_secret=SecretStr("s"),
    contact_type_field="contact_reason",
    attributes={"priority": "detail.priority", "group": "ticket.group.name", "odd": "ticket.state.name.more"},
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every object's field, from the outside in."""
    if not isinstance(value, dict):
        return [at] if at else []
    inner = [place for name, held in value.items() for place in places(held, (*at, name))]
    return [*([at] if at else []), *inner]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_reading_never_breaks(path: Path, data: st.DataObject) -> None:
    payload = json.loads(path.read_text(encoding="utf-8"))
    for place in data.draw(st.lists(st.sampled_from(places(payload)), min_size=1, max_size=4)):
        inner = payload
        for step in place[:-1]:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[place[-1]] = copy.deepcopy(data.draw(ANYTHING))
    kind = KINDS[path.stem.split("_")[0]]
    assert isinstance(kind.delivery_id(payload, {}), str)
    try:
        told = kind.read(payload, OPTIONS, NOW)
    except Unreadable as reason:
        assert str(reason)
        return
    if told.arrived is not None:
        assert told.arrived.ticket_id
        assert 0 < len(told.arrived.body) <= MAX_TEXT
        assert told.arrived.created_at.tzinfo is not None
        assert all(isinstance(value, str | float | bool) for value in told.arrived.attributes.values())
    assert told.arrived or told.judged or told.otherwise
