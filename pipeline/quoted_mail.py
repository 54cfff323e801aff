"""Cutting what is not the customer's own message from mail: earlier messages, signatures, the phone's advertising.

Line by line and linear: each line is looked at a fixed number of times, however long the thread is.
"""

from __future__ import annotations

import re

_ATTRIBUTION = re.compile(  # the line above a quoted reply, in the languages our users write
    r"(?:on\b.{4,300}\bwrote|am\b.{4,300}\bschrieb\b.{0,120}|le\b.{4,300}\ba écrit|el\b.{4,300}\bescribió|"
    r"em\b.{4,300}\bescreveu|il\b.{4,300}\bha scritto|op\b.{4,300}\bschreef\b.{0,120})\s?:",
    re.IGNORECASE,
)
_ATTRIBUTION_START = re.compile(r"(?:on|am|le|el|em|il|op)\s", re.IGNORECASE)
_FORWARD_LINE = re.compile(
    r"[-_=\s]{2,}(?:original message|forwarded message|original-nachricht|ursprüngliche nachricht|"
    r"weitergeleitete nachricht|"
    r"message d'origine|message transféré|mensaje original|mensaje reenviado|mensagem original|messaggio originale|"
    r"oorspronkelijk bericht)[-_=\s]*|_{20,}",
    re.IGNORECASE,
)
_FROM = re.compile(r"\*?(?:from|von|de|da|van)\*?\s?:\s.{1,200}", re.IGNORECASE)
_HEADER = re.compile(
    r"\*?(?:from|to|cc|sent|date|subject|reply-to|von|an|gesendet|datum|betreff|de|à|envoyé|objet|para|enviado|asunto|fecha|"
    r"assunto|da|a|inviato|oggetto|van|aan|verzonden|onderwerp)\*?\s?:\s.{0,300}",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:with\s)?(?:many\s|kind(?:est)?\s|best\s|warm(?:est)?\s)?(?:thanks|regards|wishes)(?:\sand\s(?:kind\s|best\s)?regards)?|best|"
    r"cheers|sincerely|yours\s(?:sincerely|faithfully|truly)|sincerely\syours|respectfully|thank\syou|thanks\sagain|"
    r"thanks\sin\sadvance|thx|ty|mit\sfreundlichen\sgrüßen|(?:viele|liebe|beste)\sgrüße|mfg|lg|vg|cordialement|bien\sà\svous|merci|"
    r"(?:un\s)?saludos?(?:\scordial(?:es)?)?|gracias|atentamente|obrigad[oa]|atenciosamente|cordiali\ssaluti|grazie|"
    r"met\svriendelijke\sgroet(?:en)?|groeten)(?:\s(?:so|very)\smuch)?\s?[,.!]*",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"(?:sent\s(?:from|via)\s(?:my|the)?\b|get\soutlook\sfor|sent\swith\s(?:proton|spark)|von\smeinem\s.{2,40}\sgesendet|"
    r"gesendet\svon\smein|envoyé\sde(?:puis)?\smon|enviado\sdesde\smi|enviado\sdo\smeu|inviato\sda(?:l\smio)?\s).{0,80}",
    re.IGNORECASE,
)
_SIGNATURE_LINES = 6  # what follows a closing: name, role, company, phone, address, site
_SIGNATURE_WIDTH = 60


def cut_mail(text: str) -> str:
    """The customer's own words. When cutting would leave nothing, the text comes back as it was."""
    lines = [line.strip() for line in text.split("\n")]
    own = _cut_signature(_cut_quotes(lines))
    return "\n".join(own) if any(own) else text


def _cut_quotes(lines: list[str]) -> list[str]:
    """Leave out `>` lines; stop at an earlier message, unless nothing stands above it: then it is what the mail is
    about."""
    kept: list[str] = []
    written = False
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.startswith(">"):
            number += 1
        elif length := _earlier_message(lines, number):
            number += length
            if written and not _quoted_next(lines, number):
                return kept
        else:
            kept.append(line)
            written = written or bool(line)
            number += 1
    return kept


def _earlier_message(lines: list[str], number: int) -> int:
    """How many lines, from this one on, introduce an earlier message; 0 when none does."""
    line = lines[number]
    if len(line) > 500 or not line:
        return 0
    if _ATTRIBUTION_START.match(line):
        if _dated(line) and _ATTRIBUTION.fullmatch(line):
            return 1
        if not line.endswith(":") and number + 1 < len(lines) and len(lines[number + 1]) <= 500:
            wrapped = f"{line} {lines[number + 1]}"
            if _dated(wrapped) and _ATTRIBUTION.fullmatch(wrapped):
                return 2
    length = 1 if _FORWARD_LINE.fullmatch(line) else 0
    headers = 0
    while (
        headers < 8
        and number + length + headers < len(lines)
        and _HEADER.fullmatch(lines[number + length + headers][:500])
    ):
        headers += 1
    if length or (headers >= 3 and _FROM.fullmatch(line)):
        return length + headers
    return 0


def _dated(line: str) -> bool:
    """Mail programs name a date or an address; `On Monday the driver wrote:` in a complaint has neither."""
    return any(character.isdigit() for character in line) or "@" in line or "<EMAIL>" in line


def _quoted_next(lines: list[str], number: int) -> bool:
    while number < len(lines) and not lines[number]:
        number += 1
    return number < len(lines) and lines[number].startswith(">")


def _cut_signature(lines: list[str]) -> list[str]:
    kept = list(lines)
    first = next((number for number, line in enumerate(kept) if line), 0)
    while True:
        while kept and not kept[-1]:
            kept.pop()
        start = _signature_start(kept, first)
        if start is None:
            return kept
        del kept[start:]


def _signature_start(lines: list[str], first: int) -> int | None:
    """Where the signature at the end begins; None when there is none or nothing stands above it."""
    if len(lines) - 1 > first and _DEVICE.fullmatch(lines[-1][:200]):
        return len(lines) - 1
    for number in range(max(first + 1, len(lines) - 1 - 15), len(lines)):
        if lines[number] in ("--", "—"):
            return number
    for number in range(max(first + 1, len(lines) - 1 - _SIGNATURE_LINES), len(lines)):
        if len(lines[number]) <= 50 and _CLOSING.fullmatch(lines[number]) and _is_signature(lines[number + 1 :]):
            return number
    return None


def _is_signature(lines: list[str]) -> bool:
    return all(
        len(line) <= _SIGNATURE_WIDTH and not line.endswith("?") and not line.lower().startswith(("ps", "p.s"))
        for line in lines
    )
