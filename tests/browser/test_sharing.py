"""Sharing and taking along, in Chromium: the dialog, a stranger with a link, an import and its undoing."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.test_chat import ask

ANSWER = "article[data-role=assistant]"
CHATGPT = Path(__file__).parent.parent / "chat" / "exports" / "chatgpt.json"


def open_dialog(page: Page) -> None:
    page.get_by_label("Options of this conversation").click()
    page.get_by_role("link", name="Share", exact=True).click()
    expect(page.get_by_role("dialog", name="Share the conversation")).to_be_visible()


def make_link(page: Page) -> str:
    page.get_by_role("button", name="Make a link").click()
    made = page.locator("input[data-made]")
    expect(made).to_be_focused()
    return made.input_value()


@pytest.fixture
def answered(page, site) -> Page:
    ask(page, site, "markdown please")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    return page


def test_a_stranger_reads_what_is_shared_until_it_is_revoked(answered, site, open_page):
    open_dialog(answered)
    link = make_link(answered)
    assert re.fullmatch(rf"{site.url}/s/[\w-]{{32}}/", link)
    stranger = open_page()
    assert stranger.goto(link).status == 200
    expect(stranger.locator("h1", has_text="markdown please")).to_be_visible()
    expect(stranger.locator(".prose strong")).to_have_text("bold")
    expect(stranger.get_by_role("button", name="Copy")).to_be_visible()  # on the code
    assert stranger.context.cookies() == []
    assert "alice" not in stranger.content()
    answered.get_by_role("button", name="Revoke").click()
    expect(answered.locator("input.address")).to_have_count(0)
    assert stranger.goto(link).status == 410
    expect(stranger.locator("h1")).to_have_text("This conversation is no longer shared")


def test_the_dialog_is_closed_by_the_keyboard_and_gives_back_the_page(answered):
    open_dialog(answered)
    expect(answered.get_by_label("The link opens")).to_be_focused()
    answered.keyboard.press("Escape")
    expect(answered.locator("dialog.share-dialog")).to_be_hidden()
    open_dialog(answered)
    answered.get_by_role("button", name="Close", exact=True).click()
    expect(answered.locator("dialog.share-dialog")).to_be_hidden()


def test_a_link_is_copied_and_expires_as_chosen(answered, site):
    answered.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    open_dialog(answered)
    answered.get_by_label("The link opens").select_option(label="for 7 days")
    link = make_link(answered)
    answered.locator(".made").get_by_role("button", name="Copy").click()
    expect(answered.locator(".made [data-copy-link]")).to_have_text("Copied")
    assert answered.evaluate("navigator.clipboard.readText()") == link
    expect(answered.locator(".made")).to_contain_text("until")
    answered.goto(f"{site.url}/shared/")
    row = answered.locator(".shares li", has_text="markdown please").first
    row.get_by_role("button", name="Revoke").click()
    assert answered.goto(link).status == 410


def test_it_works_without_a_script(site, open_page, answered):
    page = sign_in(open_page(java_script_enabled=False), site)
    page.goto(answered.url)
    page.get_by_label("Options of this conversation").click()
    page.get_by_role("link", name="Share", exact=True).click()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("input.address").first.input_value()
    page.goto(link)
    expect(page.locator(".prose strong")).to_have_text("bold")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(site, open_page, answered, scheme):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": scheme}
    page = sign_in(open_page(**phone), site)
    page.goto(answered.url)
    open_dialog(page)
    link = make_link(page)
    dialog = page.locator("dialog.share-dialog")
    assert dialog.evaluate("box => box.scrollWidth <= box.clientWidth")
    for button in dialog.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 36
    for address in (link, f"{site.url}/shared/", f"{site.url}/data/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


@pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])
def test_an_import_is_looked_at_done_and_undone(site, open_page, scripted):
    person = "importer" if scripted else "importer-without-scripts"  # who has nothing yet
    site.manage("createsuperuser", "--noinput", "--username", person, "--email", f"{person}@example.org")
    page = sign_in(open_page(java_script_enabled=scripted), site, person)
    page.goto(f"{site.url}/data/")
    page.set_input_files("input[type=file]", CHATGPT)
    page.get_by_role("button", name="Show what is in it").click()
    page.wait_for_url(re.compile(r"/data/import/\d+/"))
    expect(page.locator("main")).to_contain_text("Nothing is imported yet.")
    expect(page.locator("tr", has_text="Only hidden")).to_contain_text("It has no messages.")
    page.get_by_role("button", name="Import 3 conversations").click()
    expect(page.locator("main")).to_contain_text("3 conversations were imported.")
    report = page.url
    page.get_by_role("link", name="Resumable streams").click()
    expect(page.locator("article").last).to_contain_text("It is 1024.")
    page.goto(report)
    page.get_by_role("button", name="Undo the import").click()
    expect(page.locator("main")).to_contain_text("3 conversations were taken back.")
    page.goto(f"{site.url}/")
    expect(page.locator(".conversations", has_text="Resumable streams")).to_have_count(0)


def test_all_conversations_are_downloaded(answered, site, tmp_path):
    answered.goto(f"{site.url}/data/")
    answered.get_by_label("HTML").check()
    with answered.expect_download() as download:
        answered.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as file:
        assert file.testzip() is None
        names = file.namelist()
        page = next(name for name in names if name.endswith("markdown-please.html"))
        (tmp_path / "page.html").write_bytes(file.read(page))
    assert "conversations.json" in names
    asked = []
    answered.on("request", lambda request: asked.append(request.url))
    answered.goto((tmp_path / "page.html").as_uri())
    expect(answered.locator("strong")).to_have_text("bold")
    assert len(asked) == 1
