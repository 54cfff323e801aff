"""Links that lead out of docs/ (to source, deploy/, README) have no page on the site: there they become plain code.

On GitHub and in an editor they go on working. mkdocs calls `on_page_markdown` for each page (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\(([^()\s:]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_given: Any) -> str:
    """The page, with every link out of docs/ told as a path of the repository."""
    folder = posixpath.dirname(page.file.src_uri)

    def told(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        path = posixpath.normpath(posixpath.join("docs", folder, target.partition("#")[0]))
        if target.startswith("#") or path.startswith("docs/"):
            return found[0]
        return text if path in text or text == f"`{path}`" else f"{text} (`{path}`)"

    return _LINK.sub(told, markdown)
