"""Masking, measured on a table of hand-made cases: recall and precision of each type, in seven languages.

`pii_cases.jsonl` holds a text a line, in which `[TYPE|what]` marks what must be masked; lines without a mark must stay
as they are. Cases that the rules miss stay in the table. `written` says whether a case was there before the rules; run
`pytest -s` on this file to see the figures.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.text.clean import clean_body
from pipeline.text.redact import MASKS, mask

CASES = [json.loads(line) for line in (Path(__file__).parent / "pii_cases.jsonl").read_text("utf-8").splitlines()]
MARK = re.compile(r"\[([A-Z]+)\|((?:\[at\]|[^\]])*)\]")
MASK = re.compile("|".join(map(re.escape, MASKS)))
FLOORS = {  # type: (recall, precision), a little below what is reached
    **dict.fromkeys(("EMAIL", "CARD", "IBAN", "URL", "IP", "ID", "SECRET", "DATE"), (0.97, 0.97)),
    **{"PHONE": (0.95, 0.97), "TICKET": (0.95, 0.95), "ORDER": (0.93, 0.95)},
    **{"NAME": (0.92, 0.95), "ADDRESS": (0.93, 0.93)},
}


class Found(NamedTuple):
    """A type, and where it starts and ends in the text."""

    kind: str
    start: int
    end: int


def test_recall_and_precision_of_each_type_hold(record_property: pytest.RecordProperty) -> None:
    right, wanted, masked = _count(CASES)

    figures = {kind: (right[kind] / wanted[kind], right[kind] / masked[kind]) for kind in wanted}
    print(f"\n{'type':9}cases  recall  precision")  # noqa: T201  # the figures are read with pytest -s
    for kind, (recall, precision) in sorted(figures.items()):
        print(f"{kind:9}{wanted[kind]:5}  {recall:6.3f}  {precision:9.3f}")  # noqa: T201
        record_property(f"{kind} recall, precision", (wanted[kind], round(recall, 3), round(precision, 3)))
    assert sum(wanted.values()) >= 200
    assert set(figures) == set(FLOORS)
    assert {kind: figure for kind, figure in figures.items() if figure[0] < FLOORS[kind][0]} == {}
    assert {kind: figure for kind, figure in figures.items() if figure[1] < FLOORS[kind][1]} == {}


def test_nearly_all_that_is_no_personal_data_stays() -> None:
    innocent = [case["text"] for case in CASES if not MARK.search(case["text"])]

    changed = [text for text in innocent if mask(text) != text]

    assert len(innocent) >= 100
    assert len(changed) <= 2, changed


@pytest.mark.parametrize("clean", [mask, clean_body])
def test_masking_twice_is_masking_once(clean) -> None:  # type: ignore[no-untyped-def]
    for case in CASES:
        text, _ = _read(case["text"])
        assert clean(clean(text)) == clean(text)


def test_the_table_covers_seven_languages_and_every_mask() -> None:
    languages = Counter(case["language"] for case in CASES if MARK.search(case["text"]))
    kinds = {f"<{mark.kind}>" for case in CASES for mark in _read(case["text"])[1]}

    assert all(languages[language] >= 10 for language in ("en", "de", "fr", "es", "it", "pt", "nl"))
    assert kinds == set(MASKS) - {"<REDACTED>"}
    assert len(CASES) == len({case["text"] for case in CASES})


def _count(cases: Iterable[dict[str, str]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By type: masked exactly as marked, marked, masked. A mask that covers too much or too little is wrong twice."""
    right, wanted, masked = Counter[str](), Counter[str](), Counter[str]()
    for case in cases:
        text, marks = _read(case["text"])
        found = _spans(text, mask(text))
        right.update(span.kind for span in found if span in marks)
        wanted.update(span.kind for span in marks)
        masked.update(span.kind for span in found)
    return right, wanted, masked


def _read(marked: str) -> tuple[str, list[Found]]:
    """The text without its marks, and what they marked."""
    text, marks, position = "", [], 0
    for mark in MARK.finditer(marked):
        text += marked[position : mark.start()]
        marks.append(Found(mark.group(1), len(text), len(text) + len(mark.group(2))))
        text += mark.group(2)
        position = mark.end()
    return text + marked[position:], marks


def _spans(text: str, masked: str) -> list[Found]:
    """What the masks of `masked` hide in `text`: what stands between them is the same in both."""
    pattern, kinds, position = "", [], 0
    for found in MASK.finditer(masked):
        pattern += re.escape(masked[position : found.start()]) + "(.+?)"
        kinds.append(found.group()[1:-1])
        position = found.end()
    match = re.fullmatch(pattern + re.escape(masked[position:]), text, re.DOTALL)
    assert match, (text, masked)
    spans = [Found(kind, *match.span(number)) for number, kind in enumerate(kinds, start=1)]
    return [span for span in spans if text[span.start : span.end] != f"<{span.kind}>"]
