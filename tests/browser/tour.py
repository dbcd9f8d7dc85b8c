"""A tour of all pages, in all looks: fixtures for the tests that hold everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.pages import LOOKS, PUBLIC_PAGES, Look, Visit, new_context, prepare, render_errors
from tests.browser.site import Site


@pytest.fixture(scope="module")
def prepared(browser: Browser, prepared_site: Site) -> tuple[dict, dict[str, str], dict[str, str]]:
    if prepared_site.process is None or prepared_site.process.poll() is not None:
        prepared_site.start()
    state, addresses = prepare(browser, prepared_site)
    return state, addresses, render_errors(prepared_site)


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Iterator[dict[tuple, BrowserContext]]:
    """Those that were opened so far: signing in again for each page would be most of the time."""
    opened: dict[tuple, BrowserContext] = {}
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture
def visit(browser, prepared, contexts, prepared_site) -> Iterator[Callable[..., Visit]]:
    """Open one of the pages in a look; more options are Playwright's for a context."""
    state, addresses, rendered = prepared
    pages = []

    def open_one(name: str, show: Callable[[Visit], None], look: Look | str, **more) -> Visit:
        look = LOOKS[look] if isinstance(look, str) else look
        key = (look, name in PUBLIC_PAGES, *sorted((name, str(value)) for name, value in more.items()))
        if key not in contexts:
            context = new_context(browser, look, None if name in PUBLIC_PAGES else state)
            if more:
                context.close()
                own = None if name in PUBLIC_PAGES else state
                context = browser.new_context(**{**look.options, "storage_state": own, **more})
            contexts[key] = context
        page = contexts[key].new_page()
        pages.append(page)
        visit = Visit(page=page, site=prepared_site, rendered=rendered, **addresses)
        page.bring_to_front()  # the others have the focus otherwise
        show(visit)
        return visit

    yield open_one
    for page in pages:
        page.close()
