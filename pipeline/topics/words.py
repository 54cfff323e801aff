"""The words of a text, as COTA v1 counts them. Pure, linear in the text, and the same in Spark and without it."""

from __future__ import annotations

import re

CHARACTERS_READ = 20_000  # of a text: a pasted log of megabytes tells no more about what is asked
LONGEST_WORD = 40  # characters; longer ones are keys and pasted data, and no two tickets share them

_WORD = re.compile(r"<[a-z]{2,20}>|\w+(?:'\w+)*")  # a mask of pipeline.text.redact, or letters and digits
_LETTER = re.compile(r"[^\W\d_]")
_PLACEHOLDER = re.compile(r"\{\{[^{}]{0,80}\}\}")


def words(text: str) -> list[str]:
    """The words of a text in lower case and in order, masks such as `<email>` among them, bare numbers not.

    Words longer than 40 characters are left out, and what lies beyond the first 20,000 characters of the text.
    """
    read = text[:CHARACTERS_READ].lower().replace("’", "'")
    return [word for word in _WORD.findall(read) if len(word) <= LONGEST_WORD and _LETTER.search(word)]


def template_words(title: str, body: str) -> list[str]:
    """The words of a reply template; its `{{placeholders}}` say nothing yet."""
    return words(_PLACEHOLDER.sub(" ", f"{title}\n{body}"))
