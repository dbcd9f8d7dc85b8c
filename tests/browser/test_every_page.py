"""What holds for every page and every state of it: axe-core finds nothing, nothing is too small or cut off."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.measuring import SMALL, WIDE
from tests.browser.pages import ADMIN_PAGES, CHAT_PAGES, NEWCOMER_PAGES, PAGES
from tests.browser.tour import contexts, stock, visit  # noqa: F401 - fixtures

WIDE_PAGES = {**CHAT_PAGES, **NEWCOMER_PAGES}
"""Those that lie otherwise on a desktop than on a phone."""
DARK_ON_A_DESKTOP = {"empty", "answered", "selecting"}
"""Those with colours that a phone does not show."""
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 640}
"""The smallest phone; also a window of 1280 pixels that is enlarged to 400 %."""
AXE = Axe()
SETTLED = """async () => {
    const settle = async () => {
        for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
        const moves = document.getAnimations().filter((one) => one.effect.getTiming().iterations !== Infinity);
        await Promise.all(moves.map((move) => move.finished.catch(() => null)));
    };
    // What is not drawn does not move on, and has no end.
    const atMost = new Promise((resolve) => setTimeout(resolve, 1000));
    await Promise.race([settle(), atMost]);
}"""
"""Colours on their way from one to another have no contrast to speak of."""
MEANT = {("region", "#row-menu")}
"""A menu in the top layer belongs to the button that opened it, wherever it stands in the document."""


@pytest.mark.parametrize("name", WIDE_PAGES)
def test_on_a_desktop(visit, name):  # noqa: F811
    page = visit(name, WIDE_PAGES[name], "light-desktop").page
    found = complaints_in_both_themes(page) if name in DARK_ON_A_DESKTOP else complaints(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone(visit, name):  # noqa: F811
    page = visit(name, PAGES[name], "light-phone", viewport=NARROW).page
    assert page.evaluate("matchMedia('(pointer: coarse)').matches")
    found = [*page.evaluate(SMALL), *page.evaluate(WIDE), *complaints_in_both_themes(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ADMIN_PAGES)
def test_administration(visit, name):  # noqa: F811
    page = visit(name, ADMIN_PAGES[name], "light-desktop").page
    found = complaints_in_both_themes(page)
    # The same elements in less room: what is new is only what goes past the edge or scrolls.
    page.set_viewport_size(PHONE)
    found += [*page.evaluate(WIDE), *complaints(page, {"runOnly": ["scrollable-region-focusable"]})]
    assert not found, "\n".join(found)


def complaints_in_both_themes(page: Page) -> list[str]:
    """Return what axe has against a page in light, and against its colours in dark: nothing else differs."""
    found = complaints(page)
    page.emulate_media(color_scheme="dark")
    dark = complaints(page, {"runOnly": ["color-contrast", "link-in-text-block"]})
    return found + [f"dark: {complaint}" for complaint in dark]


def complaints(page: Page, options: dict | None = None) -> list[str]:
    """Return what axe has against a page, each with its element."""
    page.evaluate(SETTLED)
    found = AXE.run(page, options={"resultTypes": ["violations"], **(options or {})}).response["violations"]
    return [
        f"{violation['impact']} {violation['id']}: {node['target']} {node['html'][:160]} {_reason(node)}"
        for violation in found
        for node in violation["nodes"]
        if (violation["id"], *node["target"]) not in MEANT
    ]


def _reason(node: dict) -> str:
    return " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))[:200]


def test_axe_is_looking(visit):  # noqa: F811
    """The tests above can fail, in both themes."""
    page = visit("empty", PAGES["empty"], "light-desktop").page
    page.evaluate("document.querySelector('.send').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('.empty h1').style.opacity = .25")
    found = {complaint.partition(": [")[0] for complaint in complaints_in_both_themes(page)}
    assert found == {"critical button-name", "serious color-contrast", "dark: serious color-contrast"}
