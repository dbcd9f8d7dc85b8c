"""What one can do with a message, as people do it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.test_chat import ANSWER, RUNNING, ask, numbers, wait_for_numbers

QUESTION = "article[data-role=user]"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def asked(site, open_page, session) -> Page:
    """A page with one question and its answer."""
    page = open_page(storage_state=session)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, site, "one two", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    return page


def another_tab(page: Page) -> Page:
    other = page.context.new_page()
    other.goto(page.url)
    return other


def say_more(page: Page, text: str, assistant: str = "echo") -> None:
    page.locator(f"[name=assistant][value={assistant}]").evaluate("radio => { radio.checked = true; }")
    page.fill("#content", text)
    page.locator(".send").click()
    expect(page.locator(f"{QUESTION} .bubble").last).to_have_text(text)


def done(page: Page, count: int = 1) -> None:
    expect(page.locator(f"{ANSWER}[data-status=completed]")).to_have_count(count)


def again(page: Page) -> None:
    page.get_by_role("button", name="Answer again", exact=True).last.click()


def more(page: Page, item: str, turn: str = ANSWER) -> None:
    """Choose from the menu of the newest turn."""
    page.locator(f"{turn} .tools-menu summary").last.click()
    page.locator(f"{turn} .tools-menu[open]").get_by_text(item, exact=True).click()


def pager(page: Page, position: int, total: int) -> None:
    expect(page.locator(f"{ANSWER} .pager").last).to_have_text(re.compile(rf"{position}\s*/\s*{total}"))


def clipboard(page: Page, kind: str = "text/plain") -> str:
    return page.evaluate(
        """async kind => {
            const [item] = await navigator.clipboard.read();
            return item.types.includes(kind) ? (await item.getType(kind)).text() : "";
        }""",
        kind,
    )


class TestCopy:
    def test_an_answer(self, site, open_page, session):
        """Its Markdown, and for a word processor what it looks like; nothing else is fetched for it."""
        page = open_page(storage_state=session)
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        ask(page, site, "markdown please")
        done(page)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="Copy the answer").click()
        expect(page.locator("[data-copy].done")).to_have_count(1)
        assert clipboard(page).startswith("# Title\n\nSome **bold** text and `code`.\n\n```python")
        rich = clipboard(page, "text/html")
        assert "<strong>bold</strong>" in rich
        assert "<button" not in rich
        assert [url for url in asked if url.endswith("/messages/")] == []
        more(page, "Copy as plain text")
        expect(page.locator("[data-status-line]")).to_have_text("Copied")
        assert clipboard(page).split() == ["Title", "Some", "bold", "text", "and", "code.", "print(1)", "one", "two"]
        more(page, "Copy as Markdown")
        page.wait_for_function("async () => (await navigator.clipboard.readText()).startsWith('# Title')")
        assert clipboard(page, "text/html") == ""
        expect(page.locator(".tools-menu[open]")).to_have_count(0)

    def test_a_question(self, asked):
        asked.locator(QUESTION).hover()
        asked.get_by_role("button", name="Copy the question").click()
        expect(asked.locator("[data-copy].done")).to_have_count(1)
        assert clipboard(asked) == "one two"

    def test_without_a_connection(self, asked):
        asked.context.set_offline(True)
        asked.get_by_role("button", name="Copy the answer").click()
        expect(asked.locator("[data-copy].done")).to_have_count(1)
        assert clipboard(asked) == "one two"


class TestAgain:
    def test_the_same_at_once(self, asked):
        """Whoever is chosen for the next question."""
        asked.locator("[name=assistant][value=scripted]").evaluate("radio => { radio.checked = true; }")
        again(asked)
        pager(asked, 2, 2)
        expect(asked.locator(ANSWER)).to_have_attribute("data-status", "completed")
        expect(asked.locator(f"{ANSWER} .by")).to_have_text("Echo")

    def test_another_one(self, asked):
        more(asked, "Answer again with…")
        dialog = asked.get_by_role("dialog", name="Answer again with…")
        expect(dialog.locator("[aria-current=true]")).to_contain_text("Echo")
        dialog.get_by_role("button", name=re.compile("^Guide")).click()
        expect(dialog).to_be_hidden()
        pager(asked, 2, 2)
        expect(asked.locator(f"{ANSWER} .by")).to_contain_text("Guide")

    def test_who_answers_is_gone(self, asked, site):
        """Then one is asked who else."""
        site.manage(
            "shell",
            "-v",
            "0",
            "-c",
            "from chat.models import Assistant as A; A.objects.filter(slug='echo').update(is_active=False)",
        )
        try:
            again(asked)
            dialog = asked.get_by_role("dialog", name="Answer again with…")
            expect(dialog).to_contain_text("Choose another one.")
            expect(dialog.get_by_role("button", name=re.compile("^Echo"))).to_have_count(0)
            dialog.get_by_role("button", name=re.compile("^Guide")).click()
            pager(asked, 2, 2)
        finally:
            site.manage(
                "shell", "-v", "0", "-c", "from chat.models import Assistant as A; A.objects.update(is_active=True)"
            )


class TestBranches:
    def test_walking_stays_on_the_page(self, asked):
        again(asked)
        pager(asked, 2, 2)
        expect(asked.locator(ANSWER)).to_have_attribute("data-status", "completed")
        say_more(asked, "three")
        done(asked, 2)
        asked.evaluate("window.isTheSamePage = true")
        asked.locator(ANSWER).first.hover()
        back = asked.locator(ANSWER).first.get_by_role("button", name="Version before")
        place = back.bounding_box()
        back.focus()
        asked.keyboard.press("Enter")
        pager(asked, 1, 2)
        expect(asked.locator(ANSWER)).to_have_count(1)
        expect(asked.locator("[data-status-line]")).to_have_text("Version 1 of 2")
        # There is none before this one: the focus is on the way back.
        expect(asked.get_by_role("button", name="Next version")).to_be_focused()
        assert abs(asked.locator(".pager").bounding_box()["y"] - place["y"]) < 3
        asked.keyboard.press("ArrowRight")
        done(asked, 2)
        expect(asked.locator(f"{QUESTION} .bubble").last).to_have_text("three")
        expect(asked.locator("[data-status-line]")).to_have_text("Version 2 of 2")
        assert asked.evaluate("window.isTheSamePage")
        asked.reload()
        done(asked, 2)

    def test_while_an_answer_is_written(self, asked):
        """It goes on in its own branch, and is there when one turns back."""
        say_more(asked, "forever", "scripted")
        wait_for_numbers(asked, 3)
        asked.locator(".send").click()
        expect(asked.locator(RUNNING)).to_have_count(0)
        asked.locator(ANSWER).last.get_by_role("button", name="Answer again", exact=True).click()
        wait_for_numbers(asked, 5)
        pager(asked, 2, 2)
        asked.get_by_role("button", name="Version before").click()
        pager(asked, 1, 2)
        expect(asked.locator(RUNNING)).to_have_count(0)
        expect(asked.locator(ANSWER).last).to_contain_text("You cancelled this answer.")
        asked.get_by_role("button", name="Next version").click()
        expect(asked.locator(RUNNING)).to_have_count(1)
        seen = numbers(asked)
        wait_for_numbers(asked, max(seen) + 10)
        written = numbers(asked)[:-1]  # the last one may be half there
        assert written == list(range(len(written)))
        asked.locator(".send").click()
        expect(asked.locator(ANSWER).last).to_have_attribute("data-status", "cancelled")

    def test_quick_clicks_walk_once_each(self, asked):
        for number in range(2, 4):
            again(asked)
            pager(asked, number, number)
            expect(asked.locator(ANSWER)).to_have_attribute("data-status", "completed")
        asked.evaluate("""() => {
            const form = document.querySelector("[data-walk=previous]");
            form.requestSubmit(); form.requestSubmit();
        }""")
        pager(asked, 2, 3)


class TestFork:
    def test_it_works(self, asked, site):
        say_more(asked, "three")
        done(asked, 2)
        before = asked.url
        other = another_tab(asked)
        asked.locator(ANSWER).first.hover()
        asked.locator(f"{ANSWER} .tools-menu summary").first.click()
        asked.locator(f"{ANSWER} .tools-menu[open]").get_by_text("Go on in a new conversation").click()
        asked.wait_for_url(lambda url: url != before and "/c/" in url)
        expect(asked).to_have_title(re.compile(r"one two \(fork\)"))
        done(asked, 1)
        expect(asked.locator(f"{ANSWER} .by")).to_have_text("Echo")
        expect(other.locator(".conversations")).to_contain_text("one two (fork)")
        say_more(asked, "elsewhere")
        done(asked, 2)
        done(other, 2)
        expect(other.locator(f"{QUESTION} .bubble").last).to_have_text("three")


class TestDelete:
    def test_it_works_in_every_tab(self, asked):
        say_more(asked, "three")
        done(asked, 2)
        other = another_tab(asked)
        more(asked, "Delete", QUESTION)
        dialog = asked.get_by_role("dialog", name="Delete the message?")
        expect(dialog).to_contain_text("1 message that follows it is deleted as well")
        expect(dialog).to_contain_text("three")
        dialog.get_by_role("link", name="Keep it").click()
        expect(dialog).to_be_hidden()
        done(asked, 2)
        more(asked, "Delete", QUESTION)
        dialog.get_by_role("button", name="Delete", exact=True).click()
        for tab in (asked, other):
            done(tab, 1)
            expect(tab.locator(QUESTION)).to_have_count(1)
        expect(asked.locator("[data-status-line]")).to_have_text("The message was deleted.")
        say_more(other, "four")
        for tab in (asked, other):
            done(tab, 2)

    def test_another_version_takes_its_place(self, asked):
        again(asked)
        pager(asked, 2, 2)
        expect(asked.locator(ANSWER)).to_have_attribute("data-status", "completed")
        other = another_tab(asked)
        kept = asked.locator(ANSWER).get_attribute("id")
        more(asked, "Delete")
        asked.locator("#message-dialog .bad").click()
        for tab in (asked, other):
            expect(tab.locator(f"#{kept}")).to_have_count(0)
            done(tab, 1)
            expect(tab.locator(".pager")).to_have_count(0)

    def test_a_question_without_an_answer_can_be_answered(self, asked):
        more(asked, "Delete")
        asked.locator("#message-dialog .bad").click()
        expect(asked.locator(".unanswered")).to_be_visible()
        asked.get_by_role("button", name="Answer it").click()
        done(asked, 1)
        expect(asked.locator(".unanswered")).to_be_hidden()
        expect(asked.locator(ANSWER)).to_contain_text("one two")

    def test_all_of_it(self, asked):
        more(asked, "Delete", QUESTION)
        asked.locator("#message-dialog .bad").click()
        expect(asked.locator(".blank")).to_be_visible()
        say_more(asked, "anew")
        done(asked, 1)
        expect(asked.locator(".blank")).to_be_hidden()

    def test_not_while_it_is_written(self, asked):
        say_more(asked, "forever", "scripted")
        wait_for_numbers(asked, 3)
        more(asked, "Delete", QUESTION)
        asked.locator("#message-dialog .bad").click()
        expect(asked.locator("#message-dialog [role=alert]")).to_contain_text("still being written")
        asked.keyboard.press("Escape")
        expect(asked.locator("#message-dialog")).to_be_hidden()
        expect(asked.locator(RUNNING)).to_have_count(1)  # Escape closed the dialog and cancelled nothing
        asked.locator(".send").click()
        expect(asked.locator(RUNNING)).to_have_count(0)


class TestFeedback:
    def test_it_works(self, asked):
        bad = asked.get_by_role("button", name="Bad answer")
        good = asked.get_by_role("button", name="Good answer")
        asked.focus("#content")
        bad.click()
        expect(bad).to_have_attribute("aria-pressed", "true")
        form = asked.locator("form.feedback")
        expect(form).to_contain_text("What was wrong?")
        expect(form.locator("textarea")).not_to_be_focused()
        form.get_by_label("Not correct").check()
        form.locator("textarea").fill("There are three.")
        form.get_by_role("button", name="Send").click()
        expect(form).to_have_count(0)
        asked.reload()
        expect(bad).to_have_attribute("aria-pressed", "true")
        # A thumb that is pressed shows what was said.
        bad.click()
        expect(form.locator("textarea")).to_have_value("There are three.")
        expect(form.locator("textarea")).to_be_focused()
        expect(form.get_by_label("Not correct")).to_be_checked()
        asked.keyboard.press("Escape")
        expect(form).to_have_count(0)
        expect(bad).to_be_focused()
        good.click()
        expect(good).to_have_attribute("aria-pressed", "true")
        expect(bad).to_have_attribute("aria-pressed", "false")
        expect(form).to_contain_text("What was good?")
        expect(form.locator("textarea")).to_have_value("There are three.")
        form.get_by_role("button", name="Take it back").click()
        expect(form).to_have_count(0)
        expect(good).to_have_attribute("aria-pressed", "false")
        asked.reload()
        expect(asked.locator("[aria-pressed=true]")).to_have_count(0)

    def test_what_is_not_stored_is_not_pressed(self, asked):
        asked.context.set_offline(True)
        asked.get_by_role("button", name="Good answer").click()
        expect(asked.locator("[data-errors]")).to_contain_text("Check your connection")
        expect(asked.locator("[aria-pressed=true]")).to_have_count(0)


def test_details(asked):
    more(asked, "Details")
    dialog = asked.get_by_role("dialog", name="About this answer")
    for fact in ("Echo", "Duration", "Tokens written", "Completed"):
        expect(dialog).to_contain_text(fact)
    asked.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    asked.locator(".meta").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_times_are_the_readers_own(site, open_page, session):
    page = open_page(storage_state=session, timezone_id="Asia/Seoul")
    ask(page, site, "one", "echo")
    done(page)
    more(page, "Details")
    time = page.locator("#message-dialog time")
    expect(time).to_be_visible()
    there = time.evaluate("time => new Date(time.dateTime).toLocaleTimeString('en', {timeZone: 'Asia/Seoul'})")
    expect(time).to_contain_text(there)


def test_tools_are_calm_on_a_desktop(asked):
    """They are at the newest answer, and at others for who points at them or comes by the keyboard."""
    say_more(asked, "three")
    done(asked, 2)
    asked.mouse.move(5, 5)
    tools = asked.locator(".tools > *", has=asked.get_by_role("button", name="Good answer"))
    expect(tools.first).to_have_css("opacity", "0")
    expect(tools.last).to_have_css("opacity", "1")
    tools.first.get_by_role("button", name="Good answer").focus()
    expect(tools.first).to_have_css("opacity", "1")


def test_menus_are_whole_wherever_they_open(asked):
    """Those of turns that are not laid out until they are in view, too."""
    for text in ("two", "three", "four"):
        say_more(asked, text)
        done(asked, {"two": 2, "three": 3, "four": 4}[text])
    for number in range(4):
        asked.locator(ANSWER).nth(number).scroll_into_view_if_needed()
        asked.locator(ANSWER).nth(number).hover()
        asked.locator(f"{ANSWER} .tools-menu summary").nth(number).click()
        expect(asked.locator(".tools-menu[open]")).to_have_count(1)
        # It is put where there is room by an event of its own.
        expect(asked.locator(".tools-menu[open] > .menu")).to_have_attribute("style", re.compile("translate"))
        for item in asked.locator(".tools-menu[open] .item").all():
            expect(item).to_be_in_viewport(ratio=1)
            assert item.evaluate("""item => {
                const {left, top, width, height} = item.getBoundingClientRect();
                return item.contains(document.elementFromPoint(left + width / 2, top + height / 2));
            }""")
        asked.keyboard.press("Escape")
        expect(asked.locator(".tools-menu[open]")).to_have_count(0)


def test_on_a_phone(site, open_page, session):
    page = open_page(storage_state=session, **PHONE)
    page.goto(f"{site.url}/?assistant=echo")
    page.fill("#content", "one two")
    page.locator(".send").tap()
    done(page)
    again(page)
    pager(page, 2, 2)
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    for tool in page.locator(".tools .icon-btn:visible:not(.pager *), .tools-menu[open] .item").all():
        box = tool.bounding_box()
        assert min(box["width"], box["height"]) >= 44
    page.get_by_role("button", name="Version before").tap()
    pager(page, 1, 2)
    page.get_by_role("button", name="Bad answer").tap()
    page.locator("form.feedback").get_by_label("Too short").tap()
    page.locator("form.feedback").get_by_role("button", name="Send").tap()
    expect(page.locator("form.feedback")).to_have_count(0)
    page.locator(f"{ANSWER} .tools-menu summary").tap()
    for item in page.locator(".tools-menu[open] .item:visible").all():
        expect(item).to_be_in_viewport(ratio=1)
    page.locator(f"{ANSWER} .tools-menu[open]").get_by_text("Delete", exact=True).tap()
    page.locator("#message-dialog .bad").tap()
    expect(page.locator(".pager")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_works_without_javascript(site, open_page):
    page = sign_in(open_page(java_script_enabled=False), site)
    page.goto(f"{site.url}/?assistant=echo")
    page.fill("#content", "plain")
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))
    conversation = page.url

    def reload_until_done() -> None:
        for _ in range(50):
            page.goto(conversation)
            if not page.locator(RUNNING).count():
                return

    reload_until_done()
    expect(page.locator("[data-copy]:visible")).to_have_count(0)
    more(page, "Answer again with…")
    page.get_by_role("button", name=re.compile("^Echo")).click()
    reload_until_done()
    pager(page, 2, 2)
    page.get_by_role("button", name="Version before").click()
    pager(page, 1, 2)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_label("Too short").check()
    page.fill("[name=comment]", "More, please.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    more(page, "Details")
    expect(page.get_by_role("heading", name="About this answer")).to_be_visible()
    page.get_by_role("link", name="Back to the conversation").click()
    more(page, "Delete")
    expect(page.locator(".card")).to_contain_text("Its other version stays.")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".pager")).to_have_count(0)
    more(page, "Go on in a new conversation")
    expect(page).to_have_title(re.compile(r"plain \(fork\)"))
    assert page.url != conversation
