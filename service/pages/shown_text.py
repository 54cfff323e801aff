"""Text from strangers as a page may show it: escaped, with words marked in it, or HTML with only harmless tags left.

Jinja escapes everything that is not `Markup`; this is the one place that makes Markup of foreign text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import nh3
from markupsafe import Markup, escape

from pipeline.text.markup import strip_markup

_TAG = re.compile(
    r"</?(?:a|b|br|div|em|h[1-6]|i|li|ol|p|pre|span|strong|table|tbody|td|th|thead|tr|u|ul)\b[^<>]*>", re.I
)
_KEPT_TAGS = {
    *("a", "b", "blockquote", "br", "code", "div", "em", "h3", "h4", "i", "li", "ol", "p", "pre", "span", "strong"),
    *("sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"),
}


def is_html(text: str) -> bool:
    """Whether a reply template is written in HTML; `<EMAIL>` and `a < b` make none."""
    return _TAG.search(text) is not None


def safe_html(text: str) -> Markup:
    """The HTML without scripts, styles, forms, pictures and addresses other than http(s) and mailto."""
    cleaned = nh3.clean(
        text,
        tags=_KEPT_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(cleaned)


def shown_text(text: str) -> Markup:
    """A template's body: safe HTML where it is HTML, otherwise the text, escaped."""
    return safe_html(text) if is_html(text) else escape(text)


def plain_text(text: str) -> str:
    """A template's body as it is copied into a reply: HTML becomes text."""
    return strip_markup(text).strip() if is_html(text) else text


def marked(text: str, words: Iterable[str]) -> Markup:
    """The text, escaped, with each of the words in a <mark>, in whatever case; the first three are marked strongly."""
    ranks = {word.casefold(): rank for rank, word in reversed(list(enumerate(words))) if word.strip()}
    if not ranks:
        return escape(text)
    # Longest first, so that `credit card` is not taken for `credit`; whole words, so `car` is not marked in `card`.
    either = "|".join(re.escape(word) for word in sorted(ranks, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
    pieces, position = [], 0
    for match in pattern.finditer(text):
        pieces += [escape(text[position : match.start()]), _mark(match.group(), ranks)]
        position = match.end()
    return Markup("").join([*pieces, escape(text[position:])])


def _mark(word: str, ranks: Mapping[str, int]) -> Markup:
    strong = ranks.get(word.casefold(), len(ranks)) < 3
    return Markup('<mark class="strong">{}</mark>' if strong else "<mark>{}</mark>").format(word)
