"""The catalogue's files: what people write by hand is taken as it is meant, or refused with the entry that is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from tickets.catalogue import load_templates, templates_to_text
from tickets.errors import InputError

REFUND = {"template_id": "t-1", "title": "Refund", "body": "It is on its way."}


def written(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "templates.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def test_templates_come_back_as_they_were_written(tmp_path: Path) -> None:
    templates = load_templates(written(tmp_path, {**REFUND, "contact_types": ["Payments::Refund"]}, REFUND))
    assert [template.contact_types for template in templates] == [("Payments::Refund",), ()]
    path = tmp_path / "again.json"
    path.write_text(templates_to_text(templates), encoding="utf-8")
    assert load_templates(path) == templates


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contact_types": "Payments::Refund"}, "contact_types are 'Payments::Refund'"),  # not its letters
        ({"contact_types": [1]}, "contact_types are"),
        ({"contact_types": None}, "contact_types are None"),
        ({"body": None}, "its body is no text"),
        ({"template_id": 7}, "its template_id is no text"),
        ({"bodi": "x"}, "bodi"),
    ],
)
def test_an_entry_that_is_no_template_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=f"entry 2 of templates.json is no reply template: .*{says}"):
        load_templates(written(tmp_path, REFUND, {**REFUND, **change}))


def test_an_entry_that_is_no_object_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"entry 1 of templates\.json"):
        load_templates(written(tmp_path, "Refund"))
