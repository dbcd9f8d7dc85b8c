"""A tour of all pages, in all looks: fixtures for the tests that hold everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.conftest import leave, listen
from tests.browser.pages import NEWCOMER_PAGES, PUBLIC_PAGES
from tests.browser.site import Site
from tests.browser.visiting import LOOKS, NEWCOMER, Look, Stock, Visit, prepare


@pytest.fixture(scope="module")
def stock(browser: Browser, prepared_site: Site, tmp_path_factory) -> Iterator[Stock]:
    if prepared_site.process is None or prepared_site.process.poll() is not None:
        prepared_site.start()
    stock = prepare(browser, prepared_site, tmp_path_factory.mktemp("scripts"))
    yield stock
    for script in stock.scripts:
        script.write_text(f"{script.read_text()}end\n")


@pytest.fixture(scope="module")
def contexts(browser: Browser) -> Iterator[dict[tuple, BrowserContext]]:
    """Those that were opened so far: signing in again for each page would be most of the time."""
    opened: dict[tuple, BrowserContext] = {}
    yield opened
    for context in opened.values():
        leave(context)


@pytest.fixture
def visit(browser, stock, contexts, prepared_site) -> Iterator[Callable[..., Visit]]:
    """Open one of the pages in a look; more options are Playwright's for a context. The consoles must stay clean."""
    pages, complaints = [], []

    def open_one(name: str, show: Callable[[Visit], None], look: Look | str, **more) -> Visit:
        look = LOOKS[look] if isinstance(look, str) else look
        person = visitor(name)
        key = (look, person, *sorted((option, str(value)) for option, value in more.items()))
        if key not in contexts:
            options = {**look.options, "storage_state": stock.sessions.get(person), **more}
            contexts[key] = browser.new_context(**options)
        page = contexts[key].new_page()
        listen(page, complaints)
        pages.append(page)
        visit = Visit(page=page, site=prepared_site, stock=stock)
        page.bring_to_front()  # the others have the focus otherwise
        show(visit)
        return visit

    yield open_one
    for page in pages:
        page.close()
    assert not complaints, complaints


def visitor(name: str) -> str:
    """Return who visits this page: Alice, who runs the site, somebody who is new, or a stranger."""
    if name in PUBLIC_PAGES:
        return "stranger"
    return NEWCOMER if name in NEWCOMER_PAGES else "alice"
