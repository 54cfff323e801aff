"""Cutting what is not the customer's own message from mail: earlier messages, signatures, the phone's advertising.

Line by line and linear: each line is looked at a fixed number of times, however long the thread is.
"""

from __future__ import annotations

import re

from pipeline.text.boilerplate import cut_boilerplate
from pipeline.text.clues import words_of

_ATTRIBUTION = re.compile(  # the line above a quoted reply, in the languages our users write
    r"(?:on\b.{4,300}\bwrote|am\b.{4,300}\b(?:schrieb\b.{0,120}|geschrieben)|le\b.{4,300}\ba écrit|"
    r"el\b.{4,300}\bescribió|"
    r"em\b.{4,300}\bescreveu|il\b.{4,300}\bha scritto|op\b.{4,300}\b(?:schreef\b.{0,120}|geschreven))\s?:",
    re.IGNORECASE,
)
_ATTRIBUTION_START = re.compile(r"(?:on|am|le|el|em|il|op)\s", re.IGNORECASE)
_ATTRIBUTION_BY_NAME = re.compile(  # `2026-03-03 10:00 Help <h@x.org>:` and `Help <h@x.org> schrieb am 03.03.2026:`
    r"\d{4}-\d\d-\d\d.{4,200}(?:>|\))\s?:|"
    r"(?:\S{1,60}\s){0,12}(?:<\S{3,80}>|\S{1,40}@\S{3,40})\s(?:wrote|schrieb|a écrit|escribió|ha scritto|escreveu|"
    r"schreef)\b\D{0,80}\d.{0,80}:",
    re.IGNORECASE,
)
_FORWARD_LINE = re.compile(
    r"[-_=\s]{2,}(?:original message|forwarded message|(?:original|ursprüngliche) ?-?nachricht|"
    r"weitergeleitete nachricht|"
    r"message d'origine|message original|message transféré|mensaje original|mensaje reenviado|mensagem original|"
    r"mensagem encaminhada|messaggio originale|messaggio inoltrato|oorspronkelijk bericht|"
    r"doorgestuurd bericht)[-_=\s]*|"
    r"_{20,}|begin forwarded message:|anfang der weitergeleiteten nachricht:|début du message (?:réexpédié|"
    r"transféré)\s?:|"
    r"inicio del mensaje reenviado:|inizio messaggio inoltrato:|begin doorgestuurd bericht:|"
    r"\W{0,8}(?:please )?(?:type|write|enter)?\s?(?:your )?(?:reply|answer|respond) above this line\W{0,8}|"
    r"\W{0,8}bitte (?:antworten sie|schreiben sie ihre antwort|geben sie ihre antwort) (?:ober|"
    r"über)(?:halb)? dieser (?:zeile|linie)"
    r"(?: ein)?\W{0,8}|\W{0,8}(?:merci de )?(?:saisi(?:r|ssez)|tap(?:er|"
    r"ez)) votre réponse au-dessus de cette ligne\W{0,8}|"
    r"\W{0,8}(?:por favor,? )?(?:escriba|escribe) su respuesta (?:por )?encima de esta línea\W{0,8}",
    re.IGNORECASE,
)
_FROM = re.compile(r"\*{0,2}(?:from|von|de|da|van)\*{0,2}\s?:\*{0,2}\s.{1,200}", re.IGNORECASE)
_HEADER = re.compile(
    r"\*{0,2}(?:from|to|cc|bcc|sent|date|subject|reply-to|importance|priority|von|an|gesendet|datum|betreff|kopie|"
    r"wichtigkeit|"
    r"de|à|envoyé|objet|importance|para|enviado(?: el| em)?|enviada(?: el| em)?|asunto|fecha|cco|assunto|data|da|a|"
    r"inviato|oggetto|"
    r"van|aan|verzonden|onderwerp)\*{0,2}\s?:\*{0,2}\s.{0,300}",
    re.IGNORECASE,
)
_ONLY_IN_MAIL = re.compile(  # `From: Berlin`, `To: Paris`, `Date: 3 May` may be a journey
    r"\*{0,2}(?:sent|subject|cc|bcc|reply-to|gesendet|betreff|envoyé|objet|enviad[oa]|asunto|assunto|inviato|oggetto|"
    r"verzonden|onderwerp)\b|.*(?:@|<EMAIL>)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:(?:with\s)?(?:many\s|kind(?:est)?\s|best\s|warm(?:est)?\s)?(?:thanks|regards|wishes)(?:\sand\s(?:kind\s|"
    r"best\s)?regards)?|best|"
    r"cheers|sincerely|yours\s(?:sincerely|faithfully|truly)|sincerely\syours|respectfully|thank\syou|thanks\sagain|"
    r"thanks\sin\sadvance|thx|ty|kr|br|mit\s(?:freundlichen|besten|lieben|herzlichen)\s(?:grüßen|grüssen)|"
    r"freundliche\sgrüße|"
    r"(?:viele|liebe|beste|schöne|herzliche)\s(?:grüße|grüsse)|(?:lieben\s|schönen\s|besten\s)?gru(?:ß|ss)|mfg|lg|vg|"
    r"(?:bien\s)?cordialement|bien\sà\s(?:vous|toi)|merci|sincères\ssalutations|meilleures\ssalutations|"
    r"(?:un\s)?(?:cordial\s)?saludos?(?:\scordial(?:es)?)?|gracias|atentamente|muy\satentamente|obrigad[oa]|"
    r"atenciosamente|"
    r"(?:com\sos\s)?(?:melhores\s)?cumprimentos|(?:cordiali|distinti)\ssaluti|saluti|grazie|"
    r"met\svriendelijke\sgroet(?:en)?|(?:hartelijke\s)?groet(?:en|jes)?|mvg)(?:\s(?:so|very)\smuch)?\s?[,.!]*",
    re.IGNORECASE,
)
_DEVICE = re.compile(
    r"(?:sent\s(?:from|via|with|using)\s(?:my\s|the\s)?(?:\w+\s){0,3}?(?:iphone|ipad|android|mobile|phone|samsung|"
    r"galaxy|huawei|"
    r"xiaomi|blackberry|windows|mail|yahoo|outlook|gmail|proton|spark|aol|tablet|smartphone|device)|get\soutlook\sfor|"
    r"(?:diese\snachricht\swurde\s)?von\smeinem\s.{2,80}\s(?:gesendet|geschickt)|gesendet\s(?:von|mit)\s|"
    r"outlook\sfür\s.{2,20}beziehen|"
    r"holen\ssie\ssich\soutlook|envoyé\s(?:de(?:puis)?|à\spartir\sde|avec)\s|(?:télécharge[rz]|obtene[rz])\soutlook|"
    r"enviado\s(?:desde|do|a\spartir\sdo|con|com)\s|inviato\s(?:da|dal\smio|con)\s|scarica\soutlook|"
    r"(?:verstuurd|verzonden)\s(?:vanaf|met)\s|download\soutlook).{0,80}",
    re.IGNORECASE,
)
_FIRST_WORDS = """
    with many kind kindest best warm warmest thanks regards wishes cheers sincerely yours respectfully thank thx
    ty kr br mit freundliche viele liebe beste schöne herzliche lieben schönen besten gruß gruss mfg lg vg bien
    cordialement merci sincères meilleures un cordial saludo saludos gracias atentamente muy obrigado obrigada
    atenciosamente com melhores cumprimentos cordiali distinti saluti grazie met hartelijke groet groeten
    groetjes mvg
"""  # the first words of the closings above
_CLOSING_STARTS = frozenset(_FIRST_WORDS.split())
_DEVICE_STARTS = frozenset("sgdvohetiSGDVOHETI")  # the first letters of a device's own line
_ABOVE_THIS_LINE = frozenset({"above", "dieser", "au-dessus", "encima"})  # of `reply above this line`
_SIGNATURE_LINES = 6  # what follows a closing: name, role, company, phone, address, site
_SIGNATURE_WIDTH = 60


def cut_mail(text: str) -> str:
    """The customer's own words. When cutting would leave nothing, the text comes back as it was."""
    written = cut_boilerplate(text)
    if written == text and "\n" not in text:
        return text  # the first line is never cut when it is all that there is
    lines = [line.strip() for line in written.split("\n")]
    own = _cut_signature(_cut_quotes(lines) if _may_quote("\n".join(lines)) else lines)
    return "\n".join(own) if any(own) else text


def _may_quote(text: str) -> bool:
    """Whether one of the marks is there without which no line is quoted and none introduces an earlier message."""
    return (
        text[0] in ">-_="
        or text[-1] == ":"
        or "\n>" in text
        or ":\n" in text
        or "\n-" in text
        or "\n_" in text
        or "\n=" in text
        or text.count(":") >= 3  # a header has three lines
        or not words_of(text).isdisjoint(_ABOVE_THIS_LINE)
    )


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
    if _ATTRIBUTION_START.match(line) and (length := _attribution(lines, number)):
        return length
    if line.endswith(":") and _dated(line) and _ATTRIBUTION_BY_NAME.fullmatch(line):
        return 1
    length = 1 if _FORWARD_LINE.fullmatch(line) else 0
    headers = 0
    while (
        headers < 8
        and number + length + headers < len(lines)
        and _HEADER.fullmatch(lines[number + length + headers][:500])
    ):
        headers += 1
    if length:
        return length + headers
    if headers < 3 or not _FROM.fullmatch(line):
        return 0
    return headers if any(_ONLY_IN_MAIL.match(one) for one in lines[number : number + headers]) else 0


def _attribution(lines: list[str], number: int) -> int:
    """How many lines the attribution that starts here fills: mail programs wrap it; 0 when it is none."""
    joined = ""
    for length, line in enumerate(lines[number : number + 3], start=1):
        if len(line) > 500 or not line:
            return 0
        joined = f"{joined} {line}" if joined else line
        if line.endswith(":"):
            return length if _dated(joined) and _ATTRIBUTION.fullmatch(joined) else 0
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
    if len(lines) - 1 > first and lines[-1][0] in _DEVICE_STARTS and _DEVICE.fullmatch(lines[-1][:200]):
        return len(lines) - 1
    for number in range(max(first + 1, len(lines) - 1 - 15), len(lines)):
        if lines[number] in ("--", "—"):
            return number
    for number in range(max(first + 1, len(lines) - 1 - _SIGNATURE_LINES), len(lines)):
        line = lines[number]
        if (
            0 < len(line) <= 50
            and line.split(None, 1)[0].rstrip(",.!").lower() in _CLOSING_STARTS
            and _CLOSING.fullmatch(line)
            and _is_signature(lines[number + 1 :])
        ):
            return number
    return None


def _is_signature(lines: list[str]) -> bool:
    return all(
        len(line) <= _SIGNATURE_WIDTH
        and not line.endswith("?")
        and not line.lower().startswith(("ps", "p.s"))
        and not _is_sentence(line)
        for line in lines
    )


def _is_sentence(line: str) -> bool:
    """`Also the invoice is wrong.` under a `Thanks`: names, roles and companies have few words in small letters."""
    return sum(word[0].islower() for word in line.split()) >= (3 if line.endswith((".", "!")) else 4)
