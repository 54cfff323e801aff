"""Exports of Label Studio: every annotation is read; a result in another form than the usual says nothing."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tickets.label_studio import read_annotations


def export(**annotation: object) -> str:
    return json.dumps([{"data": {"item_id": "i1"}, "annotations": [{"id": 7, "completed_by": 3, **annotation}]}])


def chosen(**value: object) -> list[dict[str, object]]:
    return [{"from_name": "contact_type", "value": value}]


@pytest.mark.parametrize(
    ("result", "paths"),
    [
        (chosen(taxonomy=[["Payments", "Refund"]]), (("Payments", "Refund"),)),
        (chosen(choices=["Refund"]), (("Refund",),)),
        (chosen(choices="Refund"), ()),  # not six choices of one letter
        (chosen(taxonomy=1), ()),
        ({"value": {}}, ()),
        (None, ()),
    ],
)
def test_a_choice_is_read_from_lists_alone(result: object, paths: tuple[tuple[str, ...], ...]) -> None:
    (annotation,) = read_annotations(export(result=result))
    assert annotation.paths == paths


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-03-03T10:00:00+01:00", datetime(2026, 3, 3, 9, tzinfo=UTC)),
        ("2026-03-03T09:00:00.5Z", datetime(2026, 3, 3, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-03T09:00:00", datetime(2026, 3, 3, 9, tzinfo=UTC)),
        ("0001-01-01T00:00:00+05:00", None),  # there is no such time in UTC
        ("9999-12-31T23:59:59-05:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_time_is_in_utc_or_not_known(written: str | None, at: datetime | None) -> None:
    (annotation,) = read_annotations(export(created_at=written))
    assert (annotation.at, annotation.at and annotation.at.utcoffset()) == (at, at and timedelta(0))
    assert len(annotation.label_id) == 32


def test_a_label_keeps_its_id() -> None:
    (annotation,) = read_annotations(export(created_at="2026-03-03T10:00:00+01:00"))
    assert annotation.label_id == "7205ff484e345121a8877b4af908212d"


def test_a_task_whose_annotations_are_no_list_has_none() -> None:
    assert read_annotations(json.dumps([{"data": {}, "annotations": 5}, {"data": {}, "annotations": "none"}])) == []
