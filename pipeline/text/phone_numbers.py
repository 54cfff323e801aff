"""Telephone numbers: international ones by the number plans, national ones by their groups or by the words before."""

from __future__ import annotations

import re

# Each begins with the signs that a number may begin with, which `re` finds fast, and then looks at what stands before.
_INTERNATIONAL = re.compile(r"[+0](?<![\w+].)(?:(?<=\+)|(?<=0)0)[1-9][\d ().\-/]{5,20}\d(?!\w)")
_AMERICAN = re.compile(
    r"[(1-9](?<![\w.-].)(?:(?<=1)[ .-](?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])|(?<=\()[2-9]\d{2}\) ?|(?<=[2-9])\d{2}[ .-])"
    r"\d{3}[ .-]\d{4}(?![\w-])"
)
_BRAZILIAN = re.compile(r"\((?<!\w.)[1-9]\d\) ?9?\d{4}-\d{4}(?!\w)")
_PAIRS = re.compile(r"0(?<![\w.,/+-].)[1-9]([ .-])\d{2}(?:\1\d{2}){3}(?![\w]|[.-]\d)")  # as the French write them
_TRUNK = re.compile(  # a leading zero and groups: 020 7946 0958, 0171/1234567, (030) 901820
    r"[(0](?<![\w.,/+€$£:-].)(?<!\d .)(?:(?<=\()0[1-9]\d{0,4}\) ?|(?<=0)[1-9]\d{0,4}[ /.-])"
    r"\d{2,8}(?:[ .-]\d{2,5}){0,3}(?![\w]|[:.,/-]\d)"
)
_DATE = re.compile(  # 12.03.2026, 2026-03-12, 9.00 - 17.00
    r"(?:0?[1-9]|[12]\d|3[01])[ ./-](?:0?[1-9]|1[0-2])[ ./-](?:(?:19|20)\d\d|\d\d)(?!\d)|"
    r"(?:19|20)\d\d([./-])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)|"
    r"(?:[01]?\d|2[0-4])\.[0-5]\d\s?-\s?(?:[01]?\d|2[0-4])\.[0-5]\d(?!\d)"
)
_RUN = re.compile(r"[(\d](?<![\w.,+€$£#/-].)(?:(?<=\()\d|(?<=\d))[\d ().\-/]{5,18}\d(?!\w|[.,:]\d)")
_WINDOW = 48  # characters before a number in which a word says that it is a telephone's
_CONTEXT = re.compile(
    r"(?<!\w)(?:tel|telf|phone|telephone|telefon\w*|téléphone|teléfono|telefono|telefone|mobile|cell|cellphone|"
    r"celular|cellulare|"
    r"móvil|movil|portable|telem[oó]vel|handy\w*|mobil\w*|fax|whats ?app|mobiel\w*|"
    r"(?:call|ring|text|reach|phone) (?:me|us|him|her|back)|dial|"
    r"appele[rz](?:-moi)?|rappele[rz](?:-moi)?|joindre|ll[aá]m[ae]\w*|chiamatemi|chiamami|"
    r"lig(?:ue|uem|ar)|bel (?:me|mij|ons)|erreichbar|anrufen|rufen sie|unter der nummer|ons nummer)"
    r"(?!\w)[^\n!?;\d]{0,30}$",
    re.IGNORECASE,
)


def mask_phones(text: str) -> str:
    """`<PHONE>` for telephone numbers; amounts, dates and numbers that no rule can tell stay."""
    if "+" in text or "00" in text:
        text = _INTERNATIONAL.sub(_mask_international, text)
    text = _AMERICAN.sub("<PHONE>", text)
    if "(" in text:
        text = _BRAZILIAN.sub("<PHONE>", text)
    if "0" in text:
        text = _TRUNK.sub(_mask_trunk, _PAIRS.sub("<PHONE>", text))
    return _RUN.sub(_mask_told, text)


def _mask_international(found: re.Match[str]) -> str:
    """The longest run of whole groups that a number plan knows: another number may follow the telephone's."""
    import phonenumbers

    written = found.group()
    explicit = written.startswith("+")
    for end in [len(written), *(place.start() for place in reversed(list(re.finditer(" ", written))))][:4]:
        try:
            number = phonenumbers.parse(written[:end] if explicit else f"+{written[2:end]}", None)
        except phonenumbers.NumberParseException:
            continue
        # `00...` may begin an order number, so there the number plan must know it; a `+` is plain speech.
        if phonenumbers.is_possible_number(number) if explicit else phonenumbers.is_valid_number(number):
            return f"<PHONE>{written[end:]}"
    return written


def _mask_trunk(found: re.Match[str]) -> str:
    written = found.group()
    return "<PHONE>" if 9 <= _digits(written) <= 12 and not _DATE.match(written) else written


def _mask_told(found: re.Match[str]) -> str:
    """A number that says itself nothing, when the words before it speak of a telephone."""
    written = found.group()
    if not 7 <= _digits(written) <= 15 or _DATE.match(written):
        return written
    before = found.string[max(0, found.start() - _WINDOW) : found.start()]
    return "<PHONE>" if _CONTEXT.search(before) else written


def _digits(written: str) -> int:
    return sum(map(str.isdigit, written))
