"""Masking what identifies a person, by type and in place, so that the sentence keeps its meaning for the model.

What each type looks like stands in a file of its own. Every pattern is bounded or anchored, so that masking is
linear; what a pattern finds is checked (Luhn, IBAN mod 97, number plans, the words before) before it is masked. The
order counts: what carries a check or a name of its own comes before what is told by its shape.
"""

from __future__ import annotations

import hashlib
import re

from pipeline.text import credentials, national_ids, personal_names, web_addresses
from pipeline.text.clues import SEVEN_DIGITS, words_of
from pipeline.text.credentials import mask_birth_dates, mask_credentials
from pipeline.text.national_ids import mask_national_ids
from pipeline.text.payment_numbers import mask_cards, mask_ibans
from pipeline.text.personal_names import mask_names
from pipeline.text.phone_numbers import mask_phones
from pipeline.text.postal_addresses import mask_addresses
from pipeline.text.reference_numbers import mask_references
from pipeline.text.web_addresses import mask_emails, mask_network_addresses, mask_urls

MASKS = (
    *("<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>", "<URL>", "<NAME>", "<DATE>", "<REDACTED>"),
    *("<ADDRESS>", "<TICKET>", "<ORDER>", "<IP>", "<ID>", "<SECRET>"),
)

_TELLING_WORDS = (
    credentials.TELLING_WORDS | national_ids.NAMED_WORDS | personal_names.TELLING_WORDS | web_addresses.TELLING_WORDS
)
_NO_DIGIT = bytes(byte for byte in range(256) if not chr(byte).isdigit() or byte >= 128)
_DIGIT_BEYOND_ASCII = re.compile(r"[^\D\x00-\x7f]")
_SIX_CODE = re.compile(r"\d[\dA-Z -]{4}")  # the shortest number a state gives
_REDACTED_DATE = re.compile(r"(?<![\w/])X{2,4}/X{2,4}/(?:X{2,4}|\d{2,4})(?![\w/])")
_REDACTED = re.compile(r"(?<!\w)X{4,}(?:[ ,./-]{1,2}X{2,})*(?!\w)")
_AMOUNT = re.compile(r"\{(\$[\d,.]{1,20})\}")


def mask(text: str) -> str:
    """Replace personal data by the MASKS: what was written is gone, what it was is told.

    A publisher's own redaction is told in the same words: `XXXX XXXX` becomes `<REDACTED>`, `XX/XX/2019` `<DATE>`, and
    an amount in braces (`{$1200.00}`) loses them.
    """
    if "XX" in text:
        text = _REDACTED.sub("<REDACTED>", _REDACTED_DATE.sub("<DATE>", text))
    if "{$" in text:
        text = _AMOUNT.sub(r"\1", text)
    words = words_of(text) & _TELLING_WORDS
    text = mask_credentials(mask_emails(mask_urls(text), words), words)
    if digits := _count_digits(text):
        text = _mask_numbers(text, words, digits)
    return mask_names(text, words)


def customer_hash(value: str, *, salt: str) -> str:
    """A customer's key as it is stored: one way, 32 hexadecimal characters, different in every dataset (the salt)."""
    return hashlib.sha256(f"{salt}\x00{value.strip().lower()}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _count_digits(text: str) -> int:
    """How many digits are in the text, of any script. Bytes are counted in C."""
    digits = len(text.encode("ascii", "ignore").translate(None, _NO_DIGIT))
    return digits if text.isascii() else digits + len(_DIGIT_BEYOND_ASCII.findall(text))


def _mask_numbers(text: str, words: frozenset[str], digits: int) -> str:
    text = mask_birth_dates(text, words)
    long = digits >= 7 and SEVEN_DIGITS.search(text) is not None
    if long:
        text = mask_cards(mask_ibans(text))
    # A state's number has six digits, unless its name stands before it.
    if (digits >= 6 or not words.isdisjoint(national_ids.NAMED_WORDS)) and _SIX_CODE.search(text):
        text = mask_national_ids(text, words)
    text = mask_references(mask_network_addresses(text))
    if long:
        text = mask_phones(text)
    return mask_addresses(text)
