"""What stays of a reply when all that differs from customer to customer is taken out: its skeleton. Pure.

Amounts, dates, numbers, order ids, links, mail addresses, phone numbers, the name that is greeted and the one that
signs become slots, and so do the `{{placeholders}}` of a template. A template and the replies made from it share a
skeleton.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.text.markup import strip_markup
from pipeline.text.redact import MASKS

SLOT = "\x00"
LONGEST = 20_000  # characters of a reply that are read

_MONTH = (
    r"(?:jan|feb|fév|mar|mär|apr|avr|abr|may|mai|jun|juin|jul|juil|aug|août|ago|sep|oct|okt|nov|dec|dez|déc|dic|ene)"
    r"[a-zéû]{0,7}\.?"
)
_GIVEN = re.compile(rf"(?P<given>\{{\{{[^{{}}]{{1,80}}\}}\}}|{'|'.join(map(re.escape, MASKS))})")
_LINK = re.compile(r"(?P<link>(?:https?://|www\.)[^\s<>\"']{0,500}[^\s<>\"'.,;:!?)\]])", re.IGNORECASE)
_EMAIL = re.compile(r"(?P<email>[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})")
_WITH_DIGITS = re.compile(  # most places fail at the first two conditions, which are cheap
    r"(?<![\w\x00-])(?=[^\s\d]{0,30}\d|[$€£¥₹]\s\d)(?:"
    r"(?P<amount>[$€£¥₹]\s?\d[\d.,]{0,14}(?<=\d)|\d[\d.,]{0,14}(?<=\d)\s?(?:[$€£¥₹]|(?:EUR|USD|GBP|CHF)\b))"
    rf"|(?P<date>(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|\d{{1,2}}\.?\s{_MONTH}(?:\s\d{{4}})?)(?!\w))"
    r"|(?P<time>\d{1,2}:\d{2}(?:\s?[ap]\.?m\b)?)"
    r"|(?P<phone>\+\d[\d ()-]{6,18}\d)"
    r"|(?P<number>\d[\d.,]{0,14}(?<=\d)(?![\w-]))"
    r"|(?P<order_id>\#?[A-Za-z0-9][\w-]{2,30}(?![\w-]))"
    r")",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(rf"(?<!\w)(?P<date>{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?)(?!\w)", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_MARK = 0xE000  # a private character after SLOT says which slot it is, while the text is worked on
_MOST = 6_000
_MARKED = re.compile("\x00([\ue000-\uf8ff])")
_GREETING_WORDS = frozenset(
    (  # noqa: SIM905  # a list of single words would fill a page
        "hi hello hey dear good morning afternoon evening day greetings mr mrs ms miss dr sir "
        "madam hallo guten tag morgen abend liebe lieber sehr geehrte geehrter herr frau moin "
        "servus hola buenos buenas días dias tardes noches estimado estimada querido querida señor "
        "señora bonjour bonsoir cher chère chere madame monsieur salut ciao buongiorno buonasera "
        "gentile caro cara signor signora olá ola bom boa dia tarde noite prezado prezada senhor "
        "senhora beste geachte goedemorgen goedemiddag goedenavond heer mevrouw hoi dag hej hei "
        "kære bästa "
    ).split()
)
_NAME_WORD = r"[^\W\d_](?:\.|[\w'’-]{0,24})"  # or an initial
_NAME = rf"{_NAME_WORD}(?:[ ]{_NAME_WORD}){{0,2}}"
_GREETED = re.compile(rf"\s*(\w+)((?:[ ]\w+\.?){{0,3}}?)[ ]({_NAME})(?=\s?[,!:–]|\s?\n)")
_SIGNED = re.compile(rf"(?:(?<=[.!?,…])\s+|\n\s*)({_NAME})\s*\Z")
_BETWEEN = re.compile(r"(?<=[.!?…])[^\S\n]+|\s*\n\s*")
_NOT_WORDS = re.compile(r"[^\w\x00]+")


class Sentence(NamedTuple):
    """A sentence of a reply. `text` has SLOT where `slots` (kind, what stood there) were; `key` is the same for equal
    wording; `lines` are the line breaks before it."""

    text: str
    key: str
    slots: tuple[tuple[str, str], ...]
    lines: int


def sentences(reply: str) -> list[Sentence]:
    """The reply's sentences, slots taken out; those that are nothing but slots (a signing name) come too."""
    text, slots = _take_out(strip_markup(reply[:LONGEST]).strip())
    found: list[Sentence] = []
    start = used = lines = 0
    for end in [*_BETWEEN.finditer(text), None]:
        piece = text[start : end.start() if end else None].strip()
        if piece:
            own = piece.count(SLOT)
            found.append(Sentence(piece, sentence_key(piece), tuple(slots[used : used + own]), lines if found else 0))
            used += own
            lines = 0
        if end is not None:
            start = end.end()
            lines = max(lines, min(end.group().count("\n"), 2))
    return found


def sentence_key(text: str) -> str:
    """Words and slots of a sentence in lower case, single spaces between them."""
    return _NOT_WORDS.sub(" ", text.lower()).strip()


def words_of(key: str) -> int:
    """How many words a key has, slots not counted."""
    return sum(word.strip(SLOT) != "" for word in key.split(" ")) if key else 0


def _take_out(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The text with SLOT in place of what differs, and what stood there, in order."""
    text = text.replace(SLOT, " ")
    taken: list[tuple[str, str]] = []

    def slot(kind: str, value: str) -> str:
        taken.append((kind, value))
        return f"{SLOT}{chr(_MARK + len(taken) - 1)}" if len(taken) <= _MOST else value

    def take(found: re.Match[str]) -> str:
        return slot(found.lastgroup or "text", found.group())

    if "{{" in text or "<" in text:
        text = _GIVEN.sub(take, text)
    if "://" in text or "www." in text:
        text = _LINK.sub(take, text)
    if "@" in text:
        text = _EMAIL.sub(take, text)
    if _DIGIT.search(text):
        text = _WITH_DIGITS.sub(take, _MONTH_FIRST.sub(take, text))
    if (signed := _SIGNED.search(text, max(0, len(text) - 90))) and _is_name(signed[1]):
        text = text[: signed.start(1)] + slot("agent_name", signed[1])
    if (greeted := _GREETED.match(text)) and (name := _greeted_name(greeted)):
        text = text[: greeted.end() - len(name)] + slot("customer_name", name) + text[greeted.end() :]
    return _MARKED.sub(SLOT, text), [taken[ord(mark) - _MARK] for mark in _MARKED.findall(text)]


def _greeted_name(greeted: re.Match[str]) -> str:
    """The name at the end of a greeting; "" when it greets nobody by name."""
    words = f"{greeted[1]}{greeted[2]} {greeted[3]}".split(" ")
    names = [word for word in words if word.lower().strip(".") not in _GREETING_WORDS]
    name = " ".join(names)
    last = words[len(words) - len(names) :]
    return name if words[0].lower() in _GREETING_WORDS and names == last and _is_name(name) else ""


def _is_name(words: str) -> bool:
    """Whether every word begins with a capital letter (scripts without capitals pass too)."""
    return all(not word[0].islower() for word in words.split(" ") if word)
