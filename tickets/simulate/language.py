"""How people talk in one language, whatever they write about: read from languages/*.toml beside this file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from tickets.simulate.catalogue import read_toml
from tickets.simulate.grammar import Phrases, Wording, parse_all, worded

_TALK = (
    *("greetings", "openers", "chatter", "feelings", "also", "asks", "closings", "signatures", "pii", "quoted"),
    "outage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """Phrases of one language. `says` maps a contact type to sentences; empty for English, whose are in phrases/."""

    code: str
    words: Mapping[str, Phrases]
    nouns: Mapping[str, Phrases]
    greetings: Phrases
    openers: Phrases
    chatter: Phrases
    feelings: Phrases
    also: Phrases
    asks: Phrases
    closings: Phrases
    signatures: Phrases
    pii: Phrases
    quoted: Phrases
    outage: Phrases
    says: Mapping[str, Phrases]
    slang: Mapping[str, str]


@cache
def language(code: str, wording: Wording = "any") -> Language:
    """A language, whole or with the phrases of one wording alone."""
    if wording != "any":
        whole = language(code)
        talk: dict[str, Any] = {kind: worded(getattr(whole, kind), wording) for kind in _TALK}
        says = {path: worded(phrases, wording) for path, phrases in whole.says.items()}
        return replace(whole, says=says, **talk)
    data = read_toml("languages", code)
    return Language(
        code=code,
        words=_parsed(data["words"]),
        nouns=_parsed(data["nouns"]),
        says=_parsed(data.get("says", {})),
        slang=data.get("slang", {}),
        **{kind: parse_all(data["talk"].get(kind, ())) for kind in _TALK},
    )


def rename(text: str) -> str:
    """The text in the company's new words (languages/rebrand.toml)."""
    return _old_words().sub(_new_word, text)


@cache
def _new_words() -> Mapping[str, str]:
    words: dict[str, str] = read_toml("languages", "rebrand")
    return words


@cache
def _old_words() -> re.Pattern[str]:
    longest_first = sorted(_new_words(), key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)


def _new_word(match: re.Match[str]) -> str:
    old = match.group()
    new = _new_words()[old.lower()]
    return new.capitalize() if old[0].isupper() else new


def _parsed(tables: Mapping[str, Any]) -> dict[str, Phrases]:
    return {name: parse_all(texts) for name, texts in tables.items()}
