"""The pages for everyone: by keyboard, by touch, enlarged, on a small screen, heard, and with less motion."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.measuring import WIDE
from tests.browser.pages import PAGES
from tests.browser.tour import contexts, stock, visit  # noqa: F401 - fixtures
from tests.browser.visiting import LOOKS, ask

PHONE = LOOKS["light-phone"]
DESKTOP = LOOKS["light-desktop"]


@pytest.mark.parametrize("name", ["empty", "answered", "streaming", "settings", "shortcuts", "sign in"])
def test_nothing_is_cut_off_at_200_percent_or_across(visit, name):  # noqa: F811
    """A desktop enlarged twice, and a phone that is held across: little height."""
    for size in ({"width": 640, "height": 400}, {"width": 740, "height": 340}):
        page = visit(name, PAGES[name], PHONE, viewport=size).page
        assert page.evaluate(WIDE) == []
        if name in {"empty", "answered", "streaming"}:
            # There is room to read between the header and the field.
            assert page.locator(".log").bounding_box()["height"] > 60
            page.locator("#content").focus()
            expect(page.locator("#content")).to_be_in_viewport()


def test_zooming_is_allowed(visit):  # noqa: F811
    page = visit("empty", PAGES["empty"], PHONE).page
    content = page.locator("meta[name=viewport]").get_attribute("content")
    assert "interactive-widget=resizes-content" in content
    assert "viewport-fit=cover" in content
    assert not re.search(r"user-scalable|maximum-scale|minimum-scale", content)


def test_less_motion(visit):  # noqa: F811
    for name in ("streaming", "drawer", "settings"):
        page = visit(name, PAGES[name], PHONE, reduced_motion="reduce").page
        moving = page.evaluate("""() => document.getAnimations().filter((animation) => {
            const { duration, iterations } = animation.effect.getComputedTiming();
            return duration > 20 || iterations === Infinity;
        }).map((animation) => animation.effect.target.outerHTML.slice(0, 80))""")
        assert moving == []
    moves = visit("streaming", PAGES["streaming"], DESKTOP).page.evaluate("document.getAnimations().length")
    assert moves > 0  # the test above has something to find


def test_forced_colours_leave_controls_visible(visit):  # noqa: F811
    page = visit("streaming", PAGES["streaming"], DESKTOP, forced_colors="active").page
    for selector in (".send", ".head .icon-btn:visible", ".bubble", ".row[data-current]"):
        style = page.locator(selector).first.evaluate(
            "element => { const style = getComputedStyle(element); "
            "return [style.borderTopWidth, style.backgroundColor, getComputedStyle(document.body).backgroundColor]; }"
        )
        assert style[0] != "0px" or style[1] != style[2], selector


def test_more_contrast(visit):  # noqa: F811
    def contrast(page: Page, selector: str) -> float:
        return page.locator(selector).first.evaluate("""element => {
            const light = (color) => {
                const parts = color.match(/[\\d.]+/g).slice(0, 3).map(Number).map((part) => part / 255)
                    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const below = getComputedStyle(document.body).backgroundColor;
            const two = [light(getComputedStyle(element).color), light(below)];
            return (Math.max(...two) + 0.05) / (Math.min(...two) + 0.05);
        }""")

    usual = visit("answered", PAGES["answered"], DESKTOP).page
    more = visit("answered", PAGES["answered"], DESKTOP, contrast="more").page
    for selector in (".hint", ".turn .meta"):
        assert 4.5 <= contrast(usual, selector) < 7
        assert contrast(more, selector) > 7


# ---------- by keyboard ----------

NAME = """() => {
    const element = document.activeElement;
    if (element === document.body) return "";
    const name = element.getAttribute("aria-label") || element.labels?.[0]?.textContent || element.textContent;
    return name.trim().slice(0, 40);
}"""


def to_the_top(page: Page) -> None:
    """Have the next Tab lead to the first thing on the page, wherever the focus was."""
    page.evaluate(
        "() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); }"
    )


def walk(page: Page, most: int = 400, key: str = "Tab") -> list[str]:
    """Press a key until the focus leaves the page or is where it was; return what it stood on."""
    names: list[str] = []
    for _ in range(most):
        page.keyboard.press(key)
        name = page.evaluate(NAME)
        if not name or (names and name == names[0]):
            break
        names.append(name)
    return names


def test_the_order_of_the_focus(visit):  # noqa: F811
    page = visit("answered", PAGES["answered"], DESKTOP).page
    to_the_top(page)
    names = walk(page)
    assert names[0] == "Skip to the message field"
    order = [
        "Skip to the message field",
        "Close the sidebar",
        "New chat",
        "Switch between light and dark",
        "Options of this conversation",
        "Conversation",
        "Edit the question",
        "Copy the answer",
        "Answer again",
        "Message",
    ]
    places = [next((at for at, name in enumerate(names) if name.startswith(wanted)), None) for wanted in order]
    assert None not in places, (order[places.index(None)], names)
    assert places == sorted(places)


def test_the_focus_can_be_seen_everywhere(visit):  # noqa: F811
    for name in ("answered", "settings", "sign in"):
        page = visit(name, PAGES[name], DESKTOP).page
        to_the_top(page)
        for _ in range(25):
            page.keyboard.press("Tab")
            seen = page.evaluate("""() => {
                const element = document.activeElement;
                if (element === document.body) return "";
                const hasOutline = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                const shows = (part) => [null, "::after"].some((pseudo) => hasOutline(getComputedStyle(part, pseudo)));
                const parts = [element, element.closest(".composer, .edit, .option, .dock")].filter(Boolean);
                // A field shows it by its frame.
                const isField = element.matches("textarea") && element.closest(".composer, .edit");
                return isField || parts.some(shows) ? "" : element.outerHTML.slice(0, 120);
            }""")
            assert seen == ""


def test_the_skip_link(visit):  # noqa: F811
    page = visit("answered", PAGES["answered"], DESKTOP).page
    to_the_top(page)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    expect(page.locator(".skip")).not_to_be_in_viewport()


def test_the_drawer_holds_the_focus_and_gives_it_back(visit):  # noqa: F811
    page = visit("drawer", PAGES["drawer"], PHONE).page
    # Not to_be_focused: Chromium does not say of an emulated phone that its window has the focus.
    page.wait_for_function("() => document.activeElement.matches('[data-side=close]')")
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('body') || document.activeElement.closest('.side, .skip')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.matches('[data-side=open]')")
    assert not page.evaluate("document.getElementById('main').inert")


# ---------- shortcuts ----------


@pytest.fixture
def chat(visit):  # noqa: F811
    return visit("answered", PAGES["answered"], DESKTOP).page


def test_the_sheet_lists_what_is_bound(chat):
    chat.evaluate("document.activeElement.blur()")
    chat.keyboard.press("?")
    sheet = chat.locator("#shortcuts")
    expect(sheet).to_be_visible()
    rows = sheet.locator("dl > div")
    assert rows.count() >= 10
    for row in rows.all():
        assert row.locator("dt").inner_text()
        assert not row.locator("dt").inner_text().startswith("shortcut_")
        assert row.locator("kbd").count() >= 1
    chat.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    chat.locator(".account").click()
    chat.get_by_role("button", name="Keyboard shortcuts").click()
    expect(sheet).to_be_visible()
    chat.keyboard.press("Control+/")
    expect(sheet).to_be_hidden()


def test_shortcuts_do_what_they_say(chat, prepared_site):
    chat.keyboard.press("Control+Shift+L")
    expect(chat.locator("html")).to_have_attribute("data-theme", "dark")
    assert chat.locator("meta[name=theme-color]").first.get_attribute("content") == "#111315"
    chat.keyboard.press("Control+Shift+L")
    chat.keyboard.press("Control+Shift+S")
    expect(chat.locator(".app.side-closed")).to_have_count(1)
    chat.keyboard.press("Control+Shift+S")
    expect(chat.locator(".app.side-closed")).to_have_count(0)
    chat.keyboard.press("Alt+ArrowUp")
    expect(chat.locator("article[data-role=assistant]").last).to_be_focused()
    chat.keyboard.press("k")
    expect(chat.locator("article[data-role=user]").last).to_be_focused()
    chat.keyboard.press("j")
    expect(chat.locator("article[data-role=assistant]").last).to_be_focused()
    chat.keyboard.press("/")
    expect(chat.locator("#content")).to_be_focused()
    assert chat.input_value("#content") == ""
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.keyboard.press("Control+Shift+C")
    expect(chat.locator("[data-status-line]")).to_have_text("Copied")
    assert "# Title" in chat.evaluate("navigator.clipboard.readText()")
    chat.keyboard.press("Control+Shift+O")
    expect(chat).to_have_url(f"{prepared_site.url}/")


def test_nothing_happens_to_who_types(chat):
    chat.locator("#content").focus()
    chat.keyboard.type("jk? /")
    assert chat.input_value("#content") == "jk? /"
    # In a text, Alt and an arrow are the field's.
    chat.keyboard.press("Alt+ArrowUp")
    expect(chat.locator("#content")).to_be_focused()
    expect(chat.locator("#shortcuts")).to_be_hidden()
    chat.fill("#content", "")


def test_single_keys_can_be_switched_off(visit, prepared_site):  # noqa: F811
    page = visit("settings", PAGES["settings"], DESKTOP, locale="en-GB").page
    page.get_by_label("Shortcuts of a single key").uncheck()
    page.get_by_role("button", name="Save").click()
    page.goto(f"{prepared_site.url}/")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(page.locator("#shortcuts")).to_be_hidden()
    expect(page.locator("#content")).not_to_be_focused()
    page.keyboard.press("Control+/")
    expect(page.locator("#shortcuts")).to_be_visible()
    combinations = [one.locator("kbd").all_inner_texts() for one in page.locator("#shortcuts dd > span").all()]
    assert ["Ctrl", "K"] in combinations
    assert not [keys for keys in combinations if keys in (["?"], ["J"], ["K"], ["/"])]


def test_enter_makes_a_line_where_that_is_chosen(site, open_page):
    page = sign_in(open_page(), site)
    page.context.add_cookies([{"name": "enter", "value": "newline", "url": site.url}])
    page.goto(f"{site.url}/?assistant=echo")
    page.locator("#content").press("Enter")
    page.keyboard.type("one")
    page.keyboard.press("Enter")
    page.keyboard.type("two")
    assert page.input_value("#content").endswith("one\ntwo")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/c/"))
    assert page.locator(".bubble").inner_text() == "one\ntwo"


# ---------- heard ----------

HEARD = """() => {
    window.heard = { states: [], speech: [] };
    const watch = (element, list) => new MutationObserver((changes) => {
        const added = changes.flatMap((change) => [...change.addedNodes]);
        list.push(...added.map((node) => node.textContent).filter(Boolean));
    }).observe(element, { childList: true });
    watch(document.querySelector("[data-status-line]"), window.heard.states);
    const region = document.querySelector("[data-speech]");
    if (region) watch(region, window.heard.speech);
    return Boolean(region);
}"""


def test_states_are_spoken_once_and_words_never(site, open_page):
    page = sign_in(open_page(), site)
    ask(page, site, "markdown")
    answer = page.locator("article[data-role=assistant]")
    expect(answer).to_have_attribute("data-status", "completed")
    assert page.evaluate(HEARD) is False
    page.fill("#content", "markdown again")
    page.locator(".send").click()
    expect(answer).to_have_count(2)
    expect(answer.last).to_have_attribute("data-status", "completed")
    expect(page.locator("[data-status-line]")).to_have_text("Answer ready")
    states = page.evaluate("window.heard.states")
    assert states[-1] == "Answer ready"
    assert states.count("Answer ready") == 1
    assert states.count("Answering…") == 1
    assert not any("bold" in state for state in states)
    live = page.locator("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]")
    for region in live.all():
        assert region.locator("article").count() == 0
    expect(page.get_by_role("region", name="Conversation")).to_be_visible()


def test_sentences_are_spoken_to_who_wants_them(site, open_page, tmp_path):
    script = tmp_path / "script"
    script.touch()

    def say(line: str) -> None:
        with script.open("a") as file:
            file.write(f"{line}\n")

    page = sign_in(open_page(), site)
    page.context.add_cookies([{"name": "read_aloud", "value": "on", "url": site.url}])
    ask(page, site, f"steered {script}")
    region = page.locator("[data-speech]")
    expect(region).to_have_attribute("aria-live", "polite")
    say("text One sentence. And ano")
    expect(region.locator("p")).to_have_text(["One sentence."])
    say("text ther one. 다음 문장입니다. 그리")
    expect(region.locator("p").last).to_contain_text("And another one.")
    expect(region.locator("p").last).to_have_attribute("lang", "ko")
    say("text 고 끝.")
    say("end")
    expect(page.locator("article[data-role=assistant]")).to_have_attribute("data-status", "completed")
    expect(region.locator("p").last).to_have_text("그리고 끝.")
    assert region.inner_text().count("One sentence.") == 1


def test_cancelling_is_the_end_of_speaking(site, open_page, tmp_path):
    script = tmp_path / "script"
    script.write_text("text One sentence. And ano\n")
    page = sign_in(open_page(), site)
    page.context.add_cookies([{"name": "read_aloud", "value": "on", "url": site.url}])
    ask(page, site, f"steered {script}")
    expect(page.locator("[data-speech] p")).to_have_text(["One sentence."])
    page.keyboard.press("Escape")
    expect(page.locator("article[data-role=assistant]")).to_have_attribute("data-status", "cancelled")
    expect(page.locator("[data-speech] p")).to_have_count(0)
    expect(page.locator("[data-status-line]")).to_have_text("Answer cancelled")
