"""How deep JSON is nested, told from its bytes in whatever pieces they come, as a parser would tell."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from service.access.bodies import Nesting

LIMIT = 6

texts = st.text(st.sampled_from('a"\\[]{}:,é\n/u0'), max_size=8)
documents = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def fed(nesting: Nesting, body: bytes, cuts: list[int]) -> bool:
    """All pieces within the limit; the body is cut at these places."""
    places = sorted(min(cut, len(body)) for cut in cuts)
    pieces = [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]
    return all(nesting.feed(piece) for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(value=documents, cuts=st.lists(st.integers(0, 200), max_size=6), ascii_only=st.booleans())
def test_the_depth_of_any_document_is_found_however_it_is_cut(value: Any, cuts: list[int], ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert fed(Nesting(LIMIT), body, cuts) == (depth(value) <= LIMIT)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(documents, max_size=5), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_lines_of_json_count_each_for_itself(values: list[Any], cuts: list[int]) -> None:
    body = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    assert fed(Nesting(LIMIT), body, cuts) == (max(map(depth, values), default=0) <= LIMIT)


def test_nothing_that_can_be_sent_takes_long() -> None:
    million = 1_000_000
    for body in (
        b'"' * million,
        b'\\"' * (million // 2),
        b"[]" * (million // 2),
        b'"\\' * (million // 2),
        b"]" * million,
    ):
        started = time.process_time()
        Nesting(32).feed(body)
        assert time.process_time() - started < 1.0
