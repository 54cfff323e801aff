"""Cutting what mail systems add to a message: warnings about outside mail, legal disclaimers, unsubscribe and virus
scanner footers, a helpdesk's own lines.

Customers use the same words (`how do I unsubscribe?`), so a disclaimer must show several of its signs at once, a footer
must fill its line, and neither is looked for in what a customer begins with.
"""

from __future__ import annotations

import re

from pipeline.text.clues import lowercase, words_of

_HINTS = """
    confidential confidentiality privileged proprietary intended recipient recipients addressee vertraulich
    vertrauliche vertraulichen vertraulichkeit bestimmt empfänger adressat confidentiel confidentielle
    confidentiels confidentielles destinataire destinataires confidencial confidenciales confidenciais
    confidencialidad destinatario destinatarios destinatário riservato riservata riservate riservatezza
    destinatari vertrouwelijk vertrouwelijke geadresseerde bestemd unsubscribe browser abmelden abbestellen
    désabonner désinscrire desabonner recibe recibes baja ricevuto cancellati iscrizione recebendo recebeu
    inscrição ontvangt uitschrijven environment umwelt environnement ambiente imprimir imprimer stampare virus
    virus-free virenfrei viren zendesk freshdesk intercom mailchimp salesforce hubspot zoho gorgias kayako scout
    copyright rights external outside extern externe externen externo esterno außerhalb extérieur fuera
    attachments attachment anhänge
"""  # one of them stands in every boilerplate that is known here; most tickets have none
_WORDS = frozenset(_HINTS.split())
_PHRASES = {  # words that customers use as well: the phrase must be there too
    **{
        "this": ("receiving this", "received this", "got this", "is a service"),
        "longer": ("no longer wish", "no longer want"),
    },
    **{"receive": ("to receive",), "diese": ("erhalten diese",), "recevez": ("vous recevez",), "front": ("by front",)},
}
_PHRASE_WORDS = frozenset(_PHRASES)
_PREFIX = re.compile(
    r"[\[(*]{1,3}(?:external|ext|extern|externe|externo|esterno)(?:[ -](?:e-?mail|sender|message|"
    r"absender))?[\])*]{1,3}:?[ ]?",
    re.IGNORECASE,
)
_BANNER = re.compile(
    r"\W{0,5}(?:caution|warning|attention|notice|external|be careful|this (?:e-?mail|message) (?:originated|came|"
    r"was sent) from|"
    r"achtung|vorsicht|hinweis|externe|diese (?:e-?mail|nachricht) (?:stammt|kommt|wurde)|prudence|avertissement|"
    r"ce (?:message|courriel) "
    r"provient|precaución|atención|advertencia|este (?:correo|mensaje) (?:proviene|procede)|attenzione|let op)\b"
    r".{0,120}(?:outside|external (?:e-?mail|sender|source|mail)|extern\w{0,3}|außerhalb|extérieur|externo|esterno|"
    r"fuera de)\b.{0,300}|"
    r"(?:please )?(?:do not|don't) click (?:on )?(?:any )?links? or open (?:any )?attachments?.{0,200}|"
    r"klicken sie nicht auf links.{0,200}",
    re.IGNORECASE,
)
_FOOTER = re.compile(
    r"(?:to |click here to |click to )?unsubscribe(?:\W*|(?!.*\bme\b).{0,80}(?:click|here|link|preferences|https?:|"
    r"www\.|<url>|\|).{0,120})|"
    r"you(?: are|'re|’re)? (?:now )?(?:receiv(?:ing|ed)|got) this (?:e-?mail|message|newsletter) (?:because|as|"
    r"since).{0,250}|"
    r"if you (?:no longer|do not|don't) (?:wish|want) to receive .{0,250}|"
    r"(?:view|open|read) (?:this (?:e-?mail|message|newsletter) )?in (?:your |the )?browser.{0,80}|"
    r"sie erhalten diese (?:e-?mail|nachricht|newsletter).{0,250}|(?:hier |vom )?(?:newsletter )?(?:abmelden|"
    r"abbestellen)\W*|"
    r"vous recevez ce(?:t| )?\s?(?:e-?mail|message|courriel) (?:car|parce).{0,250}|(?:pour )?(?:vous|"
    r"se) d[ée]s(?:abonner|inscrire).{0,150}|"
    r"(?:usted )?recibe[s]? este (?:correo|mensaje|e-?mail) porque.{0,250}|darse de baja\W*|"
    r"hai ricevuto quest[ao] (?:e-?mail|messaggio) perch[ée].{0,250}|cancella(?:ti| l'iscrizione)\W*|"
    r"você (?:está recebendo|recebeu) est[ea] (?:e-?mail|mensagem) porque.{0,250}|cancelar (?:a )?inscrição\W*|"
    r"(?:je|u) ontvangt deze (?:e-?mail|nieuwsbrief) omdat.{0,250}|uitschrijven\W*|"
    r".{0,80}consider the environment before printing.{0,120}|.{0,80}an die umwelt.{0,60}(?:drucken|ausdrucken).{0,60}|"
    r".{0,40}(?:environnement|medio ambiente|ambiente).{0,60}imprim.{0,80}|(?:antes de imprimir|avant d'imprimer|"
    r"prima di stampare).{0,150}|"
    r"virus-?free\b.{0,80}|virenfrei\b.{0,80}|libre de virus\b.{0,80}|garanti sans virus\b.{0,80}|"
    r"this (?:e-?mail|message) (?:has been|was) (?:checked|scanned).{0,120}|diese (?:e-?mail|"
    r"nachricht) wurde .{0,60}viren.{0,80}|"
    r"this (?:e-?mail|message) is a service from .{0,100}|(?:delivered|powered) by (?:zendesk|freshdesk|intercom|"
    r"help ?scout|salesforce|"
    r"hubspot|zoho|gorgias|kayako|front)\b.{0,60}|sent via (?:zendesk|freshdesk|intercom|mailchimp)\b.{0,60}|"
    r"(?:©|\(c\)|copyright\s?©?)\s?(?:19|20)\d\d\b.{0,150}|.{0,80}all rights reserved\W*",
    re.IGNORECASE,
)
_THREAD_MARK = re.compile(r"\[[0-9A-Z]{6}-[0-9A-Z]{4,5}\]")  # Zendesk's, on a line of its own
_DISCLAIMER_START = re.compile(
    r"(?:\*+ ?)?(?:confidentiality (?:notice|note|statement)|disclaimer|legal notice|"
    r"(?:this|the (?:information|content)s?.{0,40}(?:this|the)) (?:e-?mail|message|communication|transmission)|"
    r"if you (?:are not|have received|received)|"
    r"diese (?:e-?mail|nachricht)|der inhalt dieser|(?:falls|wenn|sollten) sie (?:nicht|diese)|vertraulichkeitshinweis|"
    r"ce (?:message|courriel|mail)|cet e-?mail|si vous n(?:'|’)êtes pas|si vous avez reçu|avis de confidentialité|"
    r"este (?:mensaje|correo|e-?mail)|si (?:usted )?(?:no es|ha recibido)|aviso (?:legal|de confidencialidad)|"
    r"esta mensagem|se (?:não|você|recebeu)|aviso de confidencialidade|"
    r"quest[ao] (?:e-?mail|messaggio)|il presente messaggio|le informazioni contenute|se (?:non siete|avete|ha) |"
    r"dit (?:e-?mail)?bericht|deze e-?mail|de informatie in|indien u)",
    re.IGNORECASE,
)
_SIGNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"confiden|privileged|proprietary|vertraulich|riservat|vertrouwelijk",
        r"intended|addressee|named (?:above|recipient)|recipient|bestimmt|empfänger|adressat|destinat|geadresseerde|"
        r"bestemd",
        r"in error|unauthori[sz]ed|prohibited|irrtümlich|unbefugt|nicht gestattet|par erreur|interdit|por error|prohib|"
        r"por engano|proibid|per errore|vietat|abusievelijk|onterecht|verboden|not permitted",
        r"delete|destroy|notify|löschen|vernichten|informieren|verständigen|détruire|supprimer|avertir|elimin|borr[ae]|"
        r"notifi|avis[ea]|apag(?:ar|ue)|cancell|verwijder|vernietig",
    )
)
_SIGNS_NEEDED = 3
_READ = 6_000  # characters of a paragraph in which a disclaimer is looked for


def cut_boilerplate(text: str) -> str:
    """The text without boilerplate; as it was when nothing else would be left."""
    if "]" not in text and "©" not in text and not _may_hold(text, words_of(text)):
        return text
    own = _cut_lines(_cut_disclaimers(text))
    return own if own.strip() else text


def cut_external_mark(line: str) -> str:
    """A subject or a line without `[EXTERNAL]` before it."""
    found = _PREFIX.match(line)
    return line[found.end() :] if found else line


def _may_hold(text: str, words: frozenset[str]) -> bool:
    if not words.isdisjoint(_WORDS):
        return True
    if words.isdisjoint(_PHRASE_WORDS):
        return False
    lowered = lowercase(text)
    return any(phrase in lowered for word in words & _PHRASE_WORDS for phrase in _PHRASES[word])


def _cut_disclaimers(text: str) -> str:
    """Each paragraph up to where a disclaimer begins in it."""
    kept = []
    for paragraph in text.split("\n\n"):
        read = paragraph[:_READ]
        if sum(sign.search(read) is not None for sign in _SIGNS) >= _SIGNS_NEEDED:
            last = [max((found.start() for found in sign.finditer(read)), default=-1) for sign in _SIGNS]
            for start in _DISCLAIMER_START.finditer(read):
                if sum(place >= start.start() for place in last) < _SIGNS_NEEDED:
                    break
                if start.start() == 0 or not read[start.start() - 1].isalnum():
                    paragraph = paragraph[: start.start()].rstrip()  # noqa: PLW2901  # what stands above it stays
                    break
        kept.append(paragraph)
    return "\n\n".join(kept)


def _cut_lines(text: str) -> str:
    kept: list[str] = []
    written = False
    for line in text.split("\n"):
        own = cut_external_mark(line) if line[:1] in ("[", "(", "*") else line
        if 3 < len(own) <= 600 and (
            _BANNER.fullmatch(own) or (written and (_FOOTER.fullmatch(own) or _THREAD_MARK.fullmatch(own)))
        ):
            continue
        kept.append(own)
        written = written or bool(own)
    return "\n".join(kept)
