"""A page in Chromium, which stays open while the site dies and comes back."""

from __future__ import annotations

import signal

from playwright.sync_api import expect

from tests.browser.conftest import browser, open_page, playwright  # noqa: F401 - fixtures
from tests.crash.conftest import QUICK, CrashSite
from tests.crash.counting import counted

ANSWER = "article[data-role=assistant]"


def test_it_is_right_by_itself(prepared, start, visit, gate, open_page, tmp_path):  # noqa: F811
    """The kept text, why it ends there, and a button that goes on; nobody reloads."""
    # Of its own: those that the other tests share have the names that a public site gives them.
    CrashSite(tmp_path / "site").manage("collectstatic", "--noinput", "--verbosity", "0")
    site = start(**QUICK)
    held = gate("held", 200)
    _, answered = visit(site).ask(f"count 400 {held.path}")
    page = open_page()
    page.context.add_cookies([{"name": "sessionid", "value": prepared[1], "url": site.url}])
    page.goto(site.url + answered["url"])
    prose = page.locator(f"{ANSWER} [data-prose]")
    expect(prose).to_have_text(counted(200).strip())
    page.evaluate("window.isTheSamePage = true")
    page.fill("textarea", "the next question")

    site.stop(signal.SIGKILL)
    expect(prose).to_have_text(counted(200).strip())
    site.start()
    expect(page.locator(ANSWER)).to_contain_text("The answer was interrupted.", timeout=10_000)
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "incomplete")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(prose).to_have_text(counted(200).strip())

    held.open()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    expect(prose).to_have_text(counted(400).strip())
    expect(page.locator(ANSWER)).to_have_count(1)
    assert page.input_value("textarea") == "the next question"
    assert page.evaluate("window.isTheSamePage")
