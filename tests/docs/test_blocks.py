"""Every block of code in the documentation is run, or read and held against the code it speaks of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.checks import problems_of_block, problems_of_prose
from tests.docs.conftest import Prepare
from tests.docs.pages import STATES, Page, documented
from tests.docs.running import run_page

PAGES = documented()


def by_name(pages: list[Page]) -> list[object]:
    return [pytest.param(page, id=page.name) for page in pages]


@pytest.mark.parametrize("page", by_name(PAGES))
def test_blocks_can_be_read_and_the_commands_options_settings_and_names_in_them_exist(page: Page) -> None:
    problems = [problem for block in page.blocks() for problem in problems_of_block(block)]
    assert problems == []


@pytest.mark.parametrize("page", by_name(PAGES))
def test_running_text_names_only_commands_and_settings_that_exist(page: Page) -> None:
    assert problems_of_prose(page) == []


@pytest.mark.parametrize("page", by_name(PAGES))
def test_a_page_starts_from_something_that_there_is(page: Page) -> None:
    assert page.starts_from in STATES, f"{page.name} starts from {page.starts_from!r}; there is {', '.join(STATES)}"


@pytest.mark.slow
@pytest.mark.parametrize("page", by_name([page for page in PAGES if page.runs]))
def test_the_blocks_of_a_page_do_what_the_page_says(page: Page, prepare: Prepare, tmp_path: Path) -> None:
    prepare(page.starts_from, tmp_path)
    assert run_page(page, tmp_path) > 0
