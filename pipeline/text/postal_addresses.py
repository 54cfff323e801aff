"""Postal addresses where a rule can tell: a street and a number in the usual order of a language, a post office box,
a British postcode.

A number is looked at with a bounded number of characters around it, so that the work is linear. A city without a
postcode stays: it tells the model where, and names nobody.
"""

from __future__ import annotations

import re

from pipeline.text.personal_names import NAME_WORD, UPPER

_DIGITS = re.compile(r"\d\d*")  # not `\d+`, which `re` looks for at every character
_NO_STREET_BEFORE = frozenset("0123456789.,/€$£#:-+_")
_WINDOW = 60  # characters before a house number
_LONGEST = 5  # digits of a house number or a postcode

_ENGLISH = re.compile(  # 742 Evergreen Terrace, 350 5th Ave, 62 station road
    rf"\d{{1,5}}[A-Za-z]?(?:-\d{{1,4}})?\s(?:[NSEW]\.?\s)?(?:(?:{NAME_WORD}|\d{{1,3}}(?:st|nd|rd|th))\.?\s){{1,4}}?"
    r"(?:Street|Road|Avenue|Lane|Drive|Boulevard|Court|Place|Square|Terrace|Way|Close|Crescent|Gardens|Grove|Mews|"
    r"Parkway|"
    r"Highway|Quay|STREET|ROAD|AVENUE|LANE|DRIVE|(?:St|Rd|Ave|Ln|Dr|Blvd|Ct|Sq|Pkwy|Hwy)(?!\w)\.?)(?!\w)"
    r"(?:\s(?:NW|NE|SW|SE|[NSEW])(?!\w))?|"
    r"\d{1,4}[a-z]?\s(?!on\s|the\s|way\s|wrong\s|busy\s|more\s|different\s|other\s|lane\s|per\s|in\s|of\s|long\s|"
    r"empty\s)"
    r"[a-z]{3,15}\s(?:street|road|avenue|lane|boulevard)(?!\w)"
)
_ROAD_NUMBER = re.compile(r"(?<=Road|ROAD)\s\d{1,4}(?=,)|(?<=Highway)\s\d{1,4}")  # County Road 12
_NO_STREET = re.compile(
    r"(?:usb|hard|google|flash|external|pen|thumb|disk|state|one|test|tennis|food|cent|windows|first|star|supreme|"
    r"high)\s"
    r"(?:drive|court|place|way|close|avenue|square)",
    re.I,
)
_FRENCH = re.compile(  # 12 rue de la Paix, 8 bis avenue Victor Hugo
    r"\d{1,4}(?:\s?(?:bis|ter|quater|[A-D])(?!\w))?,?\s(?i:rue|avenue|av\.|boulevard|bd\.?|place|allée|chemin|"
    r"impasse|quai|"
    r"cours|route|square|passage|faubourg)"
    rf"\s(?:(?i:de\sla|de\sl['’]|du|des|de|d['’]|la|le|les|l['’])\s?)?{NAME_WORD}(?:\s(?:(?:de|du|des|la|"
    rf"le)\s)?{NAME_WORD}){{0,2}}"
)
_SPANISH = r"Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Pza\.?|Paseo|Carretera|Ctra\.?|Ronda|Camino|Travesía|Glorieta"
_PORTUGUESE = r"Rua|Travessa|Praça|Largo|Estrada|Alameda"
_ITALIAN = r"Via|Viale|Piazza|P\.zza|Corso|Vicolo|Strada"
_ROMANCE = re.compile(  # Calle Mayor 15, Via Roma 12, Rua Augusta, 123
    rf"(?<!\w)(?:{_SPANISH}|{_PORTUGUESE}|{_ITALIAN})\s?(?:(?:de\slas?|de\slos|del(?:la|l['’])?|dei|degli|de|do|da|"
    rf"dos|das|di|"
    rf"d['’])\s)?{NAME_WORD}(?:\s(?:(?:de|del|do|da|di|e|y)\s)?(?:{NAME_WORD}|[IVX]{{1,4}})){{0,3}}"
    r",?\s(?:n\.?\s?[ºo°]\.?\s?|núm(?:ero)?\.?\s)?$"
)
_GERMAN_STREET = r"(?:[Ss]traße|[Ss]trasse|[Ss]tr\.|weg|platz|allee|gasse|damm|chaussee|ufer|steig)"
_DUTCH_STREET = r"(?:straat|laan|weg|plein|gracht|kade|dijk|singel|steeg)"
_NOT_A_STREET = (
    r"(?!(?i:park|sitz|steh|stell|arbeits|spiel|lager|schlaf|um|heim|rück|hin|schul|geh|fahr|onder|snel|terug|aus|"
    r"ab|bürger|"
    r"bahn)(?:platz|weg|steig)\b)"
)
_NUMBER_LAST = re.compile(  # Musterstraße 12a, Berliner Straße 100, Kerkstraat 14
    rf"(?<!\w)(?:{NAME_WORD}\s)?(?:Straße|Strasse|Str\.|Allee|Damm|Chaussee|Ufer)\s$|"
    rf"(?<!\w)(?!(?:Auf|Den|Der|Ein|Mein|Ihr|Unser|Dieser|Kein)\s){NAME_WORD}\s(?:Platz|Weg)\s$|"  # `Platz 12`: a seat
    rf"(?<!\w){_NOT_A_STREET}[{UPPER}][\w-]{{1,30}}?(?:{_GERMAN_STREET}|{_DUTCH_STREET})\s$"
)
_NAMED_PLACE = re.compile(  # Unter den Linden 77, Am Markt 5: told by the postcode and city that follow
    rf"(?<!\w)(?:(?:Am|An\sder|An\sden|Auf\sdem|Auf\sder|Im|In\sder|In\sden|Unter\sden|Zum|Zur|Alte[rn]?|"
    rf"Hinter\sdem)\s)?{NAME_WORD}\s$"
)
_BOX = re.compile(
    r"(?<!\w)(?i:p\.?\s?o\.?\s?box|postfach|apartado(?:\sde\scorreos)?|apdo\.?|boîte\spostale|casella\spostale|postbus|"
    r"caixa\spostal)\s?$|(?<!\w)(?:BP|C\.P\.)\s$"
)
_BOX_WORDS = frozenset({"box", "postfach", "apartado", "correos", "apdo", "apdo.", "postale", "postbus", "postal"})
_BOX_NUMBER = re.compile(r"\d{2}(?:\s\d{2}){1,3}(?!\w)|\d+")  # a German box is written in pairs: 10 20 30
_FLAT_BEFORE = re.compile(r"(?<!\w)(?i:flat|apt\.?|apartment|unit|suite)\s(?:\d\w{0,3}|[A-Z]\d{0,2}),?\s$")
_BRITISH_POSTCODE = r"[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]?\s\d[ABD-HJLNP-UW-Z]{2}(?!\w)"
_POSTCODE_ALONE = re.compile(r"[A-PR-UWYZ](?<!\w\w)[A-HK-Y]?\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}(?!\w)")
_POSTCODE_END = re.compile(r"\d[ABD-HJLNP-UW-Z]{2}(?!\w)")
_CITY = (
    rf"(?:(?:New|San|Santa|Los|Las|Saint|St\.?|Bad|Den|La|Le|El|Fort|Port|Salt|São|Vila|Nova)[\s-])?{NAME_WORD}"
    rf"(?:\s(?:am|an\sder|upon|sur|de|del)\s{NAME_WORD})?"
)
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|"
    r"W[AIVY])"
)
_POSTCODE_AND_CITY = rf"(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?:-\d{{3}})?(?:\s[A-Z]{{2}}(?!\w))?\s{_CITY}"
_REST = re.compile(  # what may follow street and number
    r"(?:[a-zA-Z](?!\w)|\s[a-z](?=[,\s]))?(?:\s?[-/]\s?\w{1,3}(?!\w))?"
    r"(?:,?\s(?i:apt|apartment|flat|unit|suite|ste|wohnung|piso|apto|appartement|bât|étage|int|scala|bus|"
    r"top)\.?\s?[\w-]{1,6}"
    r"|,\s\d{1,2}\s?[ºª°](?:\s\w(?!\w))?)?"
    rf"(?:,?\s(?:{_POSTCODE_AND_CITY}|(?:{_CITY},?\s)?(?:{_BRITISH_POSTCODE})|"
    rf"{_CITY},?\s{_STATE}\s\d{{5}}(?:-\d{{4}})?))?"
)
_CITY_FIRST = re.compile(rf"(?<!\w)\d{{4,5}}\s{_CITY},\s$")
_POSTCODE_NEXT = re.compile(rf"\d{{1,4}}[a-z]?,?\s{_POSTCODE_AND_CITY}")
_UNIT_AFTER = re.compile(
    r"\d{1,5}(?:[.,:]\d|\s?(?:[€$£%°]|(?i:x|min|minuten|minutes?|minutos|minuti|km|m|uhr|euros?|eur|usd|stunden|"
    r"hours?|horas|"
    r"ore|tage|days|días|dias|giorni|times|mal|veces|vezes|volte|keer|uur|dollars?|pm|am|metros|metri|meter)(?!\w)))"
)
_SIGNS_BEFORE_NUMBER = ("º", "°", "o.", "o", "ro", "º.")


def mask_addresses(text: str) -> str:
    """`<ADDRESS>` for a street with its number, flat, postcode and city, for post office boxes and British
    postcodes."""
    pieces: list[str] = []
    done = 0
    for digits in _DIGITS.finditer(text):
        if digits.start() < done or digits.end() - digits.start() > _LONGEST:
            continue
        span = _address(text, digits.start(), done)
        if span:
            pieces += [text[done : span[0]], "<ADDRESS>"]
            done = span[1]
    if pieces:
        text = "".join([*pieces, text[done:]])
    return _POSTCODE_ALONE.sub("<ADDRESS>", text) if _POSTCODE_END.search(text) else text


def _address(text: str, number: int, done: int) -> tuple[int, int] | None:
    """Where the address that this number belongs to starts and ends."""
    before = text[number - 1 : number]
    if before in _NO_STREET_BEFORE or before.isalpha():
        return None
    after = _FRENCH.match(text, number) or _ENGLISH.match(text, number)
    if after and not _NO_STREET.search(after.group()):
        flat = _FLAT_BEFORE.search(text, max(done, number - 20), number)
        road = _ROAD_NUMBER.match(text, after.end())
        return (flat.start() if flat else number), _end(text, road.end() if road else after.end())
    if before not in (" ", "\n"):
        return None
    first = max(done, number - _WINDOW)
    word = text[first:number].rsplit(None, 1)[-1:]
    if not word or not (
        word[0][0].isupper() or word[0].endswith(_SIGNS_BEFORE_NUMBER) or word[0].lower() in _BOX_WORDS
    ):
        return None
    return _number_last(text, first, number)


def _number_last(text: str, first: int, number: int) -> tuple[int, int] | None:
    """An address whose number stands after its street, or after the name of a box."""
    box = _BOX.search(text, first, number)
    if box:
        written = _BOX_NUMBER.match(text, number)
        return box.start(), written.end() if written else number
    if _UNIT_AFTER.match(text, number):
        return None
    street = _NUMBER_LAST.search(text, first, number) or _ROMANCE.search(text, first, number)
    if street is None and _POSTCODE_NEXT.match(text, number):
        street = _NAMED_PLACE.search(text, first, number)
    if street is None:
        return None
    while number < len(text) and text[number].isdigit():
        number += 1
    city = _CITY_FIRST.search(text, first, street.start())
    return (city or street).start(), _end(text, number)


def _end(text: str, position: int) -> int:
    rest = _REST.match(text, position)
    return rest.end() if rest else position
