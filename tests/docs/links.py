"""Links of the documentation that lead nowhere: files, images and anchors that are not there."""

from __future__ import annotations

import json
import re
import urllib.parse
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT, Page, documented

_ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)  # https:, mailto:, another host


def linked_pages() -> list[Page]:
    """All whose links are followed: the documentation, the changelog, what the notebooks tell."""
    pages = documented()
    pages.append(Page("CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages.append(Page(path.relative_to(ROOT).as_posix(), _told(path)))
    return pages


def dead_links(page: Page, root: Path = ROOT) -> list[str]:
    """Each link of the page that leads nowhere, and why."""
    found = []
    for target in page.links():
        if _ELSEWHERE.match(target):
            continue
        path, _, anchor = urllib.parse.unquote(target).partition("#")
        aim = (root / page.name).parent / path if path else root / page.name
        if path and not aim.exists():
            found.append(f"{page.name} links to {target}: there is no {path} beside it.")
        elif anchor and aim.suffix == ".md" and anchor not in (_anchors(aim) if path else page.anchors()):
            found.append(f"{page.name} links to {target}: {aim.name} has no heading of that name.")
    return found


@cache
def _anchors(path: Path) -> set[str]:
    return Page(path.name, path.read_text(encoding="utf-8")).anchors()


def _told(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
