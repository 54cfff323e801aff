"""What keeps real tickets from being clean text: typos, slang, missing capitals, HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping
from random import Random

_NEIGHBOURS = dict(zip("abcdefghijklmnopqrstuvwxyz", "svxfrghjoklknmpowtdribexuc", strict=True))  # keys side by side


def add_typos(text: str, rng: Random, rate: float) -> str:
    """Misspell about `rate` of the words: a letter swapped, dropped, doubled or hit beside. Digits stay as they are."""
    words = text.split(" ")
    expected = len(words) * rate
    count = int(expected) + (rng.random() < expected % 1)
    for _ in range(count):
        at = int(rng.random() * len(words))
        if len(words[at]) > 3 and words[at].isalpha():
            words[at] = _misspell(words[at], rng)
    return " ".join(words)


def _misspell(word: str, rng: Random) -> str:
    at = 1 + int(rng.random() * (len(word) - 2))
    match int(rng.random() * 4):
        case 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case 1:
            return word[:at] + word[at + 1 :]
        case 2:
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + _NEIGHBOURS.get(word[at], word[at]) + word[at + 1 :]


def add_slang(text: str, rng: Random, rate: float, slang: Mapping[str, str]) -> str:
    """Write about `rate` of the words that have a short form in their short form."""
    return " ".join(slang[word] if word in slang and rng.random() < rate else word for word in text.split(" "))


def as_html(paragraphs: list[str], quoted: str, rng: Random) -> str:
    """The mail as a mail program sends it: one of three dialects, everything escaped, the quoted mail in a quote."""
    escaped = [html.escape(paragraph, quote=False).replace("\n", "<br>") for paragraph in paragraphs]
    kind = int(rng.random() * 3)
    if kind == 0:
        text = "".join(f"<p>{paragraph}</p>" for paragraph in escaped)
    elif kind == 1:
        text = '<div dir="ltr">' + "<br><br>".join(escaped) + "</div>"
    else:
        spans = (f'<p class="MsoNormal"><span lang="EN-GB">{paragraph}&nbsp;</span></p>' for paragraph in escaped)
        text = "<html><head><style>p{margin:0}</style></head><body>" + "\n".join(spans) + "</body></html>"
    if not quoted:
        return text
    quote = html.escape(quoted, quote=False).replace("\n", "<br>")
    return f'{text}<br><div class="gmail_quote"><blockquote>{quote}</blockquote></div>'
