"""The commonest small words of the languages that tickets most often come in: they tell most texts' language at once.

Words that several of these languages share (`de`, `la`, `in`, `me`) stand in the list of each, so that they speak for
none of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.text.clues import words_of

FUNCTION_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "en": """
            the and to of i my is it was you for that this with have not but your on at be are has been they we
            from what when there would an as by or so if can did had were will just in a me no do does any which
            please how why am i'm it's don't
        """,
        "de": """
            der die das und ich nicht ist es sie mit ein eine einen zu auf für den dem von wir mein meine meinen
            war habe hat bei aber auch noch nur wie was wird wurde sind im in am an um so bitte keine kein mir
            mich ihr ihre seit wenn dass des
        """,
        "fr": """
            le la les un une des et je ne pas que qui est il elle vous nous mon ma mes pour dans sur avec ce
            cette mais ou au aux du de en se sa son été j'ai c'est n'est suis ai a à y bonjour plus votre on
            sont me
        """,
        "es": """
            el la los las un una unos y que no de en es por para con mi mis me se lo le su al del está pero como
            más muy ya he ha yo esto este esta cuando porque si hay fue son a o sin qué todo
        """,
        "pt": """
            o a os as um uma e que não de em é por para com meu minha me se do da dos das no na nos ao mas como
            mais muito já foi eu isso este esta quando porque está são tem você ou sem à
        """,
        "it": """
            il lo la i gli le un una e che non di è per con mio mia mi si del della al alla nel ma come più
            molto già ho ha sono questo questa quando perché da in dei delle era o a se io anche cosa su
        """,
        "nl": """
            de het een en ik niet is van dat die met te voor mijn op aan er maar ook nog naar heb heeft was zijn
            wordt bij dit om als wat we wij u uw je geen kan deze door over in wel toen hoe
        """,
    }.items()
}
ENOUGH = 4  # different words of a language, and
AHEAD = 2  # times as many as of any other


def language_by_words(text: str, languages: Sequence[str]) -> str | None:
    """The one of `languages` whose small words the text is full of; None when that is not plain, or when one of the
    languages has no list here."""
    if not FUNCTION_WORDS.keys() >= set(languages):
        return None
    words = words_of(text)
    most = next_most = 0
    told = None
    for language in languages:
        found = len(words & FUNCTION_WORDS[language])
        if found > most:
            most, next_most, told = found, most, language
        elif found > next_most:
            next_most = found
    return told if most >= max(ENOUGH, AHEAD * next_most) else None
