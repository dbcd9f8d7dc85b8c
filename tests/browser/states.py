"""How a person brings a page into each of its states; tests/browser/pages.py lists them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.visiting import ANSWER, Visit

Show = Callable[[Visit], None]
REFUSED_UPLOAD = Path(__file__)
_BANNER = """<div class="banner banner-{level}" data-banner="{level}"><svg class="i" aria-hidden="true"><use
href="#i-{icon}"></use></svg><p>The site is down on <strong>Friday</strong>, see <a href="https://example.org">the
plan</a>, or <code>ask</code>.</p><form method="post" action="/banners/dismiss/"><button class="icon-btn"
aria-label="Dismiss this announcement"><svg class="i i-sm" aria-hidden="true"><use href="#i-close"></use></svg></button>
</form></div>"""
BANNERS = "".join(
    _BANNER.format(level=level, icon=icon) for level, icon in (("danger", "alert"), ("warn", "alert"), ("info", "info"))
)
"""What templates/_banners.html makes of three, for an open page."""


def at(path: str) -> Show:
    return lambda visit: visit.go(path)


def of(name: str, below: str = "") -> Show:
    """Something of the stock, or a page below it."""
    return lambda visit: visit.open(name, below)


def shown(name: str) -> Show:
    return lambda visit: visit.show(name)


# ---------- messages ----------


def streaming(visit: Visit) -> None:
    visit.open("running")
    expect(visit.page.locator(f"{ANSWER}[aria-busy=true] [data-prose] strong")).to_have_text("said")


def waiting(visit: Visit) -> None:
    visit.open("waiting")
    expect(visit.page.locator("[data-stage]")).to_have_attribute("data-position", "3")


def rich(visit: Visit) -> None:
    """Everything that an answer can have, drawn."""
    visit.open("rich")
    answer = visit.page.locator(ANSWER)
    answer.locator(".code").first.scroll_into_view_if_needed()  # what is far away gets no colours
    expect(answer.locator(".hl-keyword").first).to_be_visible()
    expect(answer.locator("div.math.drawn")).to_be_attached()
    answer.locator("[data-draw]").click()
    expect(answer.locator(".diagram.drawn iframe")).to_be_visible(timeout=30_000)


def edited(visit: Visit) -> None:
    visit.open("answered")
    visit.page.locator(".turn-user").hover()
    visit.click(".turn-user [data-edit]")
    expect(visit.page.locator(".edit textarea")).to_be_focused()


def below_message(page: str, role: str = "assistant", of: str = "answered") -> Show:
    """The page without scripts for one message."""

    def show(visit: Visit) -> None:
        visit.open(of)
        message = visit.page.locator(f"article[data-role={role}]").first.get_attribute("data-message")
        visit.open(of, f"messages/{message}/{page}/")

    return show


def message_menu(role: str) -> Show:
    def show(visit: Visit) -> None:
        visit.open("answered")
        turn = visit.page.locator(f"article[data-role={role}]").first
        turn.hover()
        turn.locator(".tools-menu summary").click()
        expect(turn.locator(".tools-menu .menu")).to_be_visible()

    return show


def message_dialog(panel: str) -> Show:
    def show(visit: Visit) -> None:
        message_menu("assistant")(visit)
        visit.click(f"{ANSWER} .menu [data-panel={panel}]")
        expect(visit.page.locator("#message-dialog [data-part] > *").first).to_be_visible()

    return show


def feedback(visit: Visit) -> None:
    visit.open("answered")
    visit.page.locator(ANSWER).first.hover()
    thumb = visit.page.locator(f"{ANSWER} [data-feedback] [value='-1']")
    form = visit.page.locator("[data-feedback-form]")
    # Given once, it can be changed: the same thumb opens the form again or takes it back.
    thumb.click()
    expect(form.or_(visit.page.locator(f"{ANSWER} [data-feedback] [value='-1'][aria-pressed=false]"))).to_be_visible()
    if not form.is_visible():
        thumb.click()
    expect(form).to_be_visible()


# ---------- the field ----------


def parameters(visit: Visit) -> None:
    visit.go("/?assistant=echo")
    visit.click(".parameters summary")
    expect(visit.page.locator(".parameters .panel")).to_be_visible()


def parameters_refused(visit: Visit) -> None:
    """What the field's own check would have held back, from a browser without it."""
    parameters(visit)
    visit.page.fill("#content", "Hello")
    visit.page.fill("[name=temperature]", "9")
    visit.page.evaluate("document.getElementById('composer').submit()")
    expect(visit.page.locator("[data-errors] .notice")).to_be_visible()


def too_long(visit: Visit) -> None:
    visit.go("/?assistant=echo")
    most = visit.page.locator("chat-composer").get_attribute("data-most")
    visit.page.fill("#content", "word " * (int(most) // 5 + 1))
    expect(visit.page.locator("[data-errors] .notice")).to_be_visible()
    expect(visit.page.locator("[data-counter]")).to_be_visible()


def without_network(visit: Visit) -> None:
    visit.open("answered")
    visit.page.evaluate("""() => {
        Object.defineProperty(navigator, "onLine", { value: false });
        dispatchEvent(new Event("offline"));
    }""")
    expect(visit.page.locator("[data-offline] .notice")).to_be_visible()


def not_sent(visit: Visit) -> None:
    """What is sent while an answer is being written comes back, with the reason."""
    visit.open("running")
    visit.page.fill("#content", "One more")
    visit.page.evaluate("document.getElementById('composer').submit()")
    expect(visit.page.locator("[data-errors] .notice")).to_be_visible()


def refused(visit: Visit) -> None:
    """Asked to answer again while the answer is being written, by a page without scripts."""
    visit.open("running")
    message = visit.page.locator(ANSWER).last.get_attribute("data-message")
    visit.page.evaluate(f"""() => {{
        const form = document.getElementById("composer");
        form.action = `${{location.pathname}}messages/{message}/regenerate/`;
        form.submit();
    }}""")
    expect(visit.page.locator(".card")).to_be_visible()


def assistant_menu(visit: Visit) -> None:
    visit.go("/")
    visit.click(".assistant-menu summary")
    expect(visit.page.locator(".assistants")).to_be_visible()


# ---------- the sidebar ----------


def drawer(visit: Visit) -> None:
    visit.open("answered")
    visit.open_drawer()


def account_menu(visit: Visit) -> None:
    visit.go("/")
    visit.open_drawer()
    visit.click(".account")
    expect(visit.page.locator(".side-foot .menu")).to_be_visible()


def views_menu(visit: Visit) -> None:
    drawer(visit)
    visit.click(".view-name")
    expect(visit.page.locator(".views .menu")).to_be_visible()


def sidebar_list(view: str) -> Show:
    def show(visit: Visit) -> None:
        views_menu(visit)
        visit.click(f".views [data-list^={view}]")
        expect(visit.page.locator(f".views[data-view^={view}]")).to_be_visible()
        # The browser remembers it, and the next page is none of this.
        visit.page.context.clear_cookies(name="list")

    return show


def folder_dialog(visit: Visit) -> None:
    views_menu(visit)
    visit.click(".views .icon-btn[data-folder-dialog]")
    expect(visit.page.locator("#folder-dialog")).to_be_visible()


def selecting(visit: Visit) -> None:
    drawer(visit)
    visit.click("[data-pick=open]")
    expect(visit.page.locator("[data-picking]")).to_be_visible()
    visit.click("[data-pick=all]")
    expect(visit.page.locator(".row [name=conversation]").first).to_be_checked()


def row_menu(visit: Visit) -> None:
    drawer(visit)
    visit.page.locator(".row[data-current] [data-more]").click()
    expect(visit.page.locator("#row-menu")).to_be_visible()


def move_dialog(visit: Visit) -> None:
    row_menu(visit)
    visit.click("#row-menu [data-do=move]")
    expect(visit.page.locator("#move-dialog .choice").nth(1)).to_be_visible()


def toast(call: str) -> Show:
    """The line that tells what was done, without doing it."""

    def show(visit: Visit) -> None:
        visit.open("answered")
        visit.page.evaluate(f"import('chat/toast').then((toasts) => toasts.{call})")
        expect(visit.page.locator(".toast")).to_be_visible()

    return show


def conversation_menu(visit: Visit) -> None:
    visit.open("answered")
    visit.click(".head .pop-end summary")
    expect(visit.page.locator(".head .pop-end .menu")).to_be_visible()


def conversation_dialog(name: str) -> Show:
    def show(visit: Visit) -> None:
        conversation_menu(visit)
        visit.click(f".head .menu [data-do={name}]")
        expect(visit.page.locator(f"#{name}-dialog")).to_be_visible()

    return show


# ---------- over the page ----------


def shortcuts(visit: Visit) -> None:
    visit.go("/")
    visit.page.keyboard.press("Control+/")
    expect(visit.page.locator("#shortcuts")).to_be_visible()


def search_dialog(query: str) -> Show:
    def show(visit: Visit) -> None:
        visit.go("/")
        visit.page.keyboard.press("Control+k")
        expect(visit.page.locator("#search-dialog [role=option]").first).to_be_visible()
        if query:
            with visit.page.expect_response(lambda response: f"q={query}" in response.url):
                visit.page.fill("#search-dialog input", query)
            expect(visit.page.locator("[data-search-state]")).not_to_have_text("Recent conversations")

    return show


def share_dialog(visit: Visit) -> None:
    visit.open("rich")
    visit.click(".head .pop-end summary")
    visit.click(".head .menu [data-share]")
    expect(visit.page.locator("dialog.share-dialog .address")).to_be_visible()


# ---------- pages of their own ----------


def upload_refused(visit: Visit) -> None:
    visit.go("/data/")
    visit.page.set_input_files("input[type=file]", REFUSED_UPLOAD)
    visit.click("[data-upload] button")
    expect(visit.page.locator("[data-upload] .error")).to_be_visible()


def csrf_refused(visit: Visit) -> None:
    visit.go("/settings/")
    visit.page.evaluate("document.querySelector('[name=csrfmiddlewaretoken]').remove()")
    visit.page.evaluate("document.querySelector('.card form').submit()")
    expect(visit.page.locator(".code-number")).to_have_text("403")


def wrong_password(visit: Visit) -> None:
    visit.go("/settings/sign-out-elsewhere/")
    visit.page.fill("[name=password]", "wrong")
    visit.click(".card .primary")
    expect(visit.page.locator(".card .error, .card .notice").first).to_be_visible()


def admin_numbers(visit: Visit) -> None:
    """The first page of the admin with the numbers behind its chart."""
    visit.go("/admin/?range=90d")
    visit.click(".numbers summary")
    expect(visit.page.locator(".numbers table")).to_be_visible()


def announced(visit: Visit) -> None:
    """Announcements of all levels, as an open page that hears of them shows them."""
    visit.page.route("**/banners/", lambda route: route.fulfill(body=BANNERS, content_type="text/html"))
    visit.go("/")
    with visit.page.expect_response("**/banners/"):
        visit.page.evaluate("document.dispatchEvent(new CustomEvent('chat:banners'))")
    expect(visit.page.locator(".banner")).to_have_count(3)


def banner_preview(visit: Visit) -> None:
    """What the button of the form shows in another tab, here in this one."""
    visit.go("/admin/chat/banner/add/")
    visit.page.fill("#id_text", "The site is down on **Friday**, see [the plan](https://example.org).")
    visit.page.select_option("#id_level", "danger")
    visit.page.evaluate("document.querySelector('[formaction]').removeAttribute('formtarget')")
    visit.click("[formaction]")
    expect(visit.page.locator(".preview .banner")).to_have_count(2)


def admin_form(model: str) -> Show:
    def show(visit: Visit) -> None:
        visit.go(f"/admin/chat/{model}/")
        visit.go(visit.page.locator(f"#result_list a[href*='/{model}/']").first.get_attribute("href"))

    return show


def live_board(visit: Visit) -> None:
    """As it is while answers are being written."""
    visit.go("/admin/live/")
    expect(visit.page.locator("[data-live=live]")).to_be_visible()
    expect(visit.page.locator("[data-answer]").first).to_be_visible()


def live_acts(visit: Visit) -> None:
    """With the forms open by which somebody intervenes."""
    live_board(visit)
    for summary in visit.page.locator(".act:not([hidden]) > summary").all():
        summary.click()


def settings_filtered(visit: Visit) -> None:
    visit.go("/admin/settings/")
    visit.page.get_by_role("searchbox").last.fill("chat max")
    expect(visit.page.locator("[data-setting]:visible").first).to_be_visible()


def invited(visit: Visit) -> None:
    """The links that are shown once."""
    visit.go("/admin/chat/invitation/add/")
    visit.page.fill("[name=addresses]", "somebody@example.org, nobody@example.org")
    visit.click("button.default")
    expect(visit.page.locator("ul.invited input")).to_have_count(2)
    # So that the next look at this page can invite the same people.
    visit.site.manage("shell", "-v", "0", "-c", FORGET_INVITED)


FORGET_INVITED = """
from chat.models import Invitation
Invitation.objects.filter(email__endswith="body@example.org").delete()
"""
