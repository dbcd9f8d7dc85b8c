"""Administrators order assistants, try them out and rehearse changes, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import Site

LIST = "/admin/chat/assistant/"


@pytest.fixture
def form(page: Page, site: Site) -> Page:
    """The form of the assistant that repeats what it is told."""
    page.goto(f"{site.url}{LIST}")
    page.click("text=Echo")
    return page


def names(page: Page) -> list[str]:
    return page.locator("#result_list th.field-name").all_inner_texts()


def stored(page: Page, site: Site) -> list[str]:
    page.goto(f"{site.url}{LIST}")
    return names(page)


def test_a_row_is_dragged(page, site):
    before = stored(page, site)
    assert len(before) == 3
    grip, last = page.locator(".grip").first.bounding_box(), page.locator("#result_list tbody tr").last.bounding_box()
    page.mouse.move(grip["x"] + 5, grip["y"] + 5)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, last["y"] + last["height"] - 2, steps=12)
    with page.expect_response("**/order/"):
        page.mouse.up()
    moved = [*before[1:], before[0]]
    assert names(page) == moved
    expect(page.locator("[data-order]")).to_have_text(f"{before[0]} is at place 3 of 3.")
    assert stored(page, site) == moved


def test_a_row_is_moved_by_the_keyboard(page, site):
    before = stored(page, site)
    down = page.get_by_role("button", name=f"Move {before[0]} down")
    down.focus()
    with page.expect_response("**/order/"):
        page.keyboard.press("Enter")
    expect(down).to_be_focused()
    with page.expect_response("**/order/"):
        page.keyboard.press("Enter")
    assert names(page) == [*before[1:], before[0]]
    assert stored(page, site) == [*before[1:], before[0]]


def test_what_was_not_stored_is_not_shown(page, site):
    before = stored(page, site)
    page.route("**/order/", lambda route: route.abort())
    page.get_by_role("button", name=f"Move {before[0]} down").click()
    expect(page.locator("[data-order]")).to_have_text("The order could not be stored. Reload the page.")
    assert names(page) == before


def test_buttons_work_without_scripts(open_page, site):
    page = sign_in(open_page(java_script_enabled=False), site)
    before = stored(page, site)
    page.get_by_role("button", name=f"Move {before[1]} up").click()
    assert names(page) == [before[1], before[0], before[2]]


def test_it_is_tried_out(form):
    form.fill("[name=system_prompt]", "Be kind, 모두에게.")
    expect(form.locator("[data-count]")).to_contain_text("14 characters, about 6 tokens")
    form.fill("[name=avatar]", "E")
    expect(form.locator("[data-avatar]")).to_have_text("E")
    form.fill("[name=try_prompt]", "one two three")
    form.keyboard.press("Control+Enter")
    expect(form.locator("[data-answer]")).to_have_text("one two three")
    expect(form.locator("[data-figure=output_tokens]")).to_have_text("3")
    expect(form.locator("[data-state]")).to_have_text("Ready")
    form.reload()
    assert form.input_value("[name=system_prompt]") == ""  # nothing was saved


def test_it_comes_piece_by_piece_and_is_stopped(form):
    form.select_option("[name=backend]", "scripted")
    expect(form.locator("[data-backend=scripted]")).to_be_visible()
    expect(form.locator("[data-backend=echo]")).to_be_hidden()
    form.fill("[name=try_prompt]", "forever")
    form.click("[data-ask]")
    expect(form.locator("[data-answer]")).to_contain_text("0 1 2")
    expect(form.locator("[data-ask]")).to_be_hidden()
    form.click("[data-stop]")
    expect(form.locator("[data-state]")).to_have_text("Stopped")
    expect(form.locator("[data-ask]")).to_be_visible()


def test_what_is_wrong_is_said_on_the_page(form):
    form.fill("[name=temperature]", "7")
    form.click("[data-ask]")
    errors = form.locator("[data-errors]")
    expect(errors).to_contain_text("Temperature: Give a number from 0 to 2")
    expect(errors).to_contain_text("Write a question first.")
    form.fill("[name=temperature]", "")
    form.select_option("[name=backend]", "scripted")
    form.fill("[name=try_prompt]", "fail")
    form.click("[data-ask]")
    expect(errors).to_contain_text("The model cannot be reached.")
    form.route("**/try/", lambda route: route.abort())
    form.click("[data-ask]")
    expect(errors).to_contain_text("The site cannot be reached.")


def test_a_rehearsal_shows_how_far_it_is(form, site):
    form.select_option("[name=backend]", "scripted")
    form.get_by_role("button", name="Rehearse this change").click()
    form.check("[name=source][value=typed]")
    form.fill("[name=typed]", "markdown\nlength")
    form.get_by_role("button", name="Begin").click()
    expect(form).to_have_url(re.compile("/rehearsal/"))
    expect(form.locator("[data-words]")).to_have_text("4 of 4 answers", timeout=20_000)
    expect(form.locator("progress")).to_have_js_property("value", 100)
    expect(form.locator(".answer-new .prose strong").first).to_have_text("bold")
    expect(form.locator(".totals tbody tr").last).to_contain_text("2")
    vote = form.locator("[data-question]").first.get_by_role("button", name="The new one is better")
    vote.click()
    expect(vote).to_have_attribute("aria-pressed", "true")
    expect(form.locator("[data-votes=new]")).to_have_text("1")
    vote.click()
    expect(form.locator("[data-votes=new]")).to_have_text("0")


def test_the_enter_key_saves(form, site):
    """And does not begin a rehearsal, whose button is in the same form."""
    form.press("[name=description]", "Enter")
    expect(form).to_have_url(f"{site.url}{LIST}")
