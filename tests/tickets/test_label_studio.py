"""Exports of Label Studio: every annotation is read; a result in another form than the usual says nothing."""

import json

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


def test_a_task_whose_annotations_are_no_list_has_none() -> None:
    assert read_annotations(json.dumps([{"data": {}, "annotations": 5}, {"data": {}, "annotations": "none"}])) == []
