"""From an invitation to the first chat, and to the end of an account, as people see it."""

from __future__ import annotations

import re
from itertools import count

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD, Site
from tests.browser.visiting import ANSWER

NUMBERS = count()


@pytest.fixture
def name() -> str:
    return f"dora{next(NUMBERS)}"


def invite(admin: Page, site: Site, addresses: str = "") -> str:
    """Invite somebody in the admin; return the link that is shown once."""
    admin.goto(f"{site.url}/admin/chat/invitation/")
    admin.locator(".object-tools .addlink").click()
    admin.fill("[name=addresses]", addresses)
    admin.locator("button.default").click()
    return admin.locator("ul.invited input").input_value()


def accept(guest: Page, link: str, name: str) -> None:
    guest.goto(link)
    guest.fill("[name=username]", name)
    guest.fill("[name=password1]", PASSWORD)
    guest.fill("[name=password2]", PASSWORD)
    guest.locator("button.primary").click()


def ask(page: Page, text: str) -> None:
    page.fill("#content", text)
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_from_an_invitation_to_the_first_chat(page, site, open_page, name, java_script_enabled):
    link = invite(page, site, f"{name}@example.org")
    guest = open_page(java_script_enabled=java_script_enabled)
    guest.goto(link)
    expect(guest.locator("[name=email]")).to_have_value(f"{name}@example.org")
    expect(guest.locator("[name=email]")).to_be_disabled()
    accept(guest, link, name)
    guest.wait_for_url(f"{site.url}/")
    guest.goto(f"{site.url}/?assistant=echo")
    ask(guest, "Hello from the newest one")
    expect(guest.locator(ANSWER)).to_have_count(1)
    page.goto(f"{site.url}/admin/chat/invitation/?q={name}")
    expect(page.locator("#result_list")).to_contain_text(name)
    expect(page.locator("#result_list .pill")).to_have_text("used")
    other = open_page()
    other.goto(link)
    expect(other.locator("h1")).to_have_text("This invitation cannot be used")


def test_who_is_deactivated_is_told_within_seconds(page, site, open_page, name):
    link = invite(page, site)
    guest = open_page()
    accept(guest, link, name)
    guest.goto(f"{site.url}/?assistant=scripted")
    ask(guest, "forever")
    expect(guest.locator(f"{ANSWER}[data-status=in_progress]")).to_have_count(1)
    page.goto(f"{site.url}/admin/chat/user/?q={name}")
    page.locator("#result_list tbody input[type=checkbox]").check()
    page.select_option("select[name=action]", "deactivate")
    page.locator("button[name=index]").click()
    expect(page.locator(".messagelist")).to_contain_text("1 person was deactivated")
    expect(guest.get_by_text("You are signed out").first).to_be_visible(timeout=10_000)


def test_the_owner_sees_who_read_and_why(page, site, open_page, name):
    guest = open_page()
    accept(guest, invite(page, site), name)
    guest.goto(f"{site.url}/?assistant=echo")
    ask(guest, "A private matter")
    expect(guest.locator(f"{ANSWER}[data-status=completed]")).to_have_count(1)
    page.goto(f"{site.url}/admin/chat/conversation/?q={name}")
    assert "private" not in page.locator("#content").inner_text()
    page.locator("#result_list tbody th a").click()
    expect(page.locator("[name=reason]")).to_be_visible()
    assert "private" not in page.locator("#content").inner_text()
    page.fill("[name=reason]", "You asked us to look at it")
    page.locator("button.default").click()
    expect(page.locator(".transcript")).to_contain_text("A private matter")
    guest.goto(f"{site.url}/")
    guest.get_by_text("Somebody looked at your conversations").first.click()
    guest.locator("a.item[href='/settings/looks/']").click()
    for text in ("alice", "You asked us to look at it", "A private matter"):
        expect(guest.locator("main")).to_contain_text(text)
    guest.goto(f"{site.url}/")
    expect(guest.locator(".news")).to_have_count(0)


def test_links_are_copied(page, site):
    link = invite(page, site)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("[data-copy]").click()
    expect(page.locator("[data-copy]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == link
    sign_in(page, site)
