"""A customer writes a ticket: the problem in one of many wordings, small talk around it, and everything that hides it.

The shares below are what makes the stream hard. They were set so that TF-IDF with logistic regression finds 75 to 90 %
of the contact types; a test measures it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from tickets.simulate.catalogue import FAMILY, PRODUCTS, Situation
from tickets.simulate.customers import Customer, card_number, person_name
from tickets.simulate.grammar import Phrases, Values, Wording, say_one, speak
from tickets.simulate.language import Language, language, rename
from tickets.simulate.noise import add_slang, add_typos, as_html

SHARED_WORDING = 0.5  # of tickets whose contact type shares a wording: the text alone does not tell
OWN_NOUN = 0.25  # in a shared wording: says ride, order or parcel rather than something neutral
DETAILS_AFTER_SHARED = 0.35  # a shared wording is followed by a telling detail
QUOTED_MAIL = 0.13  # of e-mails and web forms
HTML_MAIL = 0.4  # of e-mails
PII = 0.1  # of tickets, beside greetings and signatures

SMALL_TALK = 5.4  # sentences, for a customer of ordinary wordiness

_GAP = re.compile(r" +([ .,!?])")


@dataclass(frozen=True, slots=True)
class Written:
    """A ticket as it was written. `renamed` says whether any of the company's new words came into it."""

    subject: str
    body: str
    renamed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Why and when a customer writes. `second` is another problem in the same ticket; a `vague` one names none."""

    situation: Situation
    customer: Customer
    at: datetime
    product: str
    amount: float | None
    channel: str
    order: str
    second: Situation | None = None
    vague: bool = False
    outage: bool = False
    renamed: bool = False
    wording: Wording = "any"


def write(occasion: Occasion, rng: Random) -> Written:
    """The ticket as it reaches the helpdesk: HTML, quotes, typos and personal data left in."""
    if occasion.wording != "any":
        second = occasion.second.worded(occasion.wording) if occasion.second else None
        occasion = replace(occasion, situation=occasion.situation.worded(occasion.wording), second=second)
    customer = occasion.customer
    spoken = language(customer.language, occasion.wording)
    values = _values(occasion, rng)
    shared = bool(occasion.situation.shared_says) and rng.random() < SHARED_WORDING
    values["thing"], values["worker"] = _nouns(spoken, occasion.product, own=not shared or rng.random() < OWN_NOUN)
    subject = _subject(occasion, spoken, values, shared=shared, rng=rng)
    sentences = _sentences(occasion, spoken, values, shared=shared, rng=rng)
    story = _tidy(sentences)
    renamed = False
    if occasion.renamed and customer.language == "en":
        new_subject, new_story = rename(subject), rename(story)
        renamed = (new_subject, new_story) != (subject, story)
        subject, story = new_subject, new_story
    if customer.slang_rate and spoken.slang:
        story = add_slang(story, rng, customer.slang_rate, spoken.slang)
    if customer.typo_rate:
        subject, story = add_typos(subject, rng, customer.typo_rate), add_typos(story, rng, customer.typo_rate)
    if customer.lower_case:
        subject, story = subject.lower(), story.lower()
    elif rng.random() < 0.02:
        story = story.upper()
    return Written(subject, _body(occasion, spoken, values, story, rng), renamed)


def _tidy(sentences: Sequence[str]) -> str:
    """The sentences in a row, each beginning with a capital; the gaps that empty choices leave are closed."""
    story = " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
    return _GAP.sub(r"\1", story)


def _values(occasion: Occasion, rng: Random) -> dict[str, str | Phrases]:
    customer, amount = occasion.customer, occasion.amount
    symbol, spoken = customer.city.currency, customer.language
    paid = amount if amount is not None else 5 + 40 * rng.random()
    number = int(rng.random() * 90)
    return {
        "amount": money(paid, symbol, spoken),
        "less": money(paid * (0.4 + 0.4 * rng.random()), symbol, spoken),
        "small": money(1.5 + 8 * rng.random(), symbol, spoken),
        "big": money(60 + 900 * rng.random(), symbol, spoken),
        "city": customer.city.name,
        "product": PRODUCTS[occasion.product],
        "order": occasion.order,
        "name": person_name(rng),
        "agent": person_name(rng),
        "first": customer.first,
        "full": f"{customer.first} {customer.last}",
        "email": customer.email,
        "phone": customer.phone,
        "card": card_number(rng) if rng.random() < 0.1 else "4242 4242 4242 4242",
        "mins": str(8 + number % 71),
        "number": str(number + 1),
        "day": str(1 + number % 28),
        "number2": str(6 + number % 6),
        "digit": str(1 + number % 9),
        "digit2": str(number % 3),
        "quotedate": f"{occasion.at:%d %b %Y} at {occasion.at.hour:02d}:{number % 60:02d}",
    }


def money(amount: float, symbol: str, spoken: str) -> str:
    """`$12.50` in English, `12,50 €` elsewhere."""
    return f"{symbol}{amount:.2f}" if spoken == "en" else f"{amount:.2f} {symbol}".replace(".", ",")


def _nouns(spoken: Language, product: str, *, own: bool) -> tuple[Phrases, Phrases]:
    family = FAMILY[product] if own else "neutral"
    return spoken.nouns[family], spoken.nouns[f"{family}_worker"]


def _subject(occasion: Occasion, spoken: Language, values: Values, *, shared: bool, rng: Random) -> str:
    situation, draw = occasion.situation, rng.random()
    if occasion.channel == "chat" or draw < 0.1:
        return ""
    if spoken.code != "en":
        said = say_one(spoken.says[situation.path], rng, values, spoken.words) if draw < 0.5 else ""
        return " ".join(said.split()[:5])
    if occasion.vague or draw < 0.24:
        general = (
            "Help",
            "Problem",
            "Question",
            "Complaint",
            "Please help!",
            "URGENT",
            "Support",
            "Issue with " + occasion.order,
        )
        return general[int(rng.random() * len(general))]
    subjects = situation.shared_subjects if shared else situation.subjects
    return say_one(subjects, rng, values, spoken.words)


def _sentences(occasion: Occasion, spoken: Language, values: Values, *, shared: bool, rng: Random) -> list[str]:
    """The story in order: opener, problem, details, small talk, feelings, request; a second problem before or after."""
    wordiness = occasion.customer.wordiness * (0.4 if occasion.channel == "chat" else 1.0)
    problem = _problem(occasion, spoken, values, shared=shared, rng=rng)
    if occasion.second is not None:
        other = _plain_problem(occasion.second, spoken, values, rng)
        joint = say_one(spoken.also, rng, values, spoken.words)
        problem = [*problem, joint + other] if rng.random() < 0.6 else [other, joint + problem[0], *problem[1:]]
    sentences: list[str] = []
    if rng.random() < 0.45 * wordiness:
        sentences.append(say_one(spoken.openers, rng, values, spoken.words))
    sentences += problem
    for talk in rng.sample(spoken.chatter, min(_count(SMALL_TALK * wordiness, rng), len(spoken.chatter))):
        at = int(rng.random() * (len(sentences) + 1))
        sentences.insert(at, speak(talk, rng, values, spoken.words))
    if rng.random() < 0.4 * wordiness:
        sentences.append(say_one(spoken.feelings, rng, values, spoken.words))
    if rng.random() < 0.75:
        asks = occasion.situation.asks if spoken.code == "en" else spoken.asks
        sentences.append(say_one(asks, rng, values, spoken.words))
    if rng.random() < PII:
        sentences.append(say_one(spoken.pii, rng, values, spoken.words))
    return list(dict.fromkeys(sentences))


def _problem(occasion: Occasion, spoken: Language, values: Values, *, shared: bool, rng: Random) -> list[str]:
    situation, words = occasion.situation, spoken.words
    if spoken.code != "en":
        return [say_one(spoken.says[situation.path], rng, values, words)]
    if occasion.vague:
        return [say_one(situation.vague, rng, values, words)]
    if occasion.outage:
        return [say_one(spoken.outage, rng, values, words)]
    if shared:
        told = [say_one(situation.shared_says, rng, values, words)]
        details = int(rng.random() < DETAILS_AFTER_SHARED)
    else:
        told = [say_one(situation.says, rng, values, words)]
        details = _count(0.3 + 0.7 * occasion.customer.wordiness, rng)
    return told + [say_one(situation.details, rng, values, words) for _ in range(details)]


def _plain_problem(situation: Situation, spoken: Language, values: Values, rng: Random) -> str:
    says = situation.says if spoken.code == "en" else spoken.says[situation.path]
    return say_one(says, rng, values, spoken.words)


def _body(occasion: Occasion, spoken: Language, values: Values, story: str, rng: Random) -> str:
    formal = {"email": 0.92, "web": 0.75, "app": 0.45, "chat": 0.2}[occasion.channel]
    paragraphs = [story]
    if rng.random() < formal:
        paragraphs.insert(0, say_one(spoken.greetings, rng, values, spoken.words) + ",")
    if rng.random() < formal:
        closing = say_one(spoken.closings, rng, values, spoken.words)
        paragraphs.append(f"{closing},\n{say_one(spoken.signatures, rng, values, spoken.words)}")
    quoted = ""
    if occasion.channel in ("email", "web") and rng.random() < QUOTED_MAIL:
        quoted = say_one(spoken.quoted, rng, values, spoken.words)
    if occasion.channel == "email" and rng.random() < HTML_MAIL:
        return as_html(paragraphs, quoted, rng)
    return "\n\n".join([*paragraphs, quoted] if quoted else paragraphs)


def _count(mean: float, rng: Random) -> int:
    """A small count around `mean`, cheaper than a Poisson draw."""
    spread = mean * 2 * rng.random()
    return int(spread + 0.5)
