"""Masking what identifies a person, by type and in place, so that the sentence keeps its meaning for the model.

Each pattern is bounded or anchored, so that masking is linear; what a pattern finds is checked (Luhn, IBAN mod 97,
phone number plans) before it is masked, because an order number is worth keeping.
"""

from __future__ import annotations

import hashlib
import re

MASKS = ("<EMAIL>", "<PHONE>", "<CARD>", "<IBAN>", "<URL>", "<NAME>", "<DATE>", "<REDACTED>")

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"(?<!\w)(?:https?://|www\.)[^\s<>\"']+", re.IGNORECASE)
_URL_SECRET = re.compile(r"[?#;].*=|//[^/]*@|[?]\w{8}|/(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,}")
_SEVEN_DIGITS = re.compile(r"\d(?:[ ().\-/]{0,3}\d){6}")  # no number worth masking has fewer; most tickets have none
_IBAN_START = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?=[ ]?[A-Za-z0-9]{4})")
_IBAN_LENGTH = {
    **{
        "AD": 24,
        "AE": 23,
        "AT": 20,
        "BE": 16,
        "BG": 22,
        "BR": 29,
        "CH": 21,
        "CY": 28,
        "CZ": 24,
        "DE": 22,
        "DK": 18,
        "EE": 20,
    },
    **{
        "ES": 24,
        "FI": 18,
        "FR": 27,
        "GB": 22,
        "GR": 27,
        "HR": 21,
        "HU": 28,
        "IE": 22,
        "IL": 23,
        "IS": 26,
        "IT": 27,
        "LI": 21,
    },
    **{
        "LT": 20,
        "LU": 20,
        "LV": 21,
        "MC": 27,
        "MT": 31,
        "NL": 18,
        "NO": 15,
        "PL": 28,
        "PT": 25,
        "RO": 24,
        "RS": 22,
        "SA": 24,
    },
    **{"SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29},
}
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
_CARD_ISSUER = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|"
    r"6(?:011|5\d\d)\d{12}|35\d{14}"
)
_PHONE_INTERNATIONAL = re.compile(r"(?<![\w+])(?:\+|00)[1-9][\d ().\-/]{5,20}\d(?!\w)")
_PHONE_AMERICAN = re.compile(r"(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])\d{3}[ .-]\d{4}(?![\w-])")
_PHONE_NAMED = re.compile(
    r"(?<!\w)((?:phone|tel|telephone|telefon|téléphone|teléfono|telefono|mobile|cell|handy|whatsapp|"
    r"call me|ring me|text me|reach me)"
    r"(?:\s(?:number|no|nr|is|at|on|back|under|me)\.?){0,4}\s?[:#]?\s?)"
    r"(\(?\d[\d ().\-/]{5,18}\d)(?!\w)",
    re.IGNORECASE,
)
_NAME = r"[A-ZÀ-ÖØ-Þ][\w'’-]{1,24}(?:[ ][A-ZÀ-ÖØ-Þ](?:\.|[\w'’-]{1,24})){0,2}"
_GREETED = re.compile(
    rf"(?m)^((?i:hi|hello|hey|dear|good\s(?:morning|afternoon|evening)|hallo|liebe[r]?|bonjour|hola|olá|ciao|beste)"
    rf"(?:\s(?i:mr|mrs|ms|dr|herr|frau|señora?)\.?)?\s)({_NAME})(?=\s?[,!:.-]|\s?$)"
)
_INTRODUCED = re.compile(
    rf"(?<!\w)((?i:my\s(?:full\s)?name\sis|mein\sname\sist|je\sm'appelle|me\sllamo|mi\snombre\ses|meu\snome\sé|mi\schiamo)\s)({_NAME})"
)
_INTRODUCTION = re.compile(r"name is|Name is|NAME IS|Name ist|appelle|llamo|nombre|nome|chiamo")  # a cheap look first
_TAIL = 120  # characters at the end in which a closing line is looked for
_SIGNED = re.compile(
    rf"((?i:thanks|thank\syou|regards|cheers|sincerely|grüße|cordialement|saludos|gracias)\s?[,!.-]\s?)({_NAME})\.?\s*$"
)
_NO_NAME = frozenset(
    {"all", "agent", "admin", "anyone", "assistance", "bank", "care", "company", "customer", "everyone", "everybody"}
    | {"friend", "friends", "help", "helpdesk", "hotline", "ladies", "madam", "ma'am", "manager", "mr", "mrs", "ms"}
    | {"please", "representative", "service", "services", "sir", "sirs", "support", "team", "there", "to"}
)
_REDACTED_DATE = re.compile(r"(?<![\w/])X{2,4}/X{2,4}/(?:X{2,4}|\d{2,4})(?![\w/])")
_REDACTED = re.compile(r"(?<!\w)X{4,}(?:[ ,./-]{1,2}X{2,})*(?!\w)")
_AMOUNT = re.compile(r"\{(\$[\d,.]{1,20})\}")


def mask(text: str) -> str:
    """Replace personal data by `<EMAIL>`, `<PHONE>`, `<CARD>`, `<IBAN>`, `<URL>` (with a token in it) and `<NAME>`.

    A publisher's own redaction is told in the same words: `XXXX XXXX` becomes `<REDACTED>`, `XX/XX/2019` `<DATE>`, and
    an amount in braces (`{$1200.00}`) loses them.
    """
    if "XX" in text:
        text = _REDACTED.sub("<REDACTED>", _REDACTED_DATE.sub("<DATE>", text))
    if "{$" in text:
        text = _AMOUNT.sub(r"\1", text)
    if "/" in text or "www." in text:
        text = _URL.sub(_mask_url, text)
    if "@" in text:
        text = _EMAIL.sub("<EMAIL>", text)
    if _SEVEN_DIGITS.search(text):
        text = _mask_ibans(text)
        text = _CARD.sub(_mask_card, text)
        text = _PHONE_INTERNATIONAL.sub(_mask_international, text)
        text = _PHONE_AMERICAN.sub("<PHONE>", text)
        text = _PHONE_NAMED.sub(_mask_named_phone, text)
    text = _GREETED.sub(_mask_name, text)
    if _INTRODUCTION.search(text):
        text = _INTRODUCED.sub(_mask_name, text)
    return text[:-_TAIL] + _SIGNED.sub(_mask_name, text[-_TAIL:])


def customer_hash(value: str, *, salt: str) -> str:
    """A customer's key as it is stored: one way, 32 hexadecimal characters, different in every dataset (the salt)."""
    return hashlib.sha256(f"{salt}\x00{value.strip().lower()}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


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


def _mask_url(found: re.Match[str]) -> str:
    url = found.group()
    return "<URL>" if _URL_SECRET.search(url[:2000]) or len(url) > 2000 else url


def _mask_ibans(text: str) -> str:
    pieces: list[str] = []
    position = 0
    for start in _IBAN_START.finditer(text):
        length = _IBAN_LENGTH.get(start.group()[:2].upper())
        if length is None or start.start() < position:
            continue
        end = _end_of_account(text, start.start(), length)
        if is_iban(text[start.start() : end].replace(" ", "")):
            pieces += [text[position : start.start()], "<IBAN>"]
            position = end
    return "".join([*pieces, text[position:]])


def _end_of_account(text: str, start: int, length: int) -> int:
    """Where `length` letters and digits end, single spaces between them not counted."""
    end, seen = start, 0
    while end < len(text) and seen < length:
        if text[end] != " ":
            seen += 1
        elif text[end - 1] == " ":
            break
        end += 1
    return end if not text[end : end + 1].isalnum() else start


def _mask_card(found: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", found.group())
    return "<CARD>" if digits.isascii() and _CARD_ISSUER.fullmatch(digits) and passes_luhn(digits) else found.group()


def _mask_international(found: re.Match[str]) -> str:
    import phonenumbers

    written = found.group()
    explicit = written.startswith("+")
    try:
        number = phonenumbers.parse(written if explicit else "+" + written[2:], None)
    except phonenumbers.NumberParseException:
        return written
    # `00...` may begin an order number, so there the number plan must know it; a `+` is plain speech.
    known = phonenumbers.is_possible_number(number) if explicit else phonenumbers.is_valid_number(number)
    return "<PHONE>" if known else written


def _mask_named_phone(found: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in found.group(2))
    return f"{found.group(1)}<PHONE>" if 7 <= digits <= 15 else found.group()


def _mask_name(found: re.Match[str]) -> str:
    words = [word.strip(".").lower() for word in found.group(2).split()]
    if any(word in _NO_NAME for word in words):
        return found.group()
    return f"{found.group(1)}<NAME>"
