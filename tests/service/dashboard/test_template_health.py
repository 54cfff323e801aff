"""Which templates are never used, always edited or nearly the same, on made figures."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.templates import TemplateMatrix
from service.dashboard.filters import DashboardAddress
from service.dashboard.template_health import health, near_duplicates
from service.pages import environment
from tickets.records import ReplyTemplate
from tickets.traffic import TemplateUse

REFUND = "Hello {{name}}, we have refunded {{amount}} to your card. It arrives in five working days."


def template(name: str, body: str = "", **more: object) -> ReplyTemplate:
    return ReplyTemplate(template_id=name, title=name.upper(), body=body or f"{name} text", **more)  # type: ignore[arg-type]


def used(name: str, sent: int, *, measured: int = 0, edited: int = 0) -> TemplateUse:
    return TemplateUse(name, sent, measured, edited, 0.1 if measured else None)


def findings(*use: TemplateUse, templates: tuple[ReplyTemplate, ...]) -> dict[str, tuple[str, ...]]:
    return {one.template.template_id: one.findings for one in health(templates, use, {}).all}


def test_a_template_is_unused_only_where_enough_replies_were_sent() -> None:
    both = (template("a"), template("b"))
    assert findings(used("a", 29), templates=both) == {"a": (), "b": ()}
    assert findings(used("a", 30), templates=both) == {"b": ("never used",), "a": ()}


def test_always_edited_is_nine_times_in_ten_of_enough_sends() -> None:
    several = tuple(template(name) for name in "abcd")
    seen = findings(
        used("a", 20, measured=10, edited=9),
        used("b", 20, measured=10, edited=8),
        used("c", 20, measured=4, edited=4),
        used("d", 20),
        templates=several,
    )
    assert seen == {"a": ("always edited",), "b": (), "c": (), "d": ()}


def test_inactive_templates_and_other_languages_are_left_out() -> None:
    several = (template("a"), template("b", active=False), template("c", language="de"))
    assert [one.template.template_id for one in health(several, [], {}, language="de").all] == ["c"]
    assert {one.template.template_id for one in health(several, [], {}).all} == {"a", "c"}
    assert health((), [used("gone", 3)], {}).all == []


@pytest.mark.parametrize(("address", "of_a_language"), [({"days": "7"}, False), ({"language": "de"}, True)])
def test_only_where_a_language_is_asked_for_templates_are_said_to_be_missing_in_it(
    address: dict[str, Any], of_a_language: bool
) -> None:
    parts: Any = environment().get_template("dashboard_parts.html").make_module({})
    said = str(parts.templates(health((), [], {}), DashboardAddress(**address)))
    assert ("no reply templates in this language" in said) is of_a_language
    assert "There are no reply templates" in said


def matrix(*templates: ReplyTemplate, vectors: list[list[float]]) -> TemplateMatrix:
    rows = np.array(vectors, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return TemplateMatrix(templates, rows, np.ones((len(templates), 1), np.float32), np.ones(1, np.float32))


def test_near_duplicates_stand_near_and_say_the_same_words_in_the_same_language() -> None:
    one, same = template("one", REFUND), template("same", REFUND.replace("five", "ten"))
    templates = (
        one,
        same,
        template("topic", "Refunds take a while; please read our policy on returned rides first."),
        template("german", REFUND, language="de"),
        template("off", REFUND, active=False),
        template("far", REFUND),
    )
    near = [[1, 0.01], [1, 0.02], [1, 0.03], [1, 0.0], [1, 0.0], [0, 1]]
    release = matrix(*templates, vectors=near)
    found = near_duplicates(release)
    assert near_duplicates(release) is found  # remembered as long as the release is served
    assert found == {"one": ["same"], "same": ["one"]}
    seen = health(templates, [], found)
    assert [(each.template.template_id, each.findings) for each in seen.ailing] == [
        ("one", ("nearly the same as same",)),
        ("same", ("nearly the same as one",)),
    ]


def test_placeholders_that_are_never_closed_take_no_longer_than_other_texts() -> None:
    odd = [template(name, "{{" * 50_000 + name) for name in ("a", "b")]
    started = time.process_time()
    near_duplicates(matrix(*odd, vectors=[[1, 0], [1, 0]]))
    assert time.process_time() - started < 2


def test_templates_without_words_and_a_release_without_templates_are_no_duplicates() -> None:
    empty = template("a", "{{name}}")
    assert near_duplicates(matrix(empty, replace(empty, template_id="b"), vectors=[[1, 0], [1, 0]])) == {}
    none = TemplateMatrix((), np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32), np.ones(1, np.float32))
    assert near_duplicates(none) == {}
