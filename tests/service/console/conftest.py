"""Pages for tests that want a browser of their own kind: no scripts, a phone, a network that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.service.conftest import CHROMIUM, CHROMIUM_ARGUMENTS

if TYPE_CHECKING:
    from tests.service.conftest import Service

Visit = Callable[..., Page]


@pytest.fixture
def visit(service: Service, key: str) -> Iterator[Visit]:
    """`visit(**options)` is a page in a browser context with these options, signed in, and without the `page` fixture's
    watch over errors."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)

        def signed_in(**options: Any) -> Page:
            page = browser.new_context(base_url=service.address, **options).new_page()
            page.goto(f"/login?key={key}")
            return page

        yield signed_in
        browser.close()
