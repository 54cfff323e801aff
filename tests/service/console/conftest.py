"""A browser for tests that want their own contexts: no scripts, a phone, a network that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.service.conftest import CHROMIUM, CHROMIUM_ARGUMENTS


@pytest.fixture
def chromium() -> Iterator[Browser]:
    """Chromium without the `page` fixture's watch over errors."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
