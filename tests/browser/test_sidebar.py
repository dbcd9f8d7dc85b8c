"""The list of conversations as people meet it: long, in order, on a phone, by keyboard, without a script."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD, Site

ROWS = ".conversations .row"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def run(site: Site, code: str) -> str:
    return site.manage("shell", "-v", "0", "-c", f"from chat.models import *\n{code}")


COUNTS = {1: 3, 2: 5, 3: 8, 4: 4, 5: 2, 12: 1, 60: 3, 120: 1, 300: 1}
"""How many people have so many conversations."""


@pytest.fixture(scope="module")
def people(prepared_site) -> dict[int, list[str]]:
    """Make people with conversations, an hour apart, the newest first; return their names by how many they have."""
    time = uuid.uuid4().hex[:8]  # a process may come here more than once
    names = {count: [f"{time}-{count}-{number}" for number in range(people)] for count, people in COUNTS.items()}
    run(
        prepared_site,
        f"""
from datetime import timedelta
from django.contrib.auth.hashers import make_password
from django.utils import timezone
password, now = make_password('{PASSWORD}'), timezone.now()
for count, names in {names}.items():
    for name in names:
        owner = User.objects.create(username=name, email=f'{{name}}@example.org', password=password)
        Conversation.objects.bulk_create(
            Conversation(owner=owner, title=f'Talk {{n}}', updated_at=now - timedelta(hours=n)) for n in range(count)
        )""",
    )
    return names


@pytest.fixture
def list_of(site, people, open_page):
    """Sign in somebody who has so many conversations, and whose list no other test has touched."""

    def make(count: int, **options) -> Page:
        return sign_in(open_page(**options), site, people[count].pop())

    return make


def another_tab(page: Page) -> Page:
    other = page.context.new_page()
    other.goto(page.url)
    return other


def row(page: Page, title: str):
    return page.locator(ROWS).filter(has=page.locator(f"[data-title]:text-is('{title}')"))


def titles(page: Page) -> list[str]:
    return page.locator(f"{ROWS} [data-title]").all_inner_texts()


def choose(page: Page, title: str, action: str) -> None:
    """Choose something from the menu of a row."""
    row(page, title).hover()
    row(page, title).locator("[data-more]").click()
    page.locator(f"#row-menu [data-do={action}]").click()


def show(page: Page, name: str) -> None:
    page.locator(".view-name").click()
    page.locator(".views .item").filter(has_text=name).click()
    expect(page.locator(".view-name")).to_contain_text(name)


def test_it_scrolls_to_the_last_of_300(list_of):
    page = list_of(300)
    expect(page.locator(ROWS)).to_have_count(50)
    while page.locator("[data-more-rows]").count():
        count = page.locator(ROWS).count()
        page.locator(".conversations").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        page.wait_for_function(
            "([rows, count]) => document.querySelectorAll(rows).length > count", arg=[ROWS, count], timeout=15_000
        )
    assert titles(page) == [f"Talk {number}" for number in range(300)]
    headings = page.locator(".conversations h2").all_inner_texts()
    assert len(set(headings)) == len(headings)
    assert headings[-1] == "Previous 30 days"


def test_a_new_answer_moves_the_row_up_everywhere(list_of, site):
    page = list_of(60)
    other = another_tab(page)
    page.goto(site.url + row(page, "Talk 40").locator("[data-title]").get_attribute("href"))
    page.fill("#content", "Hello")
    page.locator("#content").press("Enter")
    for tab in (page, other):
        expect(tab.locator(f"{ROWS} [data-title]").first).to_have_text("Talk 40")
        assert tab.locator("section[data-group=today] .row").first.locator("[data-title]").inner_text() == "Talk 40"
        assert titles(tab).count("Talk 40") == 1


def test_an_answer_that_nobody_saw_is_marked(list_of, site):
    page = list_of(3)
    other = another_tab(page)
    page.goto(site.url + row(page, "Talk 2").locator("[data-title]").get_attribute("href"))
    other.goto(site.url + row(other, "Talk 1").locator("[data-title]").get_attribute("href"))
    page.fill("#content", "How do I run the site?")
    page.locator("#content").press("Enter")
    expect(row(other, "Talk 2").locator("[data-dot]")).to_be_visible()
    other.bring_to_front()
    page.goto(f"{site.url}/")
    expect(row(other, "Talk 2").locator("[data-unread]")).to_be_visible(timeout=60_000)
    expect(row(page, "Talk 2").locator("[data-unread]")).to_be_visible()
    other.goto(site.url + row(other, "Talk 2").locator("[data-title]").get_attribute("href"))
    expect(row(other, "Talk 2").locator("[data-unread]")).to_be_hidden()
    expect(row(page, "Talk 2").locator("[data-unread]")).to_be_hidden()


def test_pin_and_unpin(list_of):
    page = list_of(5)
    other = another_tab(page)
    choose(page, "Talk 3", "pin")
    for tab in (page, other):
        expect(tab.locator("section[data-group=pinned] [data-title]")).to_have_text("Talk 3")
        assert titles(tab)[0] == "Talk 3"
    choose(other, "Talk 3", "unpin")
    for tab in (page, other):
        expect(tab.locator("section[data-group=pinned]")).to_have_count(0)
        assert titles(tab) == [f"Talk {number}" for number in range(5)]


def test_archive_and_undo(list_of):
    page = list_of(3)
    choose(page, "Talk 1", "archive")
    expect(row(page, "Talk 1")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(row(page, "Talk 1")).to_be_visible()
    assert titles(page) == ["Talk 0", "Talk 1", "Talk 2"]
    choose(page, "Talk 1", "archive")
    show(page, "Archive")
    expect(row(page, "Talk 1")).to_be_visible()
    page.reload()  # the browser remembers its view
    expect(page.locator(ROWS)).to_have_count(1)
    choose(page, "Talk 1", "unarchive")
    expect(row(page, "Talk 1")).to_have_count(0)
    show(page, "All conversations")
    expect(page.locator(ROWS)).to_have_count(3)
    assert titles(page) == ["Talk 0", "Talk 1", "Talk 2"]


def test_delete_and_undo_in_two_tabs(list_of):
    page = list_of(4)
    other = another_tab(page)
    choose(page, "Talk 2", "delete")
    for tab in (page, other):
        expect(row(tab, "Talk 2")).to_have_count(0)
    expect(page.locator("[data-toasts]")).to_contain_text("The conversation was deleted.")
    expect(other.locator(".toast")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    for tab in (page, other):
        expect(row(tab, "Talk 2")).to_be_visible()
        assert titles(tab) == [f"Talk {number}" for number in range(4)]


def test_the_open_conversation_is_deleted_and_comes_back(list_of, site):
    page = list_of(3)
    page.goto(site.url + row(page, "Talk 1").locator("[data-title]").get_attribute("href"))
    conversation = page.url
    page.get_by_label("Options of this conversation").click()
    page.locator(".head [data-do=delete]").click()
    expect(page).to_have_url(f"{site.url}/")
    expect(row(page, "Talk 1")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page).to_have_url(conversation)
    expect(row(page, "Talk 1")).to_be_visible()


def test_what_was_deleted_lately_is_listed(list_of):
    page = list_of(3)
    choose(page, "Talk 1", "delete")
    show(page, "Recently deleted")
    expect(page.locator(".conversations")).to_contain_text("can be restored for 1 day")
    page.get_by_role("button", name="Restore Talk 1").click()
    expect(page.locator(ROWS)).to_have_count(0)
    show(page, "All conversations")
    expect(page.locator(ROWS)).to_have_count(3)
    assert titles(page) == ["Talk 0", "Talk 1", "Talk 2"]


def test_rename(list_of):
    page = list_of(2)
    other = another_tab(page)
    choose(page, "Talk 1", "rename")
    expect(page.locator("#rename-title")).to_be_focused()
    page.keyboard.type("A better <b>title</b>")
    page.keyboard.press("Enter")
    for tab in (page, other):
        expect(row(tab, "A better <b>title</b>")).to_be_visible()
    expect(row(page, "A better <b>title</b>").locator("[data-more]")).to_be_focused()


def test_folders(list_of):
    page = list_of(4)
    other = another_tab(page)
    choose(page, "Talk 1", "move")
    page.fill("#move-new", "Work")
    page.keyboard.press("Enter")
    for tab in (page, other):
        expect(row(tab, "Talk 1").locator(".swatch")).to_have_attribute("title", "Work")
    choose(other, "Talk 2", "move")
    other.locator("#move-dialog .choice").filter(has_text="Work").click()
    other.locator("#move-dialog .primary").click()
    show(page, "Work")
    expect(page.locator(ROWS)).to_have_count(2)
    # Its name and colour, from here and in the other tab.
    page.locator(".view-name").click()
    page.get_by_role("link", name="Edit the folder Work").or_(page.get_by_label("Edit the folder Work")).first.click()
    page.fill("#folder-name", "Play")
    page.locator("#folder-dialog [title=Red]").click()
    page.locator("#folder-dialog .primary").click()
    expect(page.locator(".view-name")).to_contain_text("Play")
    expect(row(other, "Talk 1").locator(".swatch")).to_have_attribute("data-colour", "red")
    # Out of it again: it leaves the list of the folder, not the one of all.
    choose(page, "Talk 2", "move")
    page.locator("#move-dialog .choice").filter(has_text="No folder").click()
    page.locator("#move-dialog .primary").click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(other.locator(ROWS)).to_have_count(4)


def test_a_folder_name_that_is_taken_is_told(list_of):
    page = list_of(1)
    for number in range(2):
        page.locator(".view-name").click()
        page.locator("[data-folder-dialog=new]").click()
        page.fill("#folder-name", "Work")
        page.locator("#folder-dialog .primary").click()
        if number == 0:
            expect(page.locator("#folder-dialog")).to_be_hidden()
            expect(page.locator(".views .name")).to_have_text(["Work"])
    expect(page.locator("#folder-dialog [data-error]")).to_have_text("You have a folder of this name already.")


class TestSelecting:
    def test_delete_many_and_undo(self, list_of):
        page = list_of(12)
        page.locator("[data-pick=open]").click()
        row(page, "Talk 2").click()
        row(page, "Talk 8").click(modifiers=["Shift"])
        expect(page.locator("[data-picked]")).to_have_text("7 selected")
        row(page, "Talk 5").click()
        expect(page.locator("[data-picked]")).to_have_text("6 selected")
        page.locator("[data-picking] [data-do=delete]").click()
        expect(page.locator(ROWS)).to_have_count(6)
        expect(page.locator(".toast")).to_contain_text("6 conversations were deleted.")
        expect(page.locator("[data-picking]")).to_be_hidden()
        page.locator(".toast").get_by_role("button", name="Undo").click()
        expect(page.locator(ROWS)).to_have_count(12)
        assert titles(page) == [f"Talk {number}" for number in range(12)]

    def test_all_of_them_into_a_folder(self, list_of):
        page = list_of(3)
        page.locator("[data-pick=open]").click()
        page.locator("[data-pick=all]").click()
        page.locator("[data-picking] [data-do=move]").click()
        page.fill("#move-new", "Everything")
        page.keyboard.press("Enter")
        expect(page.locator(f"{ROWS} .swatch[title=Everything]")).to_have_count(3)

    def test_by_keyboard(self, list_of):
        page = list_of(3)
        page.locator("[data-pick=open]").focus()
        page.keyboard.press("Space")
        expect(page.locator(f"{ROWS} input").first).to_be_focused()
        page.keyboard.press("Space")
        expect(page.locator("[data-picked]")).to_have_text("1 selected")
        page.keyboard.press("Escape")
        expect(page.locator("[data-picking]")).to_be_hidden()
        expect(page.locator("[data-pick=open]")).to_be_focused()
        expect(page.locator(f"{ROWS} input:checked")).to_have_count(0)

    def test_on_a_phone(self, list_of):
        page = list_of(4, **PHONE)
        page.get_by_role("button", name="Open the sidebar").tap()
        page.locator("[data-pick=open]").tap()
        row(page, "Talk 1").tap()
        row(page, "Talk 3").tap()
        page.locator("[data-picking] [data-do=archive]").tap()
        expect(page.locator(ROWS)).to_have_count(2)
        assert page.url.endswith("/")


class TestKeyboard:
    def test_the_menu_of_a_row(self, list_of):
        page = list_of(2)
        more = row(page, "Talk 1").locator("[data-more]")
        more.focus()
        page.keyboard.press("Enter")
        menu = page.locator("#row-menu")
        expect(menu.locator("[data-do=pin]")).to_be_focused()
        expect(more).to_have_attribute("aria-expanded", "true")
        page.keyboard.press("ArrowDown")
        expect(menu.locator("[data-do=rename]")).to_be_focused()
        page.keyboard.press("End")
        expect(menu.locator("[data-do=delete]")).to_be_focused()
        page.keyboard.press("ArrowDown")
        expect(menu.locator("[data-do=pin]")).to_be_focused()
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(more).to_be_focused()
        expect(more).to_have_attribute("aria-expanded", "false")

    def test_delete_and_undo(self, list_of):
        page = list_of(2)
        row(page, "Talk 1").locator("[data-more]").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#row-menu [data-do=pin]")).to_be_focused()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        expect(page.locator(".toast button").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(row(page, "Talk 1")).to_be_visible()


class TestWithoutAScript:
    def test_pages_pin_delete_and_undo(self, list_of, site):
        page = list_of(120, java_script_enabled=False)
        page.locator("[data-more-rows]").click()
        expect(page.locator(ROWS)).to_have_count(50)
        page.locator("[data-more-rows]").click()
        assert titles(page) == [f"Talk {number}" for number in range(100, 120)]
        row(page, "Talk 110").locator("input").check()
        row(page, "Talk 111").locator("input").check()
        page.get_by_role("button", name="Pin", exact=True).click()
        assert titles(page)[:2] == ["Talk 110", "Talk 111"]
        row(page, "Talk 110").locator("input").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Restore Talk 110").click()
        assert "Talk 110" in titles(page)

    def test_options_of_a_row(self, list_of, site):
        page = list_of(2, java_script_enabled=False)
        row(page, "Talk 1").hover()
        row(page, "Talk 1").locator("[data-more]").click()
        page.fill("#move-new", "Work")
        page.get_by_role("button", name="Move", exact=True).click()
        page.get_by_role("link", name="Work").click()
        assert titles(page) == ["Talk 1"]

    def test_folders(self, list_of, site):
        page = list_of(1, java_script_enabled=False)
        page.goto(f"{site.url}/folders/")
        page.fill("[name=name]", "Work")
        page.get_by_role("button", name="Make the folder").click()
        page.get_by_label("Edit the folder Work").click()
        page.fill("[name=name]", "Play")
        page.get_by_role("button", name="Save").click()
        page.get_by_label("Delete the folder Play").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.locator(".folder-list")).to_have_count(0)


def test_a_phone_has_long_rows(list_of):
    page = list_of(60, **PHONE)
    page.get_by_role("button", name="Open the sidebar").tap()
    sizes = page.evaluate(
        "[...document.querySelectorAll('.row, .row .more, .view-name, .list-head .icon-btn')].slice(0, 40)"
        ".map(one => Math.round(one.getBoundingClientRect().height))"
    )
    assert min(sizes) >= 44, json.dumps(sizes)
    row(page, "Talk 1").locator("[data-more]").tap()
    expect(page.locator("#row-menu")).to_be_visible()
    items = page.locator("#row-menu .item:visible")
    assert min(item.bounding_box()["height"] for item in items.all()) >= 44
    page.locator("#row-menu [data-do=pin]").tap()
    expect(page.locator("section[data-group=pinned] [data-title]")).to_have_text("Talk 1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_headings_are_those_of_the_browsers_day(list_of, site):
    page = list_of(1, timezone_id="Asia/Seoul")
    cookie = next(cookie for cookie in page.context.cookies() if cookie["name"] == "zone")
    assert cookie["value"] == "Asia/Seoul"
    page.reload()
    days = json.loads(page.locator("[data-conversations]").get_attribute("data-days"))
    today = next(day for day in days if day["key"] == "today")
    assert page.evaluate("since => new Date(since).getHours()", today["since"]) == 0
    assert re.fullmatch("Today", today["heading"])
