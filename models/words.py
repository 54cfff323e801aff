"""The words that spoke for a suggestion: weights of word pieces, joined to words a person can read."""

from __future__ import annotations

from collections.abc import Sequence

from tickets.records import WordWeight

MOST = 5
_NEAR = 4  # characters between a mask's word and its bracket, at most; a text may be long, and has many words
_OPENING, _CLOSING = "[<{", "]>}"
# Words that carry no meaning of their own, in the languages tickets most often come in.
_SILENT = """
    a about after again all also am an and any are as at be because been before being but by can could did do does doing
    don for from had has have having he her here him his how i if in into is it its just like ll me more my no not now
    of on one only or our out over please re s she should since so some still t than thank thanks that the their them
    then there these they this those through to too up us ve very was we were what when where which while who why will
    with would you your hello hi dear regards d m im ive dont cant
    ich du er sie es wir ihr und oder aber der die das den dem ein eine einen nicht ist sind war habe hat haben mit von
    zu im auf für als auch an bei bitte danke hallo mein meine mir mich wie was dass so noch nur
    je tu il elle nous vous ils et ou mais le la les un une des du de ne pas est sont ai avez avec pour sur dans que qui
    ce cette mon ma mes bonjour merci au aux en se plus été
    yo el ella los las unos unas y o pero lo no es son fue he ha han con por para en que mi mis me se su una del al como
    hola gracias muy más ya está
"""
STOP_WORDS = frozenset(_SILENT.split())


def word_weights(
    text: str, offsets: Sequence[tuple[int, int]], word_ids: Sequence[int | None], weights: Sequence[float]
) -> tuple[WordWeight, ...]:
    """The (up to five) words that weighed most, heaviest first, repeated words summed, weights as shares of the whole.

    offsets, word_ids and weights: one entry a token, as the tokenizer gives them; a token without a word has the id
    None.
    """
    spans: dict[int, tuple[int, int, float]] = {}
    for (start, end), word_id, weight in zip(offsets, word_ids, weights, strict=True):
        if word_id is not None:
            known = spans.get(word_id, (start, end, 0.0))
            spans[word_id] = (min(known[0], start), max(known[1], end), known[2] + weight)
    totals: dict[str, float] = {}
    for start, end, weight in spans.values():
        word = text[start:end].strip()
        lowered = word.lower()
        if _speaks(word, lowered) and not _is_mask(text, start, end):
            totals[lowered] = totals.get(lowered, 0.0) + weight
    whole = sum(abs(weight) for weight in totals.values())
    heaviest = sorted((item for item in totals.items() if item[1] > 0), key=lambda item: -item[1])[:MOST]
    return tuple(WordWeight(word=word, weight=round(weight / whole, 4)) for word, weight in heaviest)


def _speaks(word: str, lowered: str) -> bool:
    return len(word) > 1 and lowered not in STOP_WORDS and any(map(str.isalpha, word))


def _is_mask(text: str, start: int, end: int) -> bool:
    """Whether the word stands in brackets as the masks of personal data do, or is a publisher's redaction (`XXXX`)."""
    if text[start:end].count("X") == end - start:
        return True
    before = text[max(0, start - _NEAR) : start].rstrip("_ ")[-1:]
    if not before or before not in _OPENING:
        return False
    after = text[end : end + _NEAR].lstrip("_ ")[:1]
    return bool(after) and after in _CLOSING
