"""Numbers that states give to people: by their check character where they have one, else by the word before them."""

from __future__ import annotations

import re

_AMERICAN = re.compile(
    r"\d(?<![\w-].)\d\d(?<!000)(?<!666)(?<!9\d\d)-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"
)  # social security
_BRAZILIAN = re.compile(r"\d(?<![\w.].)\d{2}\.\d{3}\.\d{3}-\d{2}(?!\w)")
_SPANISH = re.compile(r"([XYZ\d](?<!\w.)\d{7})[ -]?([A-HJ-NP-TV-Z])(?!\w)")
_ITALIAN = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)", re.IGNORECASE)
_SIX_DIGITS = re.compile(r"\d(?:[ .-]?\d){5}")  # in each of the numbers here but the Italian
_ITALIAN_END = re.compile(r"\d\d\w\d\d\w\d{3}")  # found fast: it begins with a figure
_FRENCH = re.compile(r"[12](?<!\w.) ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?!\w)")
_BRITISH = re.compile(r"[A-CEGHJ-PR-TW-Z](?<!\w.)[A-CEGHJ-NPR-TW-Z] ?(?:\d{2} ?){3}[A-D](?!\w)")  # national insurance
_AMERICAN_NAMED = re.compile(r"((?:ssn|social security)[^\d\n]{0,25})\d{3} \d{2} \d{4}(?!\w)", re.IGNORECASE)
_NAMED = re.compile(
    r"(?<!\w)((?i:passport|passeport|reisepass|pasaporte|passaporto|paspoort|driver'?s? licen[cs]e|driving licen[cs]e|"
    r"führerschein|permis de conduire|identity card|id card|(?:personal)?ausweis|carta d'identità|dni|nif|"
    r"ssn|social security|national insurance|sozialversicherungs|steuer-?(?:id|identifikations)|tax id|"
    r"codice fiscale|sécurité sociale|bsn|burgerservice|cpf|rg)(?:-?\s?(?:number|nummer|numero|número|numéro|no|nr|"
    r"n[°º])\b)?"
    r"\.?(?:\s(?:is|ist|es|é|è|est|lautet))?\s?[:#]?\s?)"
    r"((?=[A-Z\d]*\d[A-Z\d]*\d)[A-Z\d]{6,14})(?!\w)"
)
_NAMES = """
    passport passeport reisepass reisepassnummer pasaporte passaporto paspoort paspoortnummer license licence
    führerschein führerscheinnummer permis identity id ausweis personalausweis ausweisnummer
    personalausweisnummer carta d'identità dni nif ssn social national sozialversicherungsnummer steuer-id
    steuerid steuer steuer-identifikationsnummer steueridentifikationsnummer tax codice sécurité bsn
    burgerservicenummer cpf rg
"""
NAMED_WORDS = frozenset(_NAMES.split())
_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"  # of the Spanish DNI, by the number modulo 23
_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | dict(
    zip("ABCDEFGHIJ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)
)
_ODD |= dict(zip("KLMNOPQRSTUVWXYZ", (2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True))


def mask_national_ids(text: str, words: frozenset[str]) -> str:
    """`<ID>` for social security, tax, identity card, passport and licence numbers; `words` are those of the
    text, in small letters."""
    if _SIX_DIGITS.search(text):
        text = _mask_told_by_shape(text)
    if _ITALIAN_END.search(text):
        text = _ITALIAN.sub(lambda found: "<ID>" if _is_codice_fiscale(found.group()) else found.group(), text)
    if not words.isdisjoint(NAMED_WORDS):
        text = _NAMED.sub(r"\1<ID>", _AMERICAN_NAMED.sub(r"\1<ID>", text))
    return text


def _mask_told_by_shape(text: str) -> str:
    if "-" in text:
        text = _AMERICAN.sub("<ID>", text)
        text = _BRAZILIAN.sub(lambda found: "<ID>" if _is_cpf(found.group()) else found.group(), text)
    text = _SPANISH.sub(lambda found: "<ID>" if _is_dni(found) else found.group(), text)
    text = _FRENCH.sub(lambda found: "<ID>" if _is_nir(found.group()) else found.group(), text)
    return _BRITISH.sub("<ID>", text)


def _is_dni(found: re.Match[str]) -> bool:
    """DNI and NIE: the letter is the number modulo 23 (Spain, Ministerio del Interior)."""
    number = found.group(1).replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _LETTERS[int(number) % 23] == found.group(2)


def _is_cpf(written: str) -> bool:
    """Two check digits modulo 11 (Brazil, Receita Federal)."""
    digits = [int(character) for character in written if character.isdigit()]
    for place in (9, 10):
        rest = sum(digit * (place + 1 - at) for at, digit in enumerate(digits[:place])) * 10 % 11
        if rest % 10 != digits[place]:
            return False
    return len(set(digits)) > 1


def _is_codice_fiscale(written: str) -> bool:
    """The last letter is a weighted sum of the others modulo 26 (Italy, decree of 23 December 1976)."""
    code = written.upper()
    if not code.isascii():
        return False
    even = sum(int(one) if one.isdigit() else ord(one) - ord("A") for one in code[1:15:2])
    odd = sum(_ODD[one] for one in code[0:15:2])
    return chr(ord("A") + (even + odd) % 26) == code[15]


def _is_nir(written: str) -> bool:
    """The last two digits are 97 minus the others modulo 97 (France, INSEE); Corsica writes 2A and 2B."""
    digits = written.replace(" ", "")
    number = int(digits[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(digits[13:])
