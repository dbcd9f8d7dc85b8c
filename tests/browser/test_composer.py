"""The message field and what one waits for, as people meet them in Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD, Site
from tests.browser.test_chat import ANSWER, RUNNING, ask, wait_for_numbers

FIELD = "#content"
ERROR = "[data-errors] .notice"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def shell(site: Site, code: str) -> str:
    return site.manage("shell", "-v", "0", "-c", f"from chat.models import *\n{code}")


@pytest.fixture(scope="module")
def adjustable(prepared_site: Site) -> None:
    shell(
        prepared_site,
        "Assistant.objects.filter(slug='echo').update(adjustable=['temperature', 'max_output_tokens'],"
        " temperature=0.7, max_output_tokens=500, starters=['Say hello', 'Say goodbye'])\n"
        f"User.objects.filter(username='bob').exists() or User.objects.create_user('bob', password='{PASSWORD}')",
    )


@pytest.fixture
def home(page: Page, site: Site, adjustable: None) -> Page:
    page.goto(f"{site.url}/?assistant=echo")
    return page


def settled(page: Page) -> None:
    expect(page.locator(ANSWER).last).to_have_attribute("data-status", "completed")


def wait_until_stored(page: Page, text: str) -> None:
    page.wait_for_function("text => Object.values(localStorage).join().includes(text)", arg=text)


class TestTyping:
    def test_shift_enter_breaks_and_enter_sends(self, home):
        home.locator(FIELD).press_sequentially("one")
        home.locator(FIELD).press("Shift+Enter")
        home.locator(FIELD).press_sequentially("two")
        assert home.input_value(FIELD) == "one\ntwo"
        home.locator(FIELD).press("Enter")
        home.wait_for_url(re.compile("/c/"))
        expect(home.locator(".bubble")).to_have_text("one\ntwo")
        expect(home.locator(FIELD)).to_be_empty()

    def test_on_a_phone_enter_breaks(self, open_page, site, adjustable):
        page = sign_in(open_page(**PHONE), site)
        page.goto(f"{site.url}/?assistant=echo")
        page.locator(FIELD).press_sequentially("one")
        page.locator(FIELD).press("Enter")
        assert page.input_value(FIELD) == "one\n"
        page.locator(".send").tap()
        page.wait_for_url(re.compile("/c/"))

    def test_it_grows_and_then_scrolls(self, home):
        height = lambda: home.locator(FIELD).bounding_box()["height"]  # noqa: E731
        low = height()
        home.fill(FIELD, "line\n" * 5)
        assert height() > low + 80
        home.fill(FIELD, "line\n" * 200)
        assert height() <= 0.4 * 800 + 1
        assert home.locator(FIELD).evaluate("field => field.scrollHeight > field.clientHeight")
        home.fill(FIELD, "")
        assert height() == low

    def test_a_syllable_that_is_being_typed_is_not_sent(self, home):
        """Chrome's order, by the browser's own input method."""
        browser = home.context.new_cdp_session(home)
        home.locator(FIELD).focus()
        browser.send("Input.imeSetComposition", {"text": "한", "selectionStart": 1, "selectionEnd": 1})
        enter = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229}
        browser.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
        browser.send("Input.insertText", {"text": "한"})
        assert home.input_value(FIELD) == "한"
        home.wait_for_timeout(100)
        assert "/c/" not in home.url
        home.locator(FIELD).press("Enter")
        home.wait_for_url(re.compile("/c/"))
        expect(home.locator(".bubble")).to_have_text("한")

    def test_escape_in_a_syllable_cancels_nothing(self, page, site):
        ask(page, site, "forever")
        wait_for_numbers(page, 5)
        page.evaluate(
            """() => {
                const event = new KeyboardEvent("keydown", {key: "Escape", bubbles: true, cancelable: true});
                Object.defineProperty(event, "keyCode", {value: 229});
                document.querySelector("#content").dispatchEvent(event);
            }"""
        )
        wait_for_numbers(page, 30)
        page.locator(".assistant-menu summary").click()
        page.keyboard.press("Escape")  # closes the menu, and no more
        expect(page.locator(".assistant-menu[open]")).to_have_count(0)
        expect(page.locator(RUNNING)).to_have_count(1)
        page.locator(FIELD).press("Escape")
        expect(page.locator(ANSWER)).to_have_attribute("data-status", "cancelled")

    def test_arrow_up_in_an_empty_field_edits_the_last_question(self, home, site):
        ask(home, site, "first words", "echo")
        settled(home)
        home.locator(FIELD).press_sequentially("x")
        home.locator(FIELD).press("ArrowUp")
        expect(home.locator("form.edit")).to_have_count(0)
        home.fill(FIELD, "")
        home.locator(FIELD).press("ArrowUp")
        expect(home.locator("form.edit textarea")).to_be_focused()
        expect(home.locator("form.edit textarea")).to_have_value("first words")

    def test_enter_while_an_answer_is_written_says_why_not(self, page, site):
        ask(page, site, "forever")
        page.fill(FIELD, "next")
        page.locator(FIELD).press("Enter")
        expect(page.locator(ERROR)).to_contain_text("An answer is still being written.")
        assert page.input_value(FIELD) == "next"
        page.locator(".send").click()
        expect(page.locator(ANSWER)).to_have_attribute("data-status", "cancelled")
        expect(page.locator(ERROR)).to_have_count(0)
        assert page.input_value(FIELD) == "next"

    def test_what_is_too_long_is_said_before_it_is_sent(self, home):
        home.fill(FIELD, "x" * 95_000)
        expect(home.locator("[data-counter]")).to_have_text("95,000 / 100,000")
        home.fill(FIELD, "\n" + "😀" * 100_000 + "\n")  # code points, and no blanks around
        expect(home.locator("[data-counter]")).to_have_text("100,000 / 100,000")
        expect(home.locator(ERROR)).to_have_count(0)
        home.fill(FIELD, "x" * 100_001)
        expect(home.locator(ERROR)).to_contain_text("Too long: 100,000 characters are the most.")
        expect(home.locator(FIELD)).to_have_attribute("aria-invalid", "true")
        home.locator(".send").click()
        home.wait_for_timeout(100)
        assert "/c/" not in home.url
        home.fill(FIELD, "short")
        expect(home.locator(ERROR)).to_have_count(0)
        expect(home.locator("[data-counter]")).to_be_hidden()

    def test_an_empty_field_sends_nothing(self, home):
        home.locator(".send").click()
        expect(home.locator(FIELD)).to_be_focused()
        assert "/c/" not in home.url


class TestDrafts:
    def test_each_conversation_has_its_own(self, home, site):
        home.fill(FIELD, "for a new one")
        home.reload()
        assert home.input_value(FIELD) == "for a new one"
        home.fill(FIELD, "first")
        home.locator(FIELD).press("Enter")
        home.wait_for_url(re.compile("/c/"))
        settled(home)
        conversation = home.url
        home.fill(FIELD, "for this one")
        home.goto(site.url)
        assert home.input_value(FIELD) == ""
        home.close()
        page = home.context.new_page()
        page.goto(conversation)
        assert page.input_value(FIELD) == "for this one"

    def test_two_tabs_overwrite_nothing(self, home):
        other = home.context.new_page()
        other.goto(home.url)
        home.fill(FIELD, "one")
        expect(other.locator(FIELD)).to_have_value("one")  # nothing is typed there
        other.fill(FIELD, "two")
        home.fill(FIELD, "one more")
        wait_until_stored(other, "one more")
        wait_until_stored(home, '"two"')
        assert (home.input_value(FIELD), other.input_value(FIELD)) == ("one more", "two")
        for page in (home, other):
            page.reload()
        assert (home.input_value(FIELD), other.input_value(FIELD)) == ("one more", "two")

    def test_what_another_tab_wrote_over_is_kept(self, home):
        """Two that write at the same moment see too late that they share a draft."""
        home.fill(FIELD, "one")
        wait_until_stored(home, '"one"')
        home.evaluate("""() => {
            const key = Object.keys(localStorage).find((name) => name.startsWith("draft:"));
            localStorage.setItem(key, JSON.stringify({text: "two", at: Date.now(), tab: "another"}));
            dispatchEvent(new StorageEvent("storage", {key}));
        }""")
        home.reload()
        assert home.input_value(FIELD) == "one"

    def test_what_was_typed_just_now_stays(self, home):
        """Another tab stores its own before this one has stored anything."""
        home.fill(FIELD, "one")
        other = home.context.new_page()
        other.goto(home.url)
        expect(other.locator(FIELD)).to_have_value("one")
        other.locator(FIELD).evaluate("""field => {
            field.value = "two";
            field.dispatchEvent(new Event("input", {bubbles: true}));
            const key = Object.keys(localStorage).find((name) => name.startsWith("draft:"));
            dispatchEvent(new StorageEvent("storage", {key}));
        }""")
        assert other.input_value(FIELD) == "two"

    def test_somebody_else_does_not_see_it(self, home, site):
        home.fill(FIELD, "secret of Alice")
        wait_until_stored(home, "secret")
        home.context.clear_cookies()  # the session ended, and nobody signed out
        sign_in(home, site, "bob")
        assert home.input_value(FIELD) == ""
        assert "secret" not in home.evaluate("JSON.stringify(localStorage)")

    @pytest.mark.parametrize("way", ["menu", "page"])
    def test_signing_out_forgets_it(self, home, site, way):
        home.fill(FIELD, "secret of Alice")
        wait_until_stored(home, "secret")
        if way == "menu":
            home.locator(".account").click()
        else:
            home.goto(f"{site.url}/accounts/logout/")
        home.get_by_role("button", name="Sign out").click()
        home.wait_for_url(re.compile("/accounts/login/"))
        assert "secret" not in home.evaluate("JSON.stringify([localStorage, sessionStorage])")


class TestFailure:
    def test_offline(self, home):
        home.context.set_offline(True)
        expect(home.locator("[data-offline]")).to_contain_text("What you type is kept on this device.")
        home.fill(FIELD, "long and dear")
        home.locator(FIELD).press("Enter")
        expect(home.locator(ERROR)).to_contain_text("Not sent: you are offline.")
        assert home.input_value(FIELD) == "long and dear"
        home.context.set_offline(False)
        expect(home.locator("[data-offline]")).to_be_empty()
        home.get_by_role("button", name="Send again").click()
        home.wait_for_url(re.compile("/c/"))
        expect(home.locator(".bubble")).to_have_text("long and dear")

    @pytest.mark.parametrize(
        ("status", "words", "again"),
        [
            (503, "The site is very busy.", True),
            (429, "Many of your answers", True),
            (409, "An answer is still being written here.", False),
            (500, "The server had a problem.", True),
        ],
    )
    def test_each_refusal_has_words_and_a_remedy(self, home, site, status, words, again):
        body = "{}" if status == 500 else f'{{"errors": {{"__all__": ["{words}"]}}}}'
        home.route(
            f"{site.url}/",
            lambda route: (
                route.fulfill(status=status, content_type="application/json", body=body)
                if route.request.method == "POST"
                else route.continue_()
            ),
        )
        home.fill(FIELD, "dear")
        home.locator(FIELD).press("Enter")
        expect(home.locator(ERROR)).to_contain_text(words)
        assert home.input_value(FIELD) == "dear"
        expect(home.get_by_role("button", name="Send again")).to_have_count(int(again))

    def test_signed_out_meanwhile(self, home, site):
        ask(home, site, "one", "echo")
        settled(home)
        home.context.clear_cookies()
        home.fill(FIELD, "dear")
        home.locator(FIELD).press("Enter")
        expect(home.locator(ERROR)).to_contain_text("Your text is kept here. Sign in, then send it again.")
        with home.context.expect_page() as opened:
            home.locator(ERROR).get_by_role("link", name="Sign in again").click()
        other = opened.value
        other.fill("[name=login]", "alice")
        other.fill("[name=password]", PASSWORD)
        other.locator("[name=password]").press("Enter")
        other.wait_for_url(f"{site.url}/")
        assert home.input_value(FIELD) == "dear"
        home.locator(".send").click()
        expect(home.locator(".bubble").last).to_have_text("dear")
        expect(home.locator(FIELD)).to_be_empty()
        settled(home)

    def test_nothing_is_sent_in_the_name_of_somebody_else(self, home, site):
        home.fill(FIELD, "secret of Alice")
        home.context.clear_cookies()
        other = home.context.new_page()
        sign_in(other, site, "bob")
        home.locator(FIELD).press("Enter")
        expect(home.locator(ERROR)).to_contain_text("somebody else is signed in here now")
        assert "secret of Alice" not in shell(site, "print(*Message.objects.values_list('content', flat=True))")

    def test_a_conversation_that_was_deleted(self, home, site):
        ask(home, site, "one", "echo")
        settled(home)
        home.evaluate("document.querySelector('chat-log').disconnectedCallback()")  # it does not hear of it
        shell(site, f"Conversation.objects.filter(pk='{home.url.split('/')[-2]}').delete()")
        home.fill(FIELD, "dear")
        home.locator(FIELD).press("Enter")
        expect(home.locator(ERROR)).to_contain_text("this conversation was deleted")
        home.get_by_role("button", name="Start a new chat with it").click()
        home.wait_for_url(f"{site.url}/")
        assert home.input_value(FIELD) == "dear"

    def test_a_conversation_that_is_deleted_in_another_tab(self, home, site):
        ask(home, site, "one", "echo")
        settled(home)
        home.fill(FIELD, "dear")
        other = home.context.new_page()
        other.goto(f"{home.url}delete/")
        other.locator("main form button").last.click()
        home.wait_for_url(f"{site.url}/")
        assert home.input_value(FIELD) == "dear"


class TestStarters:
    def test_it_is_sent_at_once_and_the_draft_comes_along(self, home, site):
        home.fill(FIELD, "my draft")
        starter = home.get_by_role("button", name="Say goodbye")
        starter.focus()
        home.keyboard.press("Enter")
        home.wait_for_url(re.compile("/c/"))
        expect(home.locator(".bubble")).to_have_text("Say goodbye")
        assert home.input_value(FIELD) == "my draft"
        home.goto(site.url)
        assert home.input_value(FIELD) == ""


class TestAssistants:
    def test_another_one_is_asked_where_one_fails(self, home, site):
        ask(home, site, "fail please")
        notice = home.locator("[data-notice]")
        expect(notice).to_contain_text("The model cannot be reached.")
        notice.get_by_role("link", name="Ask another assistant").click()
        others = home.get_by_role("dialog", name="Answer again with…")
        expect(others).to_be_visible()
        home.keyboard.press("Escape")
        expect(others).to_be_hidden()
        expect(notice.get_by_role("link", name="Ask another assistant")).to_be_focused()
        home.keyboard.press("Enter")
        others.get_by_role("button", name="Echo").click()
        expect(others).to_be_hidden()
        expect(home.locator(ANSWER)).to_have_attribute("data-status", "completed")
        expect(home.locator(ANSWER).locator(".by")).to_contain_text("Echo")

    def test_how_they_fare_is_looked_up_when_the_menu_opens(self, home, site):
        answer = {"assistants": {"echo": {"level": "down", "words": "Down since noon"}}}
        home.route("**/assistants/health/", lambda route: route.fulfill(json=answer))
        home.evaluate("document.querySelector('chat-menu').lookedAt = -1e9")
        home.locator(".assistant-menu summary").click()
        option = home.locator(".option", has_text="Echo")
        expect(option.locator("[data-health]")).to_have_attribute("data-health", "down")
        expect(option).to_contain_text("Down since noon")
        expect(home.locator("summary.assistant")).to_contain_text("Down since noon")
        expect(home.locator("[data-intro=echo] [data-health]")).to_be_visible()


class TestWaiting:
    def test_how_long_it_has_been_and_what_to_do(self, page, site, tmp_path):
        script = tmp_path / "script"
        script.touch()
        ask(page, site, f"steered {script}")
        more = page.locator(f"{RUNNING} chat-waiting")
        expect(more).to_be_hidden()  # nobody need be told of a second
        script.write_text("queued [3]\n")
        expect(more).to_contain_text("You can leave this page; the answer is kept.")
        expect(more.locator("[data-elapsed]")).to_have_text(re.compile(r"^0:0[4-9]$"))
        assert more.locator("[data-elapsed]").get_attribute("aria-hidden") == "true"
        page.evaluate("document.querySelector('chat-waiting').began -= 90_000")
        expect(more.locator("[data-elapsed]")).to_have_text(re.compile(r"^1:3\d$"))
        script.write_text("queued [3]\nloading [null, 0.4]\n")
        expect(more).to_contain_text("This takes a while the first time.")
        script.write_text("queued [3]\nloading [null, 0.4]\nreading\n")
        expect(more).to_contain_text("This takes longer than usual.")
        page.reload()  # the server counts from the question
        expect(more.locator("[data-elapsed]")).to_have_text(re.compile(r"^0:[0-5]\d$"))
        script.write_text("queued [3]\nloading [null, 0.4]\nreading\ntext Here.\nend\n")
        settled(page)
        expect(page.locator("chat-waiting")).to_have_count(0)


class TestParameters:
    PANEL = ".parameters"
    TEMPERATURE = "#parameter-temperature"

    def open(self, page: Page) -> None:
        page.locator(f"{self.PANEL} summary").click()
        expect(page.locator(f"{self.PANEL} .panel")).to_be_visible()

    def test_it_works(self, home, site):
        self.open(home)
        expect(home.locator(self.TEMPERATURE)).to_have_attribute("placeholder", "0.7")
        home.get_by_role("slider", name="Temperature").fill("1.3")
        expect(home.locator(self.TEMPERATURE)).to_have_value("1.3")
        home.fill("#parameter-max_output_tokens", "90")
        expect(home.locator(f"{self.PANEL} summary")).to_contain_text("2 changed")
        home.keyboard.press("Escape")
        home.reload()  # not sent yet
        expect(home.locator(self.TEMPERATURE)).to_have_value("1.3")
        home.fill(FIELD, "hello")
        home.locator(FIELD).press("Enter")
        home.wait_for_url(re.compile("/c/"))
        settled(home)
        assert shell(site, "print(Generation.objects.first().parameters)").strip() == str(
            {"temperature": 1.3, "max_output_tokens": 90}
        )
        other = home.context.new_page()
        other.goto(home.url)
        expect(other.locator(self.TEMPERATURE)).to_have_value("1.3")
        self.open(other)
        other.get_by_role("button", name="Back to the assistant's values").click()
        expect(other.locator(self.TEMPERATURE)).to_have_value("")
        expect(other.locator(self.TEMPERATURE)).to_be_focused()
        expect(other.locator("[data-count]")).to_be_hidden()
        other.keyboard.press("Escape")
        other.get_by_role("button", name="Answer again").click()
        expect(other.locator(ANSWER)).to_contain_text(re.compile(r"2\s*/\s*2"))
        assert "1.3" not in shell(site, "print(Generation.objects.first().parameters)")

    def test_another_assistant_allows_something_else(self, home):
        home.locator(".assistant-menu summary").click()
        home.locator(".option", has_text="Scripted").click()
        expect(home.locator(self.PANEL)).to_be_hidden()
        home.locator(".assistant-menu summary").click()
        home.locator(".option", has_text="Echo").click()
        expect(home.locator(self.PANEL)).to_be_visible()
        self.open(home)
        expect(home.locator("#parameter-seed")).to_be_hidden()
        expect(home.locator(self.TEMPERATURE)).to_be_editable()

    def test_enter_in_a_number_sends_nothing(self, home):
        home.fill(FIELD, "half a thought")
        self.open(home)
        home.fill(self.TEMPERATURE, "1")
        home.locator(self.TEMPERATURE).press("Enter")
        expect(home.locator(FIELD)).to_be_focused()
        expect(home.locator(f"{self.PANEL} .panel")).to_be_hidden()
        home.wait_for_timeout(100)
        assert "/c/" not in home.url

    def test_a_wrong_value_opens_the_panel(self, home, site):
        self.open(home)
        home.fill("#parameter-max_output_tokens", "501")
        home.locator("#parameter-max_output_tokens").press("Enter")
        home.fill(FIELD, "hello")
        home.locator(FIELD).press("Enter")
        expect(home.locator("#parameter-max_output_tokens")).to_be_focused()
        expect(home.locator("#parameter-max_output_tokens")).to_have_attribute("aria-invalid", "true")
        assert "/c/" not in home.url
        home.fill("#parameter-max_output_tokens", "400")
        shell(site, "Assistant.objects.filter(slug='echo').update(max_output_tokens=300)")
        home.locator(FIELD).press("Enter")  # which only the server knows to be too much by now
        expect(home.locator(ERROR)).to_contain_text("Greatest length: at most 300.")
        expect(home.locator("#parameter-max_output_tokens")).to_be_focused()
        assert home.input_value(FIELD) == "hello"
        shell(site, "Assistant.objects.filter(slug='echo').update(max_output_tokens=500)")

    def test_without_a_script(self, open_page, site, adjustable):
        page = sign_in(open_page(java_script_enabled=False), site)
        page.goto(f"{site.url}/?assistant=echo")
        page.locator(f"{self.PANEL} summary").click()
        page.fill(self.TEMPERATURE, "1.1")
        page.fill(FIELD, "hello")
        page.locator(".send").click()
        page.wait_for_url(re.compile("/c/"))
        expect(page.locator(self.TEMPERATURE)).to_have_value("1.1")

    def test_on_a_phone(self, open_page, site, adjustable):
        page = sign_in(open_page(**PHONE), site)
        page.goto(f"{site.url}/?assistant=echo")
        page.locator(f"{self.PANEL} summary").tap()
        box = page.locator(f"{self.PANEL} .panel").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["y"] >= 0
        for control in page.locator(f"{self.PANEL} :is(summary, .panel input, .panel textarea)").all():
            if control.is_visible():
                assert control.bounding_box()["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
