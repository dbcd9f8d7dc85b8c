"""axe-core finds nothing on any page, in light and dark, on a desktop and on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.pages import ADMIN_PAGES, LOOKS, PAGES, PUBLIC_PAGES
from tests.browser.tour import contexts, prepared, visit  # noqa: F401 - fixtures

ALL = {**PAGES, **PUBLIC_PAGES, **ADMIN_PAGES}
AXE = Axe()


MEANT = {("region", "#row-menu")}
"""A menu in the top layer belongs to the button that opened it, wherever it stands in the document."""


def complaints(page) -> list[str]:
    """Return what axe has against a page, each with its element."""
    # Colours on their way from one to another have no contrast to speak of.
    page.evaluate("Promise.all(document.getAnimations().filter(a => a.effect.getTiming().iterations !== Infinity)"
                  ".map(animation => animation.finished.catch(() => null)))")  # fmt: skip
    found = AXE.run(page).response["violations"]
    return [
        f"{violation['impact']} {violation['id']}: {node['target']} {node['html'][:160]} {_reason(node)}"
        for violation in found
        for node in violation["nodes"]
        if (violation["id"], *node["target"]) not in MEANT
    ]


def _reason(node: dict) -> str:
    return " ".join(check["message"] for check in (*node["any"], *node["all"], *node["none"]))[:200]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ALL)
def test_axe_finds_nothing(visit, name, look):  # noqa: F811
    assert complaints(visit(name, ALL[name], look).page) == []


def test_axe_is_looking(visit):  # noqa: F811
    """The test above can fail."""
    page = visit("empty", ALL["empty"], "light-desktop").page
    page.evaluate("document.querySelector('.send').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('.empty h1').style.color = '#ccc'")
    assert {complaint.split()[1] for complaint in complaints(page)} == {"button-name:", "color-contrast:"}
