"""Phrases with choices and slots: `I (was|got) charged {amount}` says one thing in several ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from tickets.errors import InputError

_TOKEN = re.compile(r"[()|]|\{\w+\}|[^()|{}]+")


@dataclass(frozen=True, slots=True)
class Slot:
    """A value filled in when the phrase is spoken."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several phrases, each as likely as the others; an empty one may be among them."""

    options: tuple[Phrase, ...]


Wording = Literal["any", "usual", "new"]
Phrase = tuple[str | Slot | Choice, ...]
Phrases = tuple[Phrase, ...]
Values = Mapping[str, str | Phrases]


def parse(text: str) -> Phrase:
    """Read a phrase. `(a|b|)` is a choice, also nested; `{slot}` a slot. Raises InputError at an unbalanced bracket."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text:
        raise InputError(f"the phrase {text!r} has a brace that is no slot.", hint="Write {name}.")
    phrase, rest = _parse_sequence(tokens, 0)
    if rest != len(tokens):
        raise InputError(
            f"the phrase {text!r} has a `)` or `|` outside brackets.", hint="Write ( before it, or take it out."
        )
    return phrase


def parse_all(texts: Iterable[str]) -> Phrases:
    return tuple(parse(text) for text in texts)


def _parse_sequence(tokens: list[str], at: int) -> tuple[Phrase, int]:
    parts: list[str | Slot | Choice] = []
    while at < len(tokens) and tokens[at] not in ")|":
        token = tokens[at]
        if token == "(":
            choice, at = _parse_choice(tokens, at + 1)
            parts.append(choice)
        else:
            parts.append(Slot(token[1:-1]) if token[0] == "{" else token)
            at += 1
    return tuple(parts), at


def _parse_choice(tokens: list[str], at: int) -> tuple[Choice, int]:
    options = []
    while True:
        option, at = _parse_sequence(tokens, at)
        options.append(option)
        if at >= len(tokens):
            raise InputError(
                f"the phrase {''.join(tokens)!r} has a `(` that is never closed.", hint="Write the `)` that ends it."
            )
        if tokens[at] == ")":
            return Choice(tuple(options)), at + 1
        at += 1


def speak(phrase: Phrase, rng: Random, values: Values, words: Values) -> str:
    """One wording of the phrase. A slot is looked up in `values`, then in `words`; phrases found there are spoken."""
    spoken: list[str] = []
    for part in phrase:
        if isinstance(part, str):
            spoken.append(part)
        elif isinstance(part, Choice):
            spoken.append(speak(part.options[int(rng.random() * len(part.options))], rng, values, words))
        else:
            value = values[part.name] if part.name in values else words[part.name]
            spoken.append(value if isinstance(value, str) else say_one(value, rng, values, words))
    return "".join(spoken)


def say_one(phrases: Phrases, rng: Random, values: Values, words: Values) -> str:
    return speak(phrases[int(rng.random() * len(phrases))], rng, values, words)


def worded(phrases: Phrases, wording: Wording) -> Phrases:
    """Those of the phrases that people use who say things as usual, or as nobody did before: the last third, at least
    one. A phrase that stands alone is both."""
    new = max(1, len(phrases) // 3) if len(phrases) > 1 else 0
    if wording == "any" or not new:
        return phrases
    return phrases[-new:] if wording == "new" else phrases[:-new]


def slots(phrase: Phrase) -> frozenset[str]:
    """The names of all slots a phrase may need."""
    found: set[str] = set()
    for part in phrase:
        if isinstance(part, Slot):
            found.add(part.name)
        elif isinstance(part, Choice):
            for option in part.options:
                found |= slots(option)
    return frozenset(found)
