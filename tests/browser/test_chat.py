"""The site as people meet it, in Chromium."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import PASSWORD, Site

RUNNING = "article[aria-busy=true]"
ANSWER = "article[data-role=assistant]"


def ask(page: Page, site: Site, text: str, assistant: str = "scripted") -> None:
    """Begin a conversation and wait until its page is there."""
    page.goto(f"{site.url}/?assistant={assistant}")
    page.fill("textarea", text)
    page.locator("textarea").press("Enter")
    page.wait_for_url(re.compile("/c/"))


def numbers(page: Page) -> list[int]:
    return [int(number) for number in page.locator(f"{ANSWER} [data-prose]").last.inner_text().split()]


def wait_for_numbers(page: Page, least: int) -> None:
    expect(page.locator(f"{ANSWER} [data-prose]").last).to_contain_text(f" {least} ")


def test_first_run(tmp_path, open_page, static):
    """A new clone: the printed link makes the owner, who asks the guide and is answered by a real model."""
    site = Site(tmp_path)
    site.set_up(static)
    link = re.search(r"http\S+", site.manage("owner_link", "--url", site.url))[0]
    site.start()
    try:
        page = open_page()
        page.goto(site.url)
        expect(page).to_have_url(re.compile("/accounts/login/"))
        page.goto(link)
        page.fill("[name=username]", "owner")
        page.fill("[name=email]", "owner@example.org")
        page.fill("[name=password1]", PASSWORD)
        page.fill("[name=password2]", PASSWORD)
        page.locator("[name=password2]").press("Enter")
        page.wait_for_url(f"{site.url}/")
        ask(page, site, "How do I run the site?", "guide")
        answer = page.locator(ANSWER)
        expect(answer).to_contain_text("make run", timeout=60_000)
        expect(answer).to_have_attribute("data-status", "completed", timeout=30_000)
        page.reload()
        expect(page.locator(ANSWER)).to_contain_text("make run")
        page.goto(link)
        expect(page.locator("body")).not_to_contain_text("Password confirmation")
    finally:
        site.stop()


def test_an_answer_streams_and_is_rendered(page, site):
    ask(page, site, "markdown please")
    answer = page.locator(ANSWER)
    expect(answer).to_have_attribute("data-status", "completed")
    expect(answer.locator("h1, h2").filter(has_text="Title")).to_be_visible()
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator(".code header")).to_contain_text("python")
    live = answer.locator("[data-prose]").inner_text()
    page.reload()
    assert page.locator(f"{ANSWER} [data-prose]").inner_text() == live
    expect(page.locator("aside, nav, .side").first).to_contain_text("markdown please")


def test_reload_in_mid_answer_loses_and_doubles_nothing(page, site):
    ask(page, site, "forever")
    wait_for_numbers(page, 20)
    for _ in range(3):
        seen = numbers(page)[:-1]
        page.reload()
        wait_for_numbers(page, seen[-1] + 20)
    page.keyboard.press("Escape")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "cancelled")
    shown = numbers(page)
    assert shown == list(range(len(shown)))
    page.reload()
    assert numbers(page) == shown


def test_a_second_tab_watches_and_cancels(page, site):
    ask(page, site, "forever")
    wait_for_numbers(page, 5)
    second = page.context.new_page()
    second.goto(page.url)
    wait_for_numbers(second, 20)
    second.locator("[data-state=stop], .send").last.click()
    for tab in (page, second):
        expect(tab.locator(ANSWER)).to_have_attribute("data-status", "cancelled")
        expect(tab.locator(ANSWER)).to_contain_text("You cancelled this answer.")
    assert numbers(page) == numbers(second)


def test_a_second_tab_sees_what_is_sent(page, site):
    ask(page, site, "one", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    second = page.context.new_page()
    second.goto(page.url)
    page.fill("textarea", "two three")
    page.locator("textarea").press("Enter")
    for tab in (page, second):
        expect(tab.locator(ANSWER)).to_have_count(2)
        expect(tab.locator(ANSWER).last).to_have_attribute("data-status", "completed")
        expect(tab.locator(ANSWER).last).to_contain_text("two three")


def test_an_error_is_told_in_words_and_retried(page, site):
    ask(page, site, "fail please")
    expect(page.locator(ANSWER)).to_contain_text("The model cannot be reached.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(ANSWER)).to_contain_text("The model cannot be reached.")
    expect(page.locator(ANSWER)).to_contain_text(re.compile(r"2\s*/\s*2"))


def test_an_answer_that_is_quicker_than_its_form(page, site):
    ask(page, site, "markdown")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    for count in range(2, 5):
        page.fill("textarea", "fail at once")
        page.locator("textarea").press("Enter")
        expect(page.locator(ANSWER)).to_have_count(count)
        expect(page.locator(ANSWER).last).to_have_attribute("data-status", "failed")


def test_kill_in_mid_answer_keeps_the_text(page, site):
    ask(page, site, "forever")
    wait_for_numbers(page, 30)
    site.stop(signal.SIGKILL)
    seen = numbers(page)[:-1]
    site.start()
    # The page comes back by itself and is not stuck.
    expect(page.locator(ANSWER)).to_contain_text("The answer was interrupted.", timeout=20_000)
    expect(page.locator(RUNNING)).to_have_count(0)
    kept = numbers(page)
    assert kept[: len(seen)] == seen
    assert kept == list(range(len(kept)))
    page.reload()
    assert numbers(page) == kept


def test_a_deploy_ends_quickly_and_keeps_the_text(page, site):
    ask(page, site, "forever")
    wait_for_numbers(page, 10)
    assert site.stop(signal.SIGTERM) < 10
    site.start()
    expect(page.locator(ANSWER)).to_contain_text("The answer was interrupted.", timeout=20_000)
    kept = numbers(page)
    assert kept == list(range(len(kept)))


def test_who_waits_is_told_why(page, site, tmp_path):
    script = tmp_path / "script"

    def say(line: str) -> None:
        with script.open("a") as file:
            file.write(f"{line}\n")

    script.touch()
    ask(page, site, f"steered {script}")
    line = page.locator(f"{RUNNING} [data-stage]")
    heard = page.locator("[data-status-line]")
    bar = line.get_by_role("progressbar")
    expect(line).to_have_text("Waiting…")
    say("queued [3]")
    expect(line).to_have_text("Waiting, place 3 in the queue")
    expect(heard).to_have_text("Waiting, place 3 in the queue")
    say("queued [2]")
    expect(line).to_have_text("Waiting, place 2 in the queue")
    expect(heard).to_have_text("Waiting, place 3 in the queue")  # one step of a queue is no news
    page.reload()
    expect(line).to_have_text("Waiting, place 2 in the queue")
    expect(bar).to_be_hidden()
    say("queued [1]")
    expect(line).to_have_text("Next in line")
    expect(heard).to_have_text("Next in line")
    say("loading [null, 0.4]")
    expect(line).to_have_text("Loading the model… 40 %")
    expect(bar).to_be_visible()
    assert bar.evaluate("bar => bar.value") == 0.4
    page.reload()
    expect(line).to_have_text("Loading the model…")
    assert bar.evaluate("bar => bar.position") == -1  # not known until it is told again
    say("loading [null, 0.8]")
    expect(line).to_have_text("Loading the model… 80 %")
    say("reading")
    expect(line).to_have_text("Reading…")
    expect(bar).to_be_hidden()
    say("text Here it is.")
    expect(page.locator(f"{ANSWER} [data-prose]")).to_have_text("Here it is.")
    expect(line).to_be_hidden()
    say("end")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    expect(page.locator("[data-stage]")).to_have_count(0)


def test_signing_out_ends_the_stream(page, site):
    ask(page, site, "forever")
    wait_for_numbers(page, 5)
    page.context.clear_cookies()
    code = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"
    site.manage("shell", "-v", "0", "-c", code)
    expect(page.locator("body")).to_contain_text("You are signed out.")


def test_rename_and_delete(page, site):
    ask(page, site, "a title to change", "echo")
    page.goto(page.url.rstrip("/") + "/rename/")
    page.fill("[name=title]", "A better title")
    page.locator("[name=title]").press("Enter")
    page.wait_for_url(re.compile(r"/c/[^/]+/$"))
    expect(page).to_have_title(re.compile("A better title"))
    conversation = page.url
    page.goto(conversation + "delete/")
    page.locator("form button").last.click()
    page.wait_for_url(f"{site.url}/conversations/?view=deleted")
    assert page.goto(conversation).status == 404


@pytest.mark.parametrize("order", ["chrome", "safari"])
def test_enter_during_composition_does_not_send(page, site, order):
    page.goto(f"{site.url}/?assistant=echo")
    page.fill("textarea", "한")
    page.evaluate(
        """order => {
            const field = document.querySelector("textarea");
            const key = {key: "Enter", bubbles: true, cancelable: true};
            if (order === "safari") field.dispatchEvent(new CompositionEvent("compositionend", {bubbles: true}));
            const event = new KeyboardEvent("keydown", {...key, isComposing: order === "chrome"});
            if (order === "safari") Object.defineProperty(event, "keyCode", {value: 229});
            field.dispatchEvent(event);
        }""",
        order,
    )
    page.wait_for_timeout(100)
    assert page.url == f"{site.url}/?assistant=echo"
    assert page.input_value("textarea") == "한"


def test_nothing_in_an_answer_runs(page, site):
    tricks = "<img src=x onerror=window.pwned=1> <script>window.pwned=1</script> [a](javascript:window.pwned=1)"
    ask(page, site, tricks, "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    page.reload()
    for link in page.locator(f"{ANSWER} [data-prose] a").all():
        assert not link.get_attribute("href").startswith("javascript")
    assert page.evaluate("window.pwned") is None


def test_what_was_typed_is_kept_when_sending_fails(page, site):
    ask(page, site, "one", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    page.context.set_offline(True)
    page.fill("textarea", "my long text")
    page.locator("textarea").press("Enter")
    expect(page.locator("[role=alert]").filter(has_text="Not sent")).to_be_visible()
    assert page.input_value("textarea") == "my long text"
    page.context.set_offline(False)
    page.locator("textarea").press("Enter")
    expect(page.locator(ANSWER).last).to_contain_text("my long text")
    expect(page.locator(ANSWER)).to_have_count(2)


def test_it_works_without_javascript(site, open_page):
    page = sign_in(open_page(java_script_enabled=False), site)
    page.goto(f"{site.url}/?assistant=echo")
    page.fill("textarea", "plain and simple")
    page.locator("form#composer button[type=submit], form#composer button").last.click()
    page.wait_for_url(re.compile("/c/"))
    while page.locator(RUNNING).count():
        page.reload()
    expect(page.locator(ANSWER)).to_contain_text("plain and simple")


def test_a_phone_has_a_drawer(site, open_page):
    page = sign_in(open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True), site)
    drawer = page.locator(".side")
    expect(drawer).not_to_be_in_viewport()
    page.get_by_role("button", name="Open the sidebar").click()
    expect(drawer).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("path", ["", "chat/conversation/", "chat/assistant/add/", "chat/generation/", "chat/user/"])
def test_the_admin_keeps_the_content_policy(page, site, path):
    page.goto(f"{site.url}/admin/{path}", wait_until="load")
    expect(page.locator("#content")).to_be_visible()


def test_an_answer_whose_end_cannot_be_fetched_is_finished_later(page, site):
    """The server goes away between the last event and the turn that it leads to."""
    turn = re.compile(r"/messages/\d+/$")
    page.route(turn, lambda route: route.abort())
    ask(page, site, "markdown please")
    answer = page.locator(ANSWER)
    expect(answer.locator("strong")).to_have_text("bold")
    expect(page.get_by_role("status").filter(has_text="Answer ready")).to_have_count(1)
    expect(answer).not_to_have_attribute("data-status", "completed")
    page.unroute(turn)
    expect(answer).to_have_attribute("data-status", "completed")
    expect(answer.get_by_role("button", name="Good answer")).to_have_count(1)
