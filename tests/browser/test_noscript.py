"""Reading and writing with scripts switched off: what a person asks is answered when the page is loaded again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import Site

ANSWER = "article[data-role=assistant]"


@pytest.fixture
def page(site: Site, open_page: Callable[..., Page]) -> Page:
    return sign_in(open_page(java_script_enabled=False), site)


def ask(page: Page, site: Site, text: str, assistant: str = "scripted") -> None:
    page.goto(f"{site.url}/?assistant={assistant}")
    page.fill("#content", text)
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))


def reload_until(page: Page, selector: str) -> None:
    for _ in range(100):
        if page.locator(selector).count():
            return
        page.wait_for_timeout(100)
        page.reload()
    raise AssertionError(f"{selector} did not come: {page.locator('main').inner_text()}")


def test_a_message_is_answered(page, site):
    ask(page, site, "markdown please")
    reload_until(page, f"{ANSWER}[data-status=completed]")
    expect(page.locator(f"{ANSWER} strong")).to_have_text("bold")
    expect(page.locator(".conversations")).to_contain_text("markdown please")
    page.fill("#content", "markdown once more")
    page.locator(".send").click()
    expect(page.locator(ANSWER)).to_have_count(2)
    reload_until(page, f"{ANSWER} >> nth=1 >> strong")


def test_a_running_answer_is_read_and_cancelled(page, site):
    ask(page, site, "forever")
    expect(page.locator("noscript .help")).to_be_visible()
    reload_until(page, f"{ANSWER} [data-prose]:has-text(' 1 ')")
    page.get_by_role("button", name="Cancel the answer").click()
    reload_until(page, f"{ANSWER}[data-status=cancelled]")
    expect(page.locator(ANSWER)).to_contain_text("You cancelled this answer.")


def test_what_is_sent_too_early_comes_back(page, site):
    ask(page, site, "forever")
    page.fill("#content", "and this?")
    page.locator(".send").click()
    expect(page.locator("[data-errors]")).to_contain_text("An answer is still being written here.")
    assert page.input_value("#content") == "and this?"
    page.get_by_role("button", name="Cancel the answer").click()
    reload_until(page, f"{ANSWER}[data-status=cancelled]")


def test_an_error_is_told_and_retried(page, site):
    ask(page, site, "fail please")
    reload_until(page, f"{ANSWER}[data-status=failed]")
    expect(page.locator(ANSWER)).to_contain_text("The model cannot be reached.")
    page.get_by_role("button", name="Try again").click()
    reload_until(page, f"{ANSWER}[data-status=failed]")
    expect(page.locator(f"{ANSWER} .pager")).to_have_text(re.compile(r"2\s*/\s*2"))


def test_versions_are_walked(page, site):
    ask(page, site, "one two", "echo")
    reload_until(page, f"{ANSWER}[data-status=completed]")
    page.get_by_role("button", name="Answer again").click()
    reload_until(page, f"{ANSWER}[data-status=completed]")
    pager = page.locator(f"{ANSWER} .pager")
    expect(pager).to_have_text(re.compile(r"2\s*/\s*2"))
    page.get_by_role("button", name="Version before").click()
    expect(pager).to_have_text(re.compile(r"1\s*/\s*2"))
    page.get_by_role("button", name="Next version").click()
    expect(pager).to_have_text(re.compile(r"2\s*/\s*2"))


def test_a_conversation_is_renamed_deleted_and_restored(page, site):
    ask(page, site, "a title to change", "echo")
    reload_until(page, f"{ANSWER}[data-status=completed]")
    conversation = page.url
    page.locator(".head summary[aria-label]").last.click()
    page.locator(".head .menu").get_by_text("Rename").click()
    page.fill("[name=title]", "Another title")
    page.get_by_role("button", name="Rename").click()
    expect(page).to_have_url(conversation)
    expect(page.locator(".conversations")).to_contain_text("Another title")
    page.locator(".head summary[aria-label]").last.click()
    page.locator(".head .menu").get_by_text("Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{site.url}/conversations/?view=deleted")
    page.goto(conversation)
    expect(page.locator(".code-number")).to_have_text("404")
    page.goto(site.url)
    expect(page.locator(".conversations")).not_to_contain_text("Another title")
    page.goto(f"{site.url}/conversations/?view=deleted")
    page.get_by_role("button", name="Restore Another title").click()
    page.goto(conversation)
    expect(page.locator(".conversations")).to_contain_text("Another title")


def test_a_starter_asks(page, site):
    page.goto(f"{site.url}/?assistant=guide")
    page.locator(".starter:visible").first.click()
    page.wait_for_url(re.compile("/c/"))
    expect(page.locator(ANSWER)).to_have_count(1)


def test_the_assistant_is_chosen(page, site):
    page.goto(f"{site.url}/?assistant=scripted")
    page.locator(".assistant-menu summary").click()
    page.locator(".option", has_text="Echo").click()
    page.fill("#content", "said again")
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))
    reload_until(page, f"{ANSWER}[data-status=completed]")
    expect(page.locator(f"{ANSWER} .by")).to_contain_text("Echo")


def test_the_drawer_opens_on_a_phone(site, open_page):
    page = sign_in(open_page(java_script_enabled=False, viewport={"width": 390, "height": 844}), site)
    page.goto(site.url)
    expect(page.locator("#sidebar")).not_to_be_in_viewport()
    page.locator("[data-side=open]").click()
    expect(page.locator("#sidebar")).to_be_in_viewport()
    page.locator("[data-side=close]").click()
    expect(page.locator("#sidebar")).not_to_be_in_viewport()


def test_language_and_settings_are_chosen(page, site):
    page.locator(".account").click()
    page.locator(".side-foot").get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.goto(f"{site.url}/settings/")
    page.get_by_label("어둡게").check()
    page.get_by_label("English").check()
    page.get_by_role("button", name="저장").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("[role=status]")).to_contain_text("Saved.")


def test_no_dead_controls(page, site):
    """What only a script could do is not offered."""
    ask(page, site, "markdown please")
    reload_until(page, f"{ANSWER}[data-status=completed]")
    for selector in ("[data-theme-button]", "[data-copy]", "[data-jump]", "[data-shortcut-sheet]", "kbd"):
        for control in page.locator(selector).all():
            expect(control).not_to_be_visible()


def test_signing_out(page, site):
    page.locator(".account").click()
    page.locator(".side-foot").get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/accounts/login/"))
