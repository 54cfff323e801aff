"""Names of people where a rule can tell: in greetings, introductions, after titles, in closings and signatures.

A name alone says nothing to a rule; these places do. Phrases are looked for in the text in small letters, which is
many times faster than one pattern with all of them, and what follows is read as a name or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pipeline.text.clues import lowercase
from pipeline.text.first_names import FIRST_NAMES

UPPER = "A-ZÀ-ÖØ-Þ"
NAME_WORD = rf"[{UPPER}][\w'’-]{{1,24}}"  # of a person, a street, a city
_PARTICLE = r"(?:de\sla|de\slos|de|del|della|da|dos|di|van\sder|van\sden|van\sde|van|von|zu|le|la|bin|al)\s"
_NAME = re.compile(rf"(?:[{UPPER}]\.\s?)?{NAME_WORD}(?:[ ](?:{_PARTICLE})?(?:[{UPPER}]\.(?!\w)|{NAME_WORD})){{0,3}}")
_FIRST_AND_LAST = re.compile(rf"{NAME_WORD}(?:[ ]{NAME_WORD}){{0,2}}")  # `soy Carlos de Sevilla` names a city
_TITLE = (
    r"(?:mrs?|ms|miss|mx|dr|prof|herrn?|frau|monsieur|madame|mademoiselle|m|mme|mlle|señora?|sra?|don|doña|"
    r"signora?|sig(?:\.ra|nora|\.na)?|dott(?:\.ssa|oressa)?|senhora?|dona|heer|mevrouw|dhr|mevr|mw)"
)
_GREETING = re.compile(
    r"(?:hi|hello|hey|hiya|dear|good\s(?:morning|afternoon|evening|day)|hallo|moin|servus|liebe[r]?|lieve|"
    r"guten\s(?:tag|morgen|abend)|sehr\sgeehrte[r]?|grüezi|bonjour|bonsoir|salut|ch(?:er|ère)|hola|buen(?:os|"
    r"as)\s(?:días|"
    r"tardes|noches)|buenas|estimad[oa]|querid[oa]|olá|ola|oi|bom\sdia|boa\s(?:tarde|noite)|prezad[oa]|car[oa]|ciao|"
    rf"buongiorno|buonasera|salve|gentile|egregio|beste|geachte|dag|hoi|goede(?:morgen|middag|"
    rf"navond))\s(?:{_TITLE}\.?\s){{0,2}}",
    re.IGNORECASE,
)
_GREETED_END = re.compile(r"\s?(?:[,!:.–-]|$|\n)")
_GREETINGS = """
    hi hello hey hiya dear good hallo moin servus liebe lieber lieve guten sehr grüezi bonjour bonsoir salut
    cher chère hola buenos buenas estimado estimada querido querida olá ola oi bom boa prezado prezada caro cara
    ciao buongiorno buonasera salve gentile egregio beste geachte dag hoi goede goedemorgen goedemiddag
    goedenavond
"""  # the first words of the greetings above
_GREETING_STARTS = frozenset(_GREETINGS.split())
_SIGNED = re.compile(
    r"(?<!\w)(?i:mfg|lg|vg|love|thanks(?:\s(?:again|a\slot|in\sadvance|so\smuch))?|thank\syou|thx|regards|wishes|"
    r"cheers|sincerely|faithfully|truly|best|grüße|grüßen|gruß|gruss|grüsse|cordialement|sentiments|salutations|"
    r"bien\sà\s(?:vous|toi)|merci|saludos?|gracias|atentamente|cordialmente|obrigad[oa]|atenciosamente|cumprimentos|"
    r"saluti|"
    rf"grazie|groet(?:en|jes)?)\s?[,!.–-]{{0,2}}\s({_NAME.pattern})\.?\s*\Z"
)
_TAIL = 120  # characters at the end in which a closing is looked for
_SIGNATURE_LINES = 6

# After these any capitalised word is a name.
_TELLING = (
    "my name is |full name is |first name is |last name is |his name is |her name is |my name's |i'm called |"
    "i am called |mein name ist |ich heiße |ich heisse |m'appelle |m’appelle |nom est |llamo |nombre es |nome é |"
    "nome è |chamo-me |me chamo |chiamo |naam is |ik heet "
)
_TITLES = (
    "mr |mr. |mrs |mrs. |ms |ms. |miss |herr |herrn |frau |monsieur |madame |mme |señor |señora |sr. |sra. |signor |"
    "signora |sig. |sig.ra |senhor |senhora |heer |mevrouw |dhr. |mevr. "
)
# After these only what is known as a first name: `I am Very Angry`.
_HINTING = "i am |i'm |i’m |this is |ich bin |hier ist |soy |je suis |c'est |sono |sou |ik ben "


def _by_last_word(phrases: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """The phrases by the word that must be in the text for them, and then by their last two words."""
    found: dict[str, dict[str, list[str]]] = {}
    for phrase in phrases:
        words = phrase.split()
        ends = found.setdefault(words[-1].strip(".").replace("’", "'"), {})
        ends.setdefault(f"{' '.join(words[-2:])} ", []).append(phrase)
    return found


_PHRASES = _by_last_word(f"{_TELLING}|{_TITLES}|{_HINTING}".split("|"))
_NEEDS_KNOWN = frozenset(_HINTING.split("|"))
_ALSO_VERBS = frozenset({"miss "})  # titles only with a capital: `I miss Spotify`
_PHRASE_WORDS = frozenset(_PHRASES)
TELLING_WORDS = _PHRASE_WORDS | _GREETING_STARTS | {"here"}
_DEGREE = re.compile(r"(?:Dr|Prof|Ing)\.\s")
_OTHER_WORDS = """
    all agent admin anyone assistance bank care company customer everyone everybody friend friends help helpdesk
    hotline ladies gentlemen madam ma'am manager mr mrs ms please representative service services sir sirs
    support team there to again a an and i if is it the my we you your was on in at for not no but so with have
    has had can could will would since because when account order refund yours bureau bye consumer hotel ticket app
    card urgent thank thanks regards best sent monday tuesday wednesday thursday friday saturday sunday und oder
    ich wir sie hat ist hatte wird kann das der die den dem ein eine mein meine nicht am im zusammen
    kundenservice kundendienst leute herren damen madame monsieur messieurs mesdames tous toutes équipe client
    et je vous mon señor señora señores equipo todos cliente y yo signori tutti assistenza e io sig pessoal
    equipa equipe todos allemaal klantenservice team heer mevrouw
"""
_NO_NAME = frozenset(_OTHER_WORDS.split())


def mask_names(text: str, words: frozenset[str]) -> str:
    """`<NAME>` for names that a greeting, an introduction, a title, a closing or a signature gives away.

    `words` are those of the text in small letters, or those of them that are TELLING_WORDS.
    """
    spans = list(_closed(text))
    if not words.isdisjoint(_GREETING_STARTS):
        spans += _in_greetings(text)
    if "\n" in text:
        spans += _in_signatures(text)
    if not words.isdisjoint(_PHRASE_WORDS):
        lowered = lowercase(text)
        ends = [end for word in words & _PHRASE_WORDS for end in _PHRASES[word].items() if end[0] in lowered]
        if ends:
            spans += _introduced(text, lowered, [phrase for _, phrases in ends for phrase in phrases])
    if "here" in words:
        spans += _here(text, lowercase(text))
    if not spans:
        return text
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], "<NAME>"]
            done = end
    return "".join([*pieces, text[done:]])


def _introduced(text: str, lowered: str, phrases: Iterable[str]) -> Iterator[tuple[int, int]]:
    for phrase in phrases:
        known = phrase in _NEEDS_KNOWN
        at = lowered.find(phrase)
        while at >= 0:
            start = at + len(phrase)
            verb = phrase in _ALSO_VERBS and text[at].islower()
            if not verb and (at == 0 or not lowered[at - 1].isalnum()):
                degree = _DEGREE.match(text, start)
                start = degree.end() if degree else start
                found = (_FIRST_AND_LAST if known else _NAME).match(text, start)
                span = _name(text, start, found.end(), known=known) if found else None
                if span:
                    yield span
            at = lowered.find(phrase, start)


def _here(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    """`Hi, Ella here`"""
    at = lowered.find(" here")
    while at >= 0:
        start = max(lowered.rfind(" ", max(0, at - 25), at), lowered.rfind("\n", max(0, at - 25), at)) + 1
        if lowered[start:at] in FIRST_NAMES and text[start].isupper():
            yield start, at
        at = lowered.find(" here", at + 5)


def _in_greetings(text: str) -> Iterator[tuple[int, int]]:
    """`Hi John,` at the start of a line."""
    start = 0
    for line in text.split("\n"):
        first = line[:14].split(None, 1)[:1]  # no greeting begins with a longer word
        if first and first[0].lower() in _GREETING_STARTS and (greeting := _GREETING.match(line)):
            span = _greeted(line, greeting.end())
            if span:
                yield start + span[0], start + span[1]
        start += len(line) + 1


def _in_signatures(text: str) -> Iterator[tuple[int, int]]:
    """A name on a line of its own near the end: under a line that ends with a comma, or with a known first name."""
    lines = text.split("\n")
    start = len(text)
    for number in range(len(lines) - 1, max(0, len(lines) - 1 - _SIGNATURE_LINES), -1):
        line = lines[number]
        start -= len(line)
        if 1 < len(line) <= 60 and line[0].isupper() and (found := _NAME.match(line)) and found.end() == len(line):
            above = lines[number - 1] or lines[max(0, number - 2)]
            signed = above.endswith(",") and len(above) <= 40
            span = _name(text, start, start + len(line), known=not signed)
            if span and span[1] == start + len(line):
                yield span
        start -= 1


def _greeted(line: str, start: int) -> tuple[int, int] | None:
    found = _NAME.match(line, start)
    if found is None:  # `hi john,`
        end = start
        while end < len(line) and line[end].isalpha():
            end += 1
        known = line[start:end] in FIRST_NAMES and _GREETED_END.match(line, end)
        return (start, end) if known else None
    shouted = found.group().isupper() and not line[:start].isupper()  # `Dear CFPB,`
    span = _name(line, start, found.end(), known=shouted)
    return span if span and _GREETED_END.match(line, span[1]) else None


def _closed(text: str) -> Iterator[tuple[int, int]]:
    """`Thanks, Mary` at the very end."""
    last = text.rstrip(" .\n").rpartition(" ")[2].rpartition("\n")[2]
    if not last[:1].isupper():
        return
    if found := _SIGNED.search(text, max(0, len(text) - _TAIL)):
        span = _name(text, *found.span(1), known=False)
        if span:
            yield span


def _name(text: str, start: int, end: int, *, known: bool) -> tuple[int, int] | None:
    """Where the name ends: before the first word that is none. None when that is the first."""
    position = start
    for number, word in enumerate(text[start:end].split(" ")):
        plain = word.strip(".").lower()
        if plain in _NO_NAME or (number == 0 and known and plain.split("-")[0] not in FIRST_NAMES):
            break
        position += len(word) + 1
    return (start, position - 1) if position > start else None
