"""Numbers of tickets and of orders, told by the words before them.

`<TICKET>` says that the customer writes again about a case, `<ORDER>` that it is about something bought; the words
before stay (`invoice <ORDER>`), so nothing that a model can use is lost. Each number is looked at with a bounded number
of characters before it, so that the work is linear.
"""

from __future__ import annotations

import re

_ORDER_NOUNS = (
    r"orders?|bookings?|reservations?|invoices?|tracking|shipments?|parcel|package|confirmation|purchase|receipt|"
    r"policy|contract|po|"
    r"bestell|auftrag|rechnung|sendung|buchung|lieferung|paket|"
    r"commande|facture|colis|réservation|suivi|pedido|reserva|factura|envío|ordine|fattura|spedizione|prenotazione|"
    r"encomenda|fatura|compra|bestelling|bestel|factuur|zending|boeking|pakket"
)
_TICKET_NOUNS = (
    r"tickets?|cases?|incidents?|references?|ref|requests?|complaints?|claims?|"
    r"vorgang|vorgangs|aktenzeichen|fall|anfrage|beschwerde|dossier|demande|référence|réclamation|"
    r"incidencia|caso|solicitud|expediente|reclamación|pratica|segnalazione|richiesta|chamado|protocolo|"
    r"processo|zaak|melding|klacht"
)
_BEFORE = re.compile(
    rf"(?<![^\W_])(?:(?P<order>{_ORDER_NOUNS})|(?:{_TICKET_NOUNS}))"
    r"(?P<rest>(?:s?(?:nummer|nr|number|numero|code|id))?(?!\w)[^\d\n!?;]{0,30})$",
    re.I,
)
_NUMBERED = re.compile(  # says that what follows is a number, so that a short one counts too
    r"(?:number|nummer|numéro|numero|número|code|\bnum|\bno|nr|\bn)\b\.?|n[°ºo]\.?|\bids?\b|\bref\b|reference|[#:]",
    re.I,
)
_JOINED = re.compile(r"s?[\s.:(\[#]*(?:(?:is|was|ist|lautet|est|es|é|è)\s)?[(\[]?", re.I)
_DIGITS = re.compile(r"\d[\w/-]*")
_LEFT = 12  # characters of a code before its first digit, at most: `RD-DFA9EBA`
_SHORTEST, _LONGEST = 3, 40  # characters of a code
_WINDOW = 48
_UPPER_CODE = re.compile(r"[A-Z]{1,6}-[A-Z0-9]{4,}(?:-[A-Z0-9]+)*")
_DATE = re.compile(r"\d{1,4}([-/])\d{1,2}\1\d{1,4}")
_UNIT_AFTER = re.compile(
    r"(?:[.,:]\d|\s?(?:[€$£%°]|(?:eur|usd|gbp|chf|euros?|dollars?|pounds?|kg|km|cm|mm|min|minutes?|hours?|stunden|"
    r"minuten|uhr|people|times|mal|items?|pieces?|stück)\b))",
    re.I,
)
_THREAD = re.compile(r"ref:_?00D\w{5,20}\.?_?500\w{5,20}(?:![\w.]{1,40})?:ref")  # as Salesforce marks its mail


def mask_references(text: str) -> str:
    """`<TICKET>` and `<ORDER>` for numbers whose kind is named before them; quantities, amounts and dates stay."""
    if "ref:" in text:
        text = _THREAD.sub("<TICKET>", text)
    pieces: list[str] = []
    done = 0
    for found in _DIGITS.finditer(text):
        if found.end() - found.start() < _SHORTEST:  # as most are: two figures of an amount, a day
            before = text[found.start() - 1 : found.start()]
            if not before.isalnum() and before not in ("-", "_"):
                continue
        start, end = _code(text, found, done)
        kind = _kind(text, start, end) if start >= done else None
        if kind:
            pieces += [text[done:start], kind]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _code(text: str, digits: re.Match[str], done: int) -> tuple[int, int]:
    """The whole code around its first digits: `AB-1234-56`."""
    start = digits.start()
    first = max(done, start - _LEFT)
    while start > first and (text[start - 1].isalnum() or text[start - 1] in "-_"):
        start -= 1
    end = digits.end()
    while end > digits.start() and text[end - 1] in "-_/":
        end -= 1
    return start, end


def _kind(text: str, start: int, end: int) -> str | None:
    """The mask for a code that stands after the name of what it numbers; None for a quantity, an amount or a date."""
    code = text[start:end]
    if not _SHORTEST <= len(code) <= _LONGEST:
        return None
    digits = sum(map(str.isdigit, code))
    if digits < 3 and len(code) < 5:
        return None
    before = _BEFORE.search(text, max(0, start - _WINDOW), start)
    if before is None or _DATE.fullmatch(code) or _UNIT_AFTER.match(text, end):
        return None
    rest = before.group("rest")
    numbered = _NUMBERED.search(rest) is not None
    if not numbered and not _JOINED.fullmatch(rest):
        return None
    enough = digits >= 2 if numbered else digits >= 5 or (digits >= 3 and not code.isdigit())  # `my order 2024`
    if not enough and not _UPPER_CODE.fullmatch(code):
        return None
    return "<ORDER>" if before.group("order") else "<TICKET>"
