"""Payment cards and bank accounts: found by shape, masked only when the check digits are right."""

from __future__ import annotations

import re

_IBAN_DIGITS = re.compile(r"\d{2}(?<=[A-Za-z]{2}\d\d)(?<!\w{3}\d\d)(?=[ -]?[A-Za-z0-9]{4})")  # check digits, after `DE`
_IBAN_LENGTHS = """
    AD24 AE23 AT20 BE16 BG22 BR29 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IL23 IS26 IT27
    LI21 LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 RS22 SA24 SE24 SI19 SK24 SM27 TR26 UA29
"""
_IBAN_LENGTH = {written[:2]: int(written[2:]) for written in _IBAN_LENGTHS.split()}  # ISO 13616 registry
_CARD = re.compile(r"\d(?<![\w.]\d)(?:[ \n.-]?\d){12,18}(?!\w)")
_CARD_ISSUER = re.compile(  # Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"6(?:011|4[4-9]\d|5\d\d)\d{12}|35\d{14}|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
_BETWEEN_DIGITS = re.compile(r"[ \n.-]")
_NEXT_GROUP = re.compile(r"[ \n-](?=[2-6]\d{3})")  # where a card may begin within a run: after a day, a count, a card


def mask_ibans(text: str) -> str:
    """`<IBAN>` for account numbers of the right length with the right check digits, in groups or not."""
    pieces: list[str] = []
    position = 0
    for found in _IBAN_DIGITS.finditer(text):
        start = found.start() - 2
        length = _IBAN_LENGTH.get(text[start : start + 2].upper())
        if length is None or start < position:
            continue
        end = _end_of_account(text, start, length)
        if is_iban(re.sub(r"[ -]", "", text[start:end])):
            pieces += [text[position:start], "<IBAN>"]
            position = end
    return "".join([*pieces, text[position:]])


def mask_cards(text: str) -> str:
    """`<CARD>` for numbers of a known issuer that pass the Luhn check, in groups or not."""
    pieces: list[str] = []
    done = position = 0
    while found := _CARD.search(text, position):
        length = _length_of_card(found.group())
        if length:
            pieces += [text[done : found.start()], "<CARD>"]
            done = position = found.start() + length
        else:
            group = _NEXT_GROUP.search(text, found.start(), found.end())
            position = group.end() if group else found.end()
    return "".join([*pieces, text[done:]]) if pieces else text


def passes_luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def is_iban(account: str) -> bool:
    """Length of its country and remainder 1 modulo 97 (ISO 13616)."""
    account = account.upper()
    if len(account) != _IBAN_LENGTH.get(account[:2]) or not (account.isascii() and account.isalnum()):
        return False
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def _end_of_account(text: str, start: int, length: int) -> int:
    """Where `length` letters and digits end, single spaces or dashes between them not counted."""
    end, seen = start, 0
    while end < len(text) and seen < length:
        if text[end] not in " -":
            seen += 1
        elif text[end - 1] in " -":
            break
        end += 1
    return end if not text[end : end + 1].isalnum() else start


def _length_of_card(written: str) -> int:
    """How long the longest run of whole groups from the start is that is a card, 0 when none is: an expiry date may
    follow the number."""
    ends = [len(written), *(place.start() for place in reversed(list(_BETWEEN_DIGITS.finditer(written))))]
    for end in ends:
        digits = _BETWEEN_DIGITS.sub("", written[:end])
        if len(digits) < 12:
            break
        if digits.isascii() and _CARD_ISSUER.fullmatch(digits) and passes_luhn(digits):
            return end
    return 0
