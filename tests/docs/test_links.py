"""Every link of README, docs, changelog and notebooks leads somewhere, and every page has its place in the site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.docs.links import dead_links, linked_pages
from tests.docs.pages import ROOT, Page

PAGES = linked_pages()


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_every_link_leads_somewhere(page: Page) -> None:
    assert dead_links(page) == []


def test_every_page_is_in_the_navigation_once_and_the_navigation_names_no_other() -> None:
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    named = list(in_navigation(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]))
    assert sorted(named) == sorted(there), "put each page of docs/ into `nav` of mkdocs.yml"


def test_every_picture_is_shown_somewhere() -> None:
    shown = {target.rpartition("/")[2] for page in PAGES for target in page.links()}
    pictures = {path.name for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".svg", ".jpg")}
    assert pictures - shown == set()


class Loader(yaml.SafeLoader):
    """mkdocs.yml names Python functions, which are none of our business here."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def in_navigation(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
        return
    for inner in entry.values() if isinstance(entry, dict) else entry:
        yield from in_navigation(inner)
