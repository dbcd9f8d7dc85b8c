"""The live board and the settings page, as an administrator uses them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in


def ask(page: Page, site, content: str) -> None:
    page.goto(f"{site.url}/?assistant=scripted")
    page.fill("#content", content)
    page.press("#content", "Enter")
    page.wait_for_url(re.compile(r"/c/"))


@pytest.fixture
def asked(open_page, site):
    """A page on which an answer is being written that has no end."""
    page = open_page()
    sign_in(page, site)
    ask(page, site, "forever watched")
    return page


def named(chat: Page) -> str:
    """Return what the admin calls the conversation on the page: its own title is made of what a person wrote."""
    return f"Conversation {chat.url.split('/c/')[1][:8]}"


def test_the_board_is_live_and_cancels(asked, site, open_page):
    page = asked.context.new_page()
    page.goto(f"{site.url}/admin/live/")
    row = page.locator("[data-answer]", has_text=named(asked))
    expect(page.locator("[data-live=live]")).to_be_visible()
    expect(row.locator("[data-tokens]")).to_have_text(re.compile(r"^\d+$"))
    before = row.locator("[data-tokens]").inner_text()
    expect(row.locator("[data-tokens]")).not_to_have_text(before)
    # One that begins while somebody looks comes by itself, with a button that knows it.
    other = asked.context.new_page()
    ask(other, site, "forever too")
    late = page.locator("[data-answer]", has_text=named(other))
    expect(late).to_be_visible()
    late.get_by_role("button", name=re.compile("Cancel")).click()
    expect(page.locator("[data-said]")).to_have_text("The answer was cancelled.")
    expect(late).to_have_count(0)
    expect(row).to_be_visible()
    expect(other.locator("article[data-role=assistant] .notice")).to_be_visible()
    row.get_by_role("button", name=re.compile("Cancel")).click()
    expect(row).to_have_count(0)


def test_draining_from_the_board(asked, site):
    page = asked.context.new_page()
    page.goto(f"{site.url}/admin/live/")
    line = page.locator("[data-alias=echo]")
    line.locator("summary", has_text="Drain").click()
    line.get_by_label("What people are told").fill("Back at noon.")
    line.get_by_role("button", name="Drain Echo").click()
    expect(line.get_by_text("Back at noon.")).to_be_visible()  # by the next snapshot
    line.get_by_role("button", name=re.compile("Bring back")).click()
    expect(line.get_by_text("Back at noon.")).to_be_hidden()
    scripted = page.locator("[data-alias=scripted]")
    scripted.locator("summary", has_text="Cancel all").click()
    scripted.get_by_role("button", name="Cancel all its answers").click()
    expect(page.locator("[data-answer]", has_text=named(asked))).to_have_count(0)


def test_without_scripts(asked, site, open_page):
    page = open_page(java_script_enabled=False, storage_state=asked.context.storage_state())
    page.goto(f"{site.url}/admin/live/")
    row = page.locator("[data-answer]", has_text=named(asked)).first
    page.get_by_role("link", name="Refresh").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name=re.compile("Cancel")).click()
    expect(page.get_by_text("The answer was cancelled.")).to_be_visible()
    page.goto(f"{site.url}/admin/settings/")
    expect(page.locator("[data-filter]")).to_be_hidden()  # it would do nothing
    expect(page.get_by_text("CHAT_MAX_RUNNING", exact=True)).to_be_visible()


def test_the_filter_of_the_settings(asked, site):
    page = asked.context.new_page()
    page.goto(f"{site.url}/admin/settings/")
    page.get_by_label("Filter", exact=True).fill("heartbeat")
    expect(page.locator("[data-setting]:visible")).to_have_count(1)
    expect(page.locator("[data-section]:visible")).to_have_count(1)
    expect(page.locator("[data-found]")).to_have_text(re.compile(r"^1 / \d+$"))
    page.get_by_label("Filter", exact=True).fill("")
    expect(page.locator("[data-section]:visible").nth(3)).to_be_visible()
