"""Cleaning one ticket: what is cut, what stays, and that cleaning twice is cleaning once, for any input, in linear
time."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clean import KEEP_AT_MOST, Refused, clean_body, clean_subject, clean_ticket
from pipeline.features import model_text, text_statistics
from tickets.records import Ticket

BODIES = {
    "html": (
        "<div>Hello,<br>my <b>order</b> is late</div><p>Please help</p>",
        "Hello,\nmy order is late\n\nPlease help",
    ),
    "style": ("<head><style>p {color: red}</style></head><p>Where is it?</p>", "Where is it?"),
    "comment": ("<p>one<!-- <p>two</p> --></p>", "one"),
    "blockquote": ("<p>It broke.</p><blockquote>Dear customer, ...</blockquote>", "It broke."),
    "only a blockquote": ("<blockquote>It broke.</blockquote>", "It broke."),
    "entities": ("AT&amp;T &lt;3 fish &amp;amp; chips", "AT&T <3 fish & chips"),
    "no markup": ("if a < b and c > d then <EMAIL>", "if a < b and c > d then <EMAIL>"),
    "reply": (
        "Still broken.\n\nOn Tue, 3 Mar 2026 at 10:00, Help <h@x.org> wrote:\n> Try again\n> Bye",
        "Still broken.",
    ),
    "wrapped reply": (
        "Still broken.\nOn Tue, 3 Mar 2026 at 10:00, Help Desk\n<h@x.org> wrote:\nTry again",
        "Still broken.",
    ),
    "german reply": ("Geht nicht.\nAm 03.03.2026 um 10:00 schrieb Hilfe:\n> Hallo", "Geht nicht."),
    "outlook": ("No.\nFrom: Help\nSent: Monday\nTo: Me\nSubject: Parcel\nTry again", "No."),
    "original message": ("No.\n-----Original Message-----\nFrom: Help\nTry again", "No."),
    "answer below": ("On 3 Mar 2026 Help wrote:\n> Did it come?\n\nNo, it did not.", "No, it did not."),
    "forwarded": (
        "---------- Forwarded message ---------\nFrom: Shop\nSubject: Hi\nYour parcel is lost.",
        "Your parcel is lost.",
    ),
    "a story": ("On Monday the driver wrote:\nnobody home", "On Monday the driver wrote:\nnobody home"),
    "signature": ("Please call.\n\nBest regards,\nJane Doe\nHead of Fun\n+1 415 555 2671", "Please call."),
    "delimiter": ("Please call.\n-- \nJane", "Please call."),
    "phone's line": ("Please call.\n\nSent from my iPhone", "Please call."),
    "only thanks": ("Thanks", "Thanks"),
    "publisher's redaction": ("On XX/XX/2019 XXXX XXXX took {$1200.00}.", "On <DATE> <REDACTED> took $1200.00."),
    "spaces": ("a \t b\r\n\r\n\r\n\r\nc\u200b\x00 ", "a b\n\nc"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_keeps_the_customers_own_words(case: str) -> None:
    written, expected = BODIES[case]

    assert clean_body(written) == expected


def test_a_subject_is_one_line_without_reply_prefixes() -> None:
    assert clean_subject("Re: FW: AW: Late\n parcel for a@b.org ") == "Late parcel for <EMAIL>"


@pytest.mark.parametrize("body", ["", "  \n\t", "<p></p>", "\u200b", "<!-- nothing -->"])
def test_a_ticket_without_words_is_refused(body: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_ticket(ticket(body), ["en"])

    assert refused.value.reason == "empty body"


def test_times_attributes_and_language_are_put_in_order() -> None:
    at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    written = Ticket(
        ticket_id=" 7 ",
        created_at=at,
        body="Wo ist mein Paket? Ich warte schon seit drei Wochen darauf.",
        attributes={"amount": 3, "nan": float("nan"), "city": "  Bonn ", "none": "", "vip": True},
    )

    cleaned = clean_ticket(written, ["en", "de"])

    assert (cleaned.ticket_id, cleaned.created_at, cleaned.language) == (
        "7",
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        "de",
    )
    assert dict(cleaned.attributes) == {"amount": 3.0, "nan": None, "city": "Bonn", "none": None, "vip": True}


def test_a_text_too_short_to_tell_has_an_undetermined_language() -> None:
    assert clean_ticket(ticket("ok"), ["en", "de"]).language == "und"


def test_text_statistics_count_what_was_written() -> None:
    counted = text_statistics("WHERE is it??\nMail <EMAIL>!")

    assert counted == {
        **{"words": 5.0, "characters": 27.0, "lines": 2.0, "question_marks": 2.0, "exclamation_marks": 1.0},
        **{"masked": 1.0, "capitals": pytest.approx(6 / 13)},
    }
    assert text_statistics("")["words"] == 0.0


def test_the_model_reads_subject_and_body() -> None:
    assert model_text(ticket("body")) == "body"
    assert model_text(Ticket(ticket_id="1", created_at=datetime.now(UTC), subject="s", body="b")) == "s\nb"


PIECES = st.sampled_from(
    [
        *(
            "<div>",
            "</div>",
            "<br>",
            "<style>",
            "<blockquote>",
            "<!--",
            "-->",
            "&lt;",
            "&amp;",
            "&#38;",
            "&amp;lt;b>",
            "<",
            ">",
        ),
        *(
            "On 1 Mar 2026 x wrote:",
            "> quoted",
            "-- ",
            "Best regards,",
            "Thanks",
            "Sent from my iPhone",
            "From: a",
            "To: b",
        ),
        *(
            "Sent: c",
            "Hi John,",
            "my name is Ann Lee",
            "XXXX ",
            "XX/XX/2019",
            "{$3.00}",
            "a@b.org",
            "4111 1111 1111 1111",
            "\n",
        ),
        *(
            "DE89 3704 0044 0532 0130 00",
            "+44 20 7946 0958",
            "(415) 555-2671",
            "https://x.org/?t=abc",
            "Re: ",
            " ",
            "\ud800",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=30).map("".join))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    for clean in (clean_body, clean_subject):
        once = clean(text)
        assert clean(once) == once
        once.encode()  # it can be stored


HOSTILE = {
    "nested tags": "<div>" * 1_000_000,
    "open tags": "<div " * 1_000_000,
    "brackets": "<" * 5_000_000,
    "escaped many times": "&" + "amp;" * 1_250_000 + "lt;b>",
    "quoted lines": "> a quoted line of a long thread\n" * 150_000,
    "attributions": "On 1 Mar x wrote:\n" * 250_000,
    "headers": "From: a\nTo: b\nDate: c\n" * 200_000,
    "closings": "Thanks\n" * 700_000,
    "comments": "<!--" * 1_250_000,
    "addresses": "a@" * 2_500_000,
    "one word": "a" * 5_000_000,
    "digits": "1 " * 2_500_000,
    "accounts": "DE89 " * 1_000_000,
    "combining marks": "e\u0301\u0323" * 1_500_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_five_megabytes_of_anything_take_linear_time(case: str) -> None:
    started = time.process_time()

    cleaned = clean_body(HOSTILE[case])

    assert time.process_time() - started < 20  # quadratic work on 5 MB would take hours
    assert len(cleaned) <= KEEP_AT_MOST


def test_the_serving_path_loads_neither_spark_nor_pandas() -> None:
    code = (
        "import sys, datetime as d\n"
        "from pipeline.clean import clean_ticket\n"
        "from pipeline.features import text_statistics\n"
        "from tickets.records import Ticket\n"
        "now = d.datetime.now(d.UTC)\n"
        "clean_ticket(Ticket(ticket_id='1', created_at=now, body='Wo ist mein Paket? +44 2079460958'), ['en', 'de'])\n"
        "print([name for name in ('pyspark', 'pandas', 'torch', 'mlflow', 'evidently') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "[]"


def ticket(body: str) -> Ticket:
    return Ticket(ticket_id="1", created_at=datetime(2026, 1, 1, tzinfo=UTC), body=body)
