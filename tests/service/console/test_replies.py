"""Replies from templates, how much of one was changed, and text from strangers on a page."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.console.edit_distance import edit_distance
from service.console.replies import fill
from service.pages.shown_text import is_html, marked, safe_html, shown_text
from tickets.records import AttributeValue, ReplyTemplate, Ticket


def ticket(**attributes: AttributeValue) -> Ticket:
    return Ticket(ticket_id="T-7", created_at=datetime(2026, 3, 1, tzinfo=UTC), body="x", attributes=attributes)


def filled(body: str, agent: str | None = None, **attributes: AttributeValue) -> tuple[str, tuple[str, ...]]:
    reply = fill(ReplyTemplate(template_id="t", title="T", body=body), ticket(**attributes), agent=agent)
    return reply.text, reply.missing


def test_placeholders_take_what_the_ticket_and_the_agent_are_known_by() -> None:
    body = "Hi {{customer_name}}, {{ticket.id}}: {{ amount }} for {{City}} ({{vip}}). {{agent_name}}"
    text, missing = filled(body, "Ana", customer_name="Maria", amount=12.5, city="Porto", vip=False)
    assert text == "Hi Maria, T-7: 12.5 for Porto (no). Ana"
    assert missing == ()


def test_other_names_for_the_same_thing_are_understood() -> None:
    assert filled("{{ticket.requester.first_name}} {{current_user.name}}", "Ana", name="Jo")[0] == "Jo Ana"


def test_what_is_not_known_stays_and_is_told_once() -> None:
    assert filled("{{link}} {{name}} {{link}}", city="Porto", name=None) == (
        "{{link}} {{name}} {{link}}",
        ("{{link}}", "{{name}}"),
    )


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert filled("{{a}}", a="{{agent_name}}", b="x")[0] == "{{agent_name}}"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("body", ["{{" + " " * 200_000, "{{ " * 50_000, "{{" + "a " * 100_000 + "}}"])
def test_a_text_of_any_shape_is_read_in_linear_time(body: str) -> None:
    assert filled(body) == (body, ())


def test_an_html_template_becomes_text() -> None:
    assert filled("<p>Hello {{name}}</p><p>Bye &amp; thanks</p>", name="Jo")[0] == "Hello Jo\n\nBye & thanks"


def plain_levenshtein(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for letter in one:
        above, row = row, [row[0] + 1]
        for place, beside in enumerate(other):
            row.append(min(above[place] + (letter != beside), above[place + 1] + 1, row[place] + 1))
    return row[-1]


WRITTEN = st.text(alphabet="abc xyzäß", max_size=30).map(lambda text: " ".join(text.split()))


@given(WRITTEN.filter(bool), WRITTEN)
def test_without_open_places_it_is_levenshteins_distance_over_the_templates_length(one: str, other: str) -> None:
    assert edit_distance(one, other) == round(min(1.0, plain_levenshtein(one, other) / len(one)), 4)


@given(WRITTEN, WRITTEN.filter(bool), WRITTEN)
def test_filling_an_open_place_changes_nothing(before: str, put_in: str, after: str) -> None:
    template = f"{before} {{{{name}}}} {after}"
    assert edit_distance(template, f"{before} {put_in} {after}") == 0
    assert edit_distance(template, template) == 0


def test_what_is_added_past_the_sentence_counts() -> None:
    template = "We refund {{amount}}."
    assert edit_distance(template, "We refund 12.50 EUR.") == 0
    assert edit_distance(template, "We refund 12.50 EUR. Sorry for that!") == 1.0
    assert edit_distance("Hello {{name}}\nBye", "Hello Jo\nmore\nBye") == 0.3  # `Jo` and a line, of ten
    assert edit_distance("anything", "") == 1.0
    assert edit_distance("a\r\nb ", "a\nb") == 0


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=6), max_size=5))
def test_marking_words_never_changes_the_text_and_lets_no_tag_in(text: str, words: list[str]) -> None:
    class Reader(HTMLParser):
        tags: set[str]
        text: str

    reader = Reader(convert_charrefs=True)
    reader.tags, reader.text = set(), ""
    reader.handle_starttag = lambda tag, attributes: reader.tags.add(tag)  # type: ignore[method-assign]
    reader.handle_data = lambda data: setattr(reader, "text", reader.text + data)  # type: ignore[method-assign]
    reader.feed(str(marked(text, words)))
    reader.close()
    assert reader.tags <= {"mark"}
    assert reader.text == text


def test_whole_words_are_marked_whatever_their_case() -> None:
    assert marked("Card & cards, CARD<b>", ["card", "b"]) == (
        '<mark class="strong">Card</mark> &amp; cards, <mark class="strong">CARD</mark>&lt;'
        '<mark class="strong">b</mark>&gt;'
    )
    assert marked("GEBÜHR", ["x", "y", "z", "gebühr"]) == "<mark>GEBÜHR</mark>"
    assert marked("a & b", []) == "a &amp; b"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p onclick=x()>Hi</p><script>x()</script>", "<p>Hi</p>"),
        ('<a href="javascript:x()">here</a>', '<a rel="noopener noreferrer nofollow">here</a>'),
        ('<img src=x onerror=alert(1)><b style="color:red">Hi</b>', "<b>Hi</b>"),
        ("<form action=/person><input name=a></form><p>x</p>", "<p>x</p>"),
    ],
)
def test_only_harmless_html_is_shown(html: str, shown: str) -> None:
    assert safe_html(html) == shown


def test_text_that_is_no_html_is_shown_as_text() -> None:
    assert not is_html("write to <EMAIL> if 1 < 2 & 3 > 2")
    assert shown_text("write to <EMAIL> & wait") == "write to &lt;EMAIL&gt; &amp; wait"
