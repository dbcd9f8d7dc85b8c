"""Chromium, driven by Playwright, on a site of its own."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    StorageState,
    expect,
    sync_playwright,
)

from tests.browser.site import PASSWORD, Site, chromium, collect_once

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEFAULTS = {
    "viewport": {"width": 1280, "height": 800},
    # Past it, a test could not hold a request back; tests/browser/test_installable.py is about it.
    "service_workers": "block",
}
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright, for no longer than it is needed: while it lives, its event loop counts as running in this thread."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def static(tmp_path_factory) -> Path:
    """The collected static files; those of one run share them, however many processes test."""
    own = tmp_path_factory.getbasetemp()
    return collect_once(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture(scope="session")
def prepared_site(tmp_path_factory, static) -> Iterator[Site]:
    """The site that the tests share; not started again where a test did not stop it."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.set_up(static)
    site.manage("createsuperuser", "--noinput", "--username", "alice", "--email", "alice@example.org")
    site.start()
    yield site
    site.stop()
    assert "Traceback" not in site.log(), site.log()


@pytest.fixture
def site(prepared_site: Site) -> Site:
    if prepared_site.process is None or prepared_site.process.poll() is not None:
        prepared_site.start()
    return prepared_site


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages whose console must stay clean: no error, no violation of the content policy."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(**options) -> Page:
        context = browser.new_context(**{**DEFAULTS, **options})
        contexts.append(context)
        page = context.new_page()
        listen(page, complaints)
        return page

    yield open_one
    for context in contexts:
        leave(context)
    assert not complaints


def leave(context: BrowserContext) -> None:
    """Close the context. Chromium was seen to keep one for ever; such a one goes with the browser."""
    with suppress(TimeoutError):
        context._sync(asyncio.wait_for(context._impl_obj.close(None), 20))  # close() itself has no time limit


def listen(page: Page, complaints: list[str]) -> None:
    """Add to the list what the page's console complains of from now on."""

    def complain(message: ConsoleMessage) -> None:
        # A page that is not there, a refusal and a server that is down are what some tests are about.
        expected = r"net::ERR|status of (40[349]|410|422|429|50[03])"
        # What axe does in a page has no address of its own.
        is_ours = bool(message.location["url"])
        if message.type == "error" and is_ours and not re.search(expected, message.text):
            complaints.append(message.text)

    page.on("console", complain)
    page.on("pageerror", lambda error: complaints.append(str(error)))


@pytest.fixture
def page(site: Site, open_page: Callable[..., Page]) -> Page:
    """A page of Alice's."""
    return sign_in(open_page(), site)


_sessions: dict[tuple[str, str], list] = {}
"""The cookies of those who signed in, by the site and the name: hashing passwords would be a good part of all tests."""


def sign_in(page: Page, site: Site, name: str = "alice") -> Page:
    """Open the chat as somebody, with the session of a test before where it is not over."""
    page.context.add_cookies(_sessions.get((site.url, name), []))
    page.goto(f"{site.url}/")
    if page.url == f"{site.url}/":
        return page
    page.fill("[name=login]", name)
    page.fill("[name=password]", PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{site.url}/")
    own = [cookie for cookie in page.context.cookies() if cookie["name"] in {"sessionid", "csrftoken"}]
    _sessions[site.url, name] = own
    return page


@pytest.fixture(scope="module")
def session(browser, prepared_site) -> Iterator[StorageState]:
    """Alice's, who signs in once for all tests."""
    context = browser.new_context()
    sign_in(context.new_page(), prepared_site)
    yield context.storage_state()
    leave(context)
