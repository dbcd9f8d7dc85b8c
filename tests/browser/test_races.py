"""Two things at the same moment, as people see them: the third column of docs/races.md."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD
from tests.browser.test_chat import ANSWER, RUNNING, ask, numbers, wait_for_numbers

QUESTION = "article[data-role=user]"
EDITOR = ".edit textarea"


@pytest.fixture
def asked(site, open_page, session) -> Page:
    """A page with one question and its answer."""
    page = open_page(storage_state=session)
    ask(page, site, "one two", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    return page


def another_tab(page: Page) -> Page:
    other = page.context.new_page()
    other.goto(page.url)
    return other


def choose(page: Page, assistant: str) -> None:
    page.locator(f"[name=assistant][value={assistant}]").evaluate("radio => { radio.checked = true; }")


def edit(page: Page, number: int = 0) -> None:
    page.locator(f"{QUESTION} [data-edit]").nth(number).click()


def pager(page: Page, text: str) -> None:
    first, last = text.split("/")
    expect(page.locator(f"{QUESTION} .pager")).to_have_text(re.compile(rf"{first}\s*/\s*{last}"))


def test_a_double_click_sends_once(asked):
    asked.fill("#content", "three four")
    asked.evaluate("() => { const send = document.querySelector('.send'); send.click(); send.click(); }")
    expect(asked.locator(f"{ANSWER}[data-status=completed]")).to_have_count(2)
    asked.reload()
    expect(asked.locator(QUESTION)).to_have_count(2)


def test_two_tabs_send_at_once(asked):
    """One wins; the other keeps its words, is told why, and can send them once the answer is there."""
    other = another_tab(asked)
    choose(asked, "scripted")
    asked.fill("#content", "forever")
    # The draft of one tab is there in the other, too: what is typed there comes after it.
    asked.wait_for_function("() => Object.values(localStorage).join().includes('forever')")
    other.fill("#content", "three four")
    on_their_way = []
    other.route("**/messages/", lambda route: on_their_way.append(route))
    other.locator(".send").click()
    asked.locator(".send").click()
    for tab in (asked, other):
        expect(tab.locator(RUNNING)).to_have_count(1)
    on_their_way[0].continue_()
    other.unroute("**/messages/")
    expect(other.locator("[data-errors]")).to_contain_text("still being written")
    assert other.input_value("#content") == "three four"
    asked.locator(".send").click()
    expect(other.locator(ANSWER).last).to_have_attribute("data-status", "cancelled")
    other.locator(".send").click()
    for tab in (asked, other):
        expect(tab.locator(ANSWER).last).to_contain_text("three four")
        expect(tab.locator(QUESTION)).to_have_count(3)
    assert other.input_value("#content") == ""


def test_a_question_is_edited(asked):
    """Its text becomes a field; what is saved is a branch of its own, in every tab."""
    other = another_tab(asked)
    edit(asked)
    expect(asked.locator(EDITOR)).to_be_focused()
    assert asked.input_value(EDITOR) == "one two"
    asked.keyboard.type(" three")
    asked.keyboard.press("Enter")
    asked.keyboard.type("four")
    asked.keyboard.press("Control+Enter")
    for tab in (asked, other):
        expect(tab.locator(ANSWER)).to_have_count(1)
        expect(tab.locator(ANSWER)).to_contain_text("three four")
        expect(tab.locator(ANSWER)).to_have_attribute("data-status", "completed")
        pager(tab, "2/2")
    assert asked.locator(".bubble").inner_text() == "one two three\nfour"
    asked.get_by_role("button", name="Version before").first.click()
    expect(asked.locator(ANSWER)).to_have_text(re.compile("one two(?! three)"))
    pager(asked, "1/2")


def test_escape_leaves_the_question_and_the_answer_alone(asked):
    choose(asked, "scripted")
    asked.fill("#content", "forever")
    asked.locator(".send").click()
    wait_for_numbers(asked, 3)
    edit(asked)
    asked.keyboard.type(" and more")
    asked.keyboard.press("Escape")
    expect(asked.locator(EDITOR)).to_have_count(0)
    expect(asked.locator(f"{QUESTION} [data-edit]").first).to_be_focused()
    assert asked.locator(".bubble").first.inner_text() == "one two"
    wait_for_numbers(asked, numbers(asked)[-2] + 5)
    edit(asked)
    assert asked.input_value(EDITOR) == "one two"
    asked.keyboard.press("Escape")
    asked.keyboard.press("Escape")
    expect(asked.locator(ANSWER).last).to_have_attribute("data-status", "cancelled")


def test_an_edit_waits_for_the_answer_and_keeps_the_words(asked):
    choose(asked, "scripted")
    asked.fill("#content", "forever")
    asked.locator(".send").click()
    wait_for_numbers(asked, 3)
    edit(asked)
    asked.fill(EDITOR, "length please")
    asked.get_by_role("button", name="Save").click()
    expect(asked.locator(".edit [role=alert]")).to_contain_text("still being written")
    # What was typed outlives the page.
    asked.reload()
    edit(asked)
    assert asked.input_value(EDITOR) == "length please"
    asked.locator(".send").click()
    expect(asked.locator(ANSWER).last).to_have_attribute("data-status", "cancelled")
    asked.get_by_role("button", name="Save").click()
    expect(asked.locator(ANSWER)).to_have_count(1)
    expect(asked.locator(ANSWER)).to_contain_text("cut")
    pager(asked, "2/2")


def test_keys_during_composition_neither_save_nor_leave(asked):
    """Whether the browser says so by the event, or as Safari does by the key code alone."""
    edit(asked)
    asked.fill(EDITOR, "한")
    asked.locator(EDITOR).evaluate("""field => {
        for (const key of ["Enter", "Escape"]) for (const isComposing of [true, false]) {
            const event = new KeyboardEvent("keydown", {key, isComposing, ctrlKey: key === "Enter", bubbles: true});
            if (!isComposing) Object.defineProperty(event, "keyCode", {value: 229});
            field.dispatchEvent(event);
        }
    }""")
    asked.wait_for_timeout(100)
    assert asked.input_value(EDITOR) == "한"
    expect(asked.locator(ANSWER)).to_have_count(1)
    expect(asked.locator(".pager")).to_have_count(0)


def test_editing_twice_at_once_is_done_once(asked):
    edit(asked)
    asked.fill(EDITOR, "three")
    asked.evaluate(
        "() => { const form = document.querySelector('.edit'); form.requestSubmit(); form.requestSubmit(); }"
    )
    expect(asked.locator(ANSWER)).to_contain_text("three")
    asked.reload()
    pager(asked, "2/2")


def test_editing_works_without_javascript(site, open_page):
    page = sign_in(open_page(java_script_enabled=False), site)
    page.goto(f"{site.url}/?assistant=echo")
    page.fill("#content", "plain")
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))
    expect(page.locator(ANSWER)).to_have_count(1)
    for _ in range(50):
        page.reload()
        if page.locator(f"{ANSWER}[data-status=completed]").count():
            break
    edit(page)
    page.fill("[name=content]", "simple")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/c/[^/]+/$"))
    assert page.locator(".bubble").inner_text() == "simple"
    pager(page, "2/2")


def test_a_deleted_conversation_is_left(asked, site):
    other = another_tab(asked)
    choose(asked, "scripted")
    asked.fill("#content", "forever")
    asked.locator(".send").click()
    for tab in (asked, other):
        wait_for_numbers(tab, 3)
    conversation = asked.url
    asked.get_by_label("Options of this conversation").click()
    asked.locator(".head [data-do=delete]").click()
    for tab in (asked, other):
        expect(tab).to_have_url(f"{site.url}/")
        expect(tab.locator(f".conversations [href='{conversation.removeprefix(site.url)}']")).to_have_count(0)


def test_a_new_password_signs_out_elsewhere_only(site, open_page):
    new = "another-long-password"
    code = f"from chat.models import User; User.objects.create_user('dana', 'dana@example.org', '{PASSWORD}')"
    site.manage("shell", "-v", "0", "-c", code)
    here, elsewhere = (sign_in(open_page(), site, "dana") for _ in range(2))
    changing = here.context.new_page()
    changing.goto(f"{site.url}/accounts/password/change/")
    for name, value in (("oldpassword", PASSWORD), ("password1", new), ("password2", new)):
        changing.fill(f"[name={name}]", value)
    with here.expect_request(re.compile("/events/"), timeout=15_000):
        changing.locator("[name=password2]").press("Enter")
    expect(elsewhere.locator("body")).to_contain_text("You are signed out.")
    # The other tab of the session that set it goes on: it hears what is sent elsewhere.
    changing.goto(f"{site.url}/?assistant=echo")
    changing.fill("#content", "still here")
    changing.locator(".send").click()
    expect(here.locator(".conversations")).to_contain_text("still here")
    expect(here.locator("body")).not_to_contain_text("You are signed out.")
