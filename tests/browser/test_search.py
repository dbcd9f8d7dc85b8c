"""Searching as people do it: Ctrl K, a few letters, Enter."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD, Site

FIELD = "#search-dialog input"
OPTION = "#search-dialog [role=option]"
CHOSEN = "#search-dialog [role=option][aria-selected=true]"

STORE = """
from chat import search
from chat.models import Conversation, Message, User
owner = User.objects.create_user("{name}", password="{password}")
for title, texts in {conversations}:
    conversation = Conversation.objects.create(owner=owner, title=title)
    parent = None
    for number, text in enumerate(texts):
        role = "assistant" if number % 2 else "user"
        parent = Message.objects.create(conversation=conversation, parent=parent, role=role, content=text)
    Conversation.objects.filter(pk=conversation.pk).update(leaf=parent)
    search.add_missing(list(conversation.messages.values_list("pk", flat=True)))
"""


@pytest.fixture(scope="module")
def searcher(prepared_site: Site) -> str:
    """The name of somebody with three conversations; of another one where a process comes here once more."""
    long = [f"Step {number} of a long way." for number in range(120)]
    long[10] = "Here is the Oeschinensee, long ago."
    conversations = [
        ["Mountain lakes", ["Which lakes are <b>blue</b>?", "The Blausee is. 호수의 기록은 없다."]],
        ["전문검색 만들기", ["검색을 어떻게 만드나요?", "색인을 만듭니다."]],
        ["A long way", long],
    ]
    name = f"searcher-{uuid.uuid4().hex[:8]}"
    store = STORE.format(name=name, password=PASSWORD, conversations=json.dumps(conversations))
    prepared_site.manage("shell", "-c", store)
    return name


@pytest.fixture
def page(site: Site, open_page: Callable[..., Page], searcher: str) -> Page:
    return sign_in(open_page(), site, searcher)


def open_search(page: Page, text: str = "") -> None:
    page.keyboard.press("Control+k")
    expect(page.locator(FIELD)).to_be_focused()
    if text:
        page.locator(FIELD).press_sequentially(text, delay=20)


def test_it_works(page: Page):
    open_search(page)
    expect(page.locator("[data-search-state]")).to_have_text("Recent conversations")
    expect(page.locator(CHOSEN)).to_contain_text("A long way")
    page.locator(FIELD).press_sequentially("blau", delay=20)
    expect(page.locator(f"{OPTION}.search-hit mark")).to_have_text("Blau")
    expect(page.locator("[data-search-state]")).to_have_text("1 found")
    page.keyboard.press("ArrowDown")
    expect(page.locator(CHOSEN)).to_contain_text("The Blausee is.")
    chosen = page.locator(CHOSEN).get_attribute("id")
    expect(page.locator(FIELD)).to_have_attribute("aria-activedescendant", chosen)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/c/.*\?message=\d+#message-\d+"))
    expect(page.locator("article.found")).to_contain_text("The Blausee is.")
    expect(page.locator("article.found")).to_be_focused()
    expect(page.locator("article.found")).to_have_count(0)


def test_korean_parts_of_words(page: Page):
    open_search(page, "검색")
    expect(page.locator(f"{OPTION}.search-conversation").first).to_contain_text("전문검색 만들기")
    expect(page.locator("#search-dialog mark").first).to_have_text("검색")


def test_text_stays_text(page: Page):
    open_search(page, "blue")
    expect(page.locator(f"{OPTION}.search-hit")).to_contain_text("Which lakes are <b>blue</b>?")
    expect(page.locator("#search-dialog b")).to_have_count(0)


def test_a_message_of_long_ago(page: Page):
    open_search(page, "oeschinen")
    expect(page.locator(f"{OPTION}.search-hit")).to_have_count(1)
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?message="))
    found = page.locator("article", has_text="Oeschinensee")
    expect(found).to_be_focused()
    expect(found).to_be_in_viewport()
    expect(page.get_by_role("link", name="Newest messages")).to_be_attached()
    # From here, another message of the page is reached without loading a page.
    page.evaluate("window.stayed = true")
    open_search(page, '"step 20 of"')
    expect(page.locator(f"{OPTION}.search-hit")).to_have_count(1)
    page.locator(f"{OPTION}.search-hit").click()
    expect(page.locator("article", has_text="Step 20 of")).to_be_focused()
    assert page.evaluate("window.stayed")


def test_nothing_too_little_and_no_connection(page: Page):
    open_search(page, "xyzzyx")
    state = page.locator("[data-search-state]")
    expect(state).to_have_text("Nothing was found.")
    expect(page.locator(FIELD)).to_have_attribute("aria-expanded", "false")
    page.locator(FIELD).fill("b")
    expect(state).to_have_text("Type one more character.")
    page.route("**/search/?q=*", lambda route: route.abort())
    page.locator(FIELD).fill("blau")
    expect(state).to_have_text("The search did not work. Check your connection and try again.")
    page.unroute("**/search/?q=*")
    page.locator(FIELD).press("Enter")
    expect(page.locator(f"{OPTION}.search-hit")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#search-dialog")).to_be_hidden()


def test_a_late_answer_does_not_replace_a_newer_one(page: Page):
    held = []
    page.route("**/search/?q=lak", lambda route: held.append(route))
    open_search(page)
    with page.expect_request("**/search/?q=lak"):
        page.locator(FIELD).fill("lak")
    page.locator(FIELD).fill("blau")
    expect(page.locator(f"{OPTION}.search-hit mark")).to_have_text("Blau")
    assert held
    with suppress(Error):  # it was given up, which is as good
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.locator(f"{OPTION}.search-hit mark")).to_have_text("Blau")


def test_enter_while_a_syllable_is_composed_opens_nothing(page: Page):
    open_search(page)
    address = page.url
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.imeSetComposition", {"text": "기록", "selectionStart": 2, "selectionEnd": 2})
    expect(page.locator(f"{OPTION}.search-hit", has_text="기록은").first).to_be_visible()
    page.evaluate(
        """() => document.querySelector("#search-dialog input").dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    page.wait_for_timeout(150)
    assert page.url == address
    expect(page.locator("#search-dialog")).to_be_visible()


def test_a_new_tab(page: Page):
    open_search(page, "blausee")
    expect(page.locator(f"{OPTION}.search-hit")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    address = page.url
    with page.context.expect_page() as opened:
        page.keyboard.press("Control+Enter")
    expect(opened.value).to_have_url(re.compile(r"\?message=\d+"))
    opened.value.close()
    assert page.url == address
    expect(page.locator("#search-dialog")).to_be_visible()


def test_the_row_in_the_sidebar_and_a_phone(site: Site, open_page, searcher):
    page = sign_in(open_page(viewport={"width": 390, "height": 844}, has_touch=True), site, searcher)
    page.locator("[data-side=open]").click()
    page.locator("a[data-search]").click()
    expect(page.locator(FIELD)).to_be_focused()
    box = page.locator("#search-dialog").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    assert page.locator(OPTION).first.bounding_box()["height"] >= 44
    page.locator(FIELD).fill("blausee")
    page.locator(f"{OPTION}.search-hit").click()
    expect(page.locator("article", has_text="The Blausee is.")).to_be_focused()
    expect(page.locator(".app.side-open")).to_have_count(0)


def test_without_a_script(site: Site, open_page, searcher):
    page = sign_in(open_page(java_script_enabled=False), site, searcher)
    page.locator("a[data-search]").click()
    expect(page).to_have_url(f"{site.url}/search/")
    page.fill("[name=q]", "oeschinen")
    page.keyboard.press("Enter")
    expect(page.locator("mark")).to_have_text("Oeschinen")
    page.locator("a.search-hit").click()
    expect(page.locator("article", has_text="Oeschinensee")).to_be_in_viewport()
