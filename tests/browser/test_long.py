"""Long conversations: turns come where the reader goes, and nothing that is read moves."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import ROOT, Site

TURNS = "[data-turns] > .turn"
MESSAGES = 240
PAGE = 50

WATCH = """
() => {
  const log = document.querySelector(".log");
  const top = log.getBoundingClientRect().top;
  const seen = [...document.querySelectorAll(".turn")].find((turn) => turn.getBoundingClientRect().bottom > top + 1);
  window.watched = { turn: seen, places: [] };
  const look = () => {
    window.watched.places.push(seen.getBoundingClientRect().top + 0);
    window.watched.frame = requestAnimationFrame(look);
  };
  look();
}
"""
DRIFT = """
() => {
  cancelAnimationFrame(window.watched.frame);
  const { places } = window.watched;
  return Math.max(...places) - Math.min(...places);
}
"""


@pytest.fixture(scope="module")
def long_path(prepared_site: Site) -> str:
    """The path of a conversation of Alice's; tests that say something in it take ``fill_one``."""
    return fill(prepared_site)


def fill(site: Site, messages: int = MESSAGES) -> str:
    command = [sys.executable, "-m", "bench.page.fill", "alice", str(messages), str(1000 * messages)]
    done = subprocess.run(command, env=site.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ids(page: Page) -> list[int]:
    return page.evaluate("[...document.querySelectorAll('.turn')].map((turn) => Number(turn.dataset.message))")


def scroll_to(page: Page, expression: str) -> None:
    page.evaluate(f"(() => {{ const log = document.querySelector('.log'); log.scrollTop = {expression}; }})()")


def settle(page: Page) -> None:
    """Wait until turns that came are measured, and may be skipped."""
    expect(page.locator(".turn.fresh")).to_have_count(0)


def be_still(page: Page) -> None:
    """Wait until nothing of what is in view moved for ten frames."""
    page.evaluate("""() => new Promise((done) => {
        const log = document.querySelector(".log");
        let before = "";
        let frames = 0;
        const look = () => {
            const places = [...log.querySelectorAll(".turn")].map((turn) => turn.getBoundingClientRect());
            const seen = places.filter(({ top, bottom }) => bottom > 0 && top < innerHeight);
            const now = JSON.stringify([log.scrollTop, seen.map(({ top }) => top)]);
            frames = now === before ? frames + 1 : 0;
            before = now;
            if (frames < 10) requestAnimationFrame(look);
            else done();
        };
        look();
    })""")


def go_on(page: Page, side: str) -> None:
    """Scroll until there is no more on this side."""
    line = f"[data-past={side}]"
    while page.locator(line).count():
        count = len(ids(page))
        scroll_to(page, "0" if side == "earlier" else "log.scrollHeight")
        page.wait_for_function(
            "([line, count]) => !document.querySelector(line) || document.querySelectorAll('.turn').length > count",
            arg=[line, count],
        )


def stop_loading_by_itself(page: Page) -> None:
    """Keep what is near from being fetched, so that a test says when."""
    page.add_init_script("window.IntersectionObserver = class { observe() {} unobserve() {} disconnect() {} }")


def test_older_turns_load_where_the_reader_scrolls(page, site, long_path):
    page.goto(site.url + long_path)
    expect(page.locator(TURNS)).to_have_count(PAGE)
    newest = ids(page)
    scroll_to(page, "900")
    expect(page.locator(TURNS)).to_have_count(2 * PAGE)
    assert ids(page)[PAGE:] == newest
    first = newest[-1] - MESSAGES + 1
    for count in (3 * PAGE, 4 * PAGE, MESSAGES):
        settle(page)
        page.locator(".log").press("Home")
        expect(page.locator(TURNS)).to_have_count(count)
    assert ids(page) == list(range(first, first + MESSAGES))
    expect(page.locator("[data-past]")).to_have_count(0)
    expect(page.locator("[data-status-line]")).to_have_text("Earlier messages are above.")


@pytest.mark.parametrize("place", [0, 40, 700])
@pytest.mark.parametrize("phone", [False, True])
def test_what_is_read_does_not_move(site, open_page, long_path, place, phone):
    options = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True} if phone else {}
    page = sign_in(open_page(**options), site)
    stop_loading_by_itself(page)
    page.goto(site.url + long_path)
    expect(page.locator("[data-past] [data-more-turns]")).to_have_count(1)
    scroll_to(page, str(place))
    be_still(page)
    for count in (2 * PAGE, 3 * PAGE):
        page.evaluate(WATCH)
        page.evaluate("document.querySelector('[data-more-turns]').click()")
        expect(page.locator(TURNS)).to_have_count(count)
        settle(page)
        be_still(page)
        assert page.evaluate(DRIFT) <= 1
        scroll_to(page, str(place))
        be_still(page)


def test_an_answer_goes_on_below_and_the_place_is_kept(page, site):
    stop_loading_by_itself(page)
    page.goto(site.url + fill(site))
    page.locator("[data-assistant-slug=scripted], [value=scripted]").first.evaluate("choice => choice.click()")
    page.fill("textarea", "forever")
    page.locator("textarea").press("Enter")
    expect(page.locator("article[aria-busy=true] [data-prose]")).to_contain_text(" 9 ")
    scroll_to(page, "300")
    be_still(page)
    page.evaluate(WATCH)
    page.evaluate("document.querySelector('[data-more-turns]').click()")
    expect(page.locator(TURNS)).to_have_count(2 * PAGE + 2)
    settle(page)
    said = page.locator("article[aria-busy=true] [data-prose]").inner_text()
    expect(page.locator("article[aria-busy=true] [data-prose]")).not_to_have_text(said)
    assert page.evaluate(DRIFT) <= 1
    page.keyboard.press("Escape")
    expect(page.locator(".turn").last).to_have_attribute("data-status", "cancelled")
    shown = ids(page)
    assert len(shown) == 2 * PAGE + 2
    # What came from above stays when the next message comes from elsewhere.
    second = page.context.new_page()
    second.goto(page.url)
    second.fill("textarea", "halves")
    second.locator("textarea").press("Enter")
    expect(page.locator(".turn").last).to_have_attribute("data-status", "completed")
    assert ids(page)[:-2] == shown
    assert ids(page) == sorted(ids(page))


def test_the_whole_conversation(page, site, long_path):
    page.goto(site.url + long_path)
    page.get_by_role("link", name="Load the whole conversation").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TURNS)).to_have_count(MESSAGES)
    expect(page.locator("[data-status-line]")).to_have_text(f"The whole conversation is here: {MESSAGES} messages.")
    expect(page.locator(".log")).to_be_focused()
    assert page.url == site.url + long_path
    settle(page)
    # Skipped, and found all the same.
    words = page.evaluate("document.querySelectorAll('.turn .bubble')[3].textContent")
    assert page.evaluate("words => { getSelection().removeAllRanges(); return find(words, true) }", words)


def test_all_of_it_is_printed(page, site, long_path):
    page.goto(f"{site.url}{long_path}?all")
    expect(page.locator(TURNS)).to_have_count(MESSAGES)
    page.emulate_media(media="print")
    # What was skipped counts as such until the next frame.
    page.wait_for_function("""() => [...document.querySelectorAll(".turn")].every((turn) =>
        turn.firstElementChild.checkVisibility({ contentVisibilityAuto: true }))""")
    assert page.evaluate("getComputedStyle(document.querySelector('.log')).overflowY") == "visible"


def test_a_link_to_a_message_opens_its_window_and_goes_on_both_ways(page, site, long_path):
    page.goto(site.url + long_path)
    newest = ids(page)[-1]
    wanted = newest - 120
    page.goto(f"{site.url}/")
    page.goto(f"{site.url}{long_path}#message-{wanted}")
    page.wait_for_url(re.compile(f"message={wanted}"))
    expect(page.locator(f"#message-{wanted}")).to_be_in_viewport()
    be_still(page)
    expect(page.locator(f"#message-{wanted}")).to_be_in_viewport()
    assert not page.evaluate("document.querySelector('chat-log').isAtNewest")
    go_on(page, "newer")
    assert ids(page)[-1] == newest
    assert page.evaluate("document.querySelector('chat-log').isAtNewest")
    assert page.url == f"{site.url}{long_path}#message-{wanted}"
    go_on(page, "earlier")
    assert ids(page) == list(range(newest - MESSAGES + 1, newest + 1))


def test_the_newest_are_one_click_away(page, site, long_path):
    page.goto(site.url + long_path)
    wanted = ids(page)[0] - 60
    page.goto(f"{site.url}{long_path}?message={wanted}")
    expect(page.locator(f"#message-{wanted}")).to_be_in_viewport()
    be_still(page)
    expect(page.locator(f"#message-{wanted}")).to_be_in_viewport()
    # It is the log that scrolls, not the page with its header.
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    page.locator("[data-jump]").click()
    page.wait_for_url(site.url + long_path)


def test_a_failure_is_told_and_tried_again(page, site, long_path):
    page.goto(site.url + long_path)
    page.route(re.compile("before="), lambda route: route.abort())
    scroll_to(page, "0")
    again = page.get_by_role("link", name="Try again")
    expect(again).to_be_visible()
    expect(page.locator("[data-status-line]")).to_have_text("These messages could not be loaded.")
    page.unroute(re.compile("before="))
    again.click()
    expect(page.locator(TURNS)).to_have_count(2 * PAGE)
    expect(page.get_by_role("link", name="Try again")).to_have_count(0)


def test_it_works_without_javascript(site, open_page, long_path):
    page = sign_in(open_page(java_script_enabled=False), site)
    page.goto(site.url + long_path)
    page.get_by_role("link", name="Earlier messages").click()
    expect(page.locator(TURNS)).to_have_count(PAGE)
    page.get_by_role("link", name="Newer messages").click()
    expect(page.locator(TURNS)).to_have_count(PAGE)
    expect(page.locator("[data-past=newer]")).to_have_count(0)
    page.get_by_role("link", name="Load the whole conversation").click()
    expect(page.locator(TURNS)).to_have_count(MESSAGES)


def test_scripts_look_at_few_turns(site, open_page: Callable[..., Page], long_path):
    """An event must not cost more on a page with more turns."""
    page = sign_in(open_page(), site)
    page.goto(f"{site.url}{long_path}?all")
    expect(page.locator(TURNS)).to_have_count(MESSAGES)
    looked = page.evaluate("""
      () => {
        const log = document.querySelector("chat-log");
        let count = 0;
        for (const name of ["querySelector", "querySelectorAll"]) {
          const original = Element.prototype[name];
          Element.prototype[name] = function (...given) {
            if (this.contains(log.turns)) count += 1;
            return original.apply(this, given);
          };
        }
        log.hear("message.delta", { message: log.branch.newest, offset: 0, text: "" });
        return count;
      }
    """)
    assert looked == 0
