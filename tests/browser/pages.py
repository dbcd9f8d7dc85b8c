"""Every page of the site and every state of it that a person can bring about: one line each.

What holds for all of them is tested in tests/browser/test_axe.py and tests/browser/test_everyone.py. Who adds a page,
menu or dialog adds a line here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DEFAULTS, sign_in
from tests.browser.site import Site

ANSWER = "article[data-role=assistant]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a person looks at the site."""

    theme: str
    is_phone: bool

    @property
    def options(self) -> dict:
        size = {"width": 390, "height": 844} if self.is_phone else DEFAULTS["viewport"]
        phone = {"has_touch": True, "is_mobile": True} if self.is_phone else {}
        return {**DEFAULTS, "color_scheme": self.theme, "viewport": size, **phone}


LOOKS = {
    f"{theme}-{'phone' if is_phone else 'desktop'}": Look(theme=theme, is_phone=is_phone)
    for theme in ("light", "dark")
    for is_phone in (False, True)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page of Alice's, who runs the site, and the addresses of what she has there."""

    page: Page
    site: Site
    answered: str
    running: str
    failed: str
    rendered: dict[str, str]
    """Pages that only a broken site shows, as HTML."""

    @property
    def is_phone(self) -> bool:
        return self.page.viewport_size["width"] < 800

    def go(self, path: str) -> None:
        self.page.goto(path if path.startswith("http") else f"{self.site.url}{path}")

    def show(self, name: str) -> None:
        url = f"{self.site.url}/shown/{name}"
        self.page.route(url, lambda route: route.fulfill(body=self.rendered[name], content_type="text/html"))
        self.page.goto(url)

    def click(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def open_drawer(self) -> None:
        if self.is_phone:
            self.click("[data-side=open]")
            expect(self.page.locator(".app.side-open")).to_have_count(1)


def prepare(browser: Browser, site: Site) -> tuple[dict, dict[str, str]]:
    """Make what the pages show; return Alice's cookies and the addresses."""
    context = browser.new_context(**DEFAULTS)
    page = sign_in(context.new_page(), site)
    addresses = {}
    for name, text, status in (("answered", "markdown", "completed"), ("failed", "fail", "failed")):
        ask(page, site, text)
        expect(page.locator(ANSWER)).to_have_attribute("data-status", status)
        addresses[name] = page.url
    ask(page, site, "forever")
    addresses["running"] = page.url
    state = context.storage_state()
    context.close()
    return state, addresses


def ask(page: Page, site: Site, text: str) -> None:
    page.goto(f"{site.url}/?assistant=scripted")
    page.fill("#content", text)
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))


def render_errors(site: Site) -> dict[str, str]:
    """Return the pages that only a broken or a new site shows, as this site would."""
    code = """
import json
from django.template.loader import render_to_string
from django.test import RequestFactory
from chat.forms import OwnerForm
request = RequestFactory().get("/")
pages = {name: render_to_string(f"{name}.html") for name in ("400", "403", "404", "500", "503")}
pages["503-typed"] = render_to_string("503.html", {"typed": {"content": "Hello"}}, request)
pages["setup"] = render_to_string("chat/setup.html", {"form": OwnerForm()}, request)
print(json.dumps(pages))
"""
    return json.loads(site.manage("shell", "-v", "0", "-c", code).splitlines()[-1])


# ---------- states ----------


def streaming(visit: Visit) -> None:
    visit.go(visit.running)
    expect(visit.page.locator(f"{ANSWER}[aria-busy=true] [data-prose]")).to_contain_text(" 3 ")


def edited(visit: Visit) -> None:
    visit.go(visit.answered)
    visit.page.locator(".turn-user").hover()
    visit.click(".turn-user [data-edit]")
    expect(visit.page.locator(".edit textarea")).to_be_focused()


def edit_page(visit: Visit) -> None:
    visit.go(visit.answered)
    visit.go(visit.page.locator(".turn-user [data-edit]").first.get_attribute("href"))


def account_menu(visit: Visit) -> None:
    visit.go("/")
    visit.open_drawer()
    visit.click(".account")
    expect(visit.page.locator(".side-foot .menu")).to_be_visible()


def assistant_menu(visit: Visit) -> None:
    visit.go("/")
    visit.click(".assistant-menu summary")
    expect(visit.page.locator(".assistants")).to_be_visible()


def conversation_menu(visit: Visit) -> None:
    visit.go(visit.answered)
    visit.click(".head .pop-end summary")


def row_menu(visit: Visit) -> None:
    visit.go(visit.answered)
    visit.open_drawer()
    visit.page.locator(".row[data-current] [data-more]").click()
    expect(visit.page.locator("#row-menu")).to_be_visible()


def rename_dialog(visit: Visit) -> None:
    conversation_menu(visit)
    visit.click(".head .menu [data-dialog=rename]")
    expect(visit.page.locator("#rename-dialog")).to_be_visible()


def delete_dialog(visit: Visit) -> None:
    conversation_menu(visit)
    visit.click(".head .menu [data-dialog=delete]")
    expect(visit.page.locator("#delete-dialog")).to_be_visible()


def drawer(visit: Visit) -> None:
    visit.go(visit.answered)
    visit.open_drawer()


def shortcuts(visit: Visit) -> None:
    visit.go("/")
    visit.page.keyboard.press("Control+/")
    expect(visit.page.locator("#shortcuts")).to_be_visible()


def search_dialog(visit: Visit) -> None:
    visit.go("/")
    visit.page.keyboard.press("Control+k")
    expect(visit.page.locator("dialog[open]")).to_be_visible()


def refused(visit: Visit) -> None:
    """Asked to answer again while the answer is being written, by a page without scripts."""
    visit.go(visit.running)
    message = visit.page.locator(ANSWER).last.get_attribute("data-message")
    visit.page.evaluate(f"""() => {{
        const form = document.getElementById("composer");
        form.action = `${{location.pathname}}messages/{message}/regenerate/`;
        form.submit();
    }}""")
    expect(visit.page.locator(".card")).to_be_visible()


def not_sent(visit: Visit) -> None:
    """What is sent while an answer is being written comes back, with the reason."""
    visit.go(visit.running)
    visit.page.fill("#content", "One more")
    visit.page.evaluate("document.getElementById('composer').submit()")
    expect(visit.page.locator("[data-errors] .notice")).to_be_visible()


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


def admin_form(model: str) -> Callable[[Visit], None]:
    def show(visit: Visit) -> None:
        visit.go(f"/admin/chat/{model}/")
        visit.go(visit.page.locator(f"#result_list a[href*='/{model}/']").first.get_attribute("href"))

    return show


def at(path: str) -> Callable[[Visit], None]:
    return lambda visit: visit.go(path)


def shown(name: str) -> Callable[[Visit], None]:
    return lambda visit: visit.show(name)


PAGES: dict[str, Callable[[Visit], None]] = {
    # the chat
    "empty": at("/"),
    "answered": lambda visit: visit.go(visit.answered),
    "streaming": streaming,
    "failed": lambda visit: visit.go(visit.failed),
    "not sent": not_sent,
    "edited in place": edited,
    "assistant menu": assistant_menu,
    "account menu": account_menu,
    "conversation menu": conversation_menu,
    "row menu": row_menu,
    "rename dialog": rename_dialog,
    "delete dialog": delete_dialog,
    "drawer": drawer,
    "shortcuts": shortcuts,
    "search dialog": search_dialog,
    # pages of the chat without scripts
    "search": at("/search/?q=markdown"),
    "rename": lambda visit: visit.go(f"{visit.answered}rename/"),
    "delete": lambda visit: visit.go(f"{visit.answered}delete/"),
    "edit": edit_page,
    "refused": refused,
    # people
    "settings": at("/settings/"),
    "sign out elsewhere": at("/settings/sign-out-elsewhere/"),
    "wrong password": wrong_password,
    "change password": at("/accounts/password/change/"),
    "e-mail": at("/accounts/email/"),
    "sign out": at("/accounts/logout/"),
    # the site
    "offline": at("/offline/"),
    "set-up": shown("setup"),
    "set-up is over": at("/setup/forged/"),
    "400": shown("400"),
    "403": shown("403"),
    "403 csrf": csrf_refused,
    "404": at("/nothing/"),
    "500": shown("500"),
    "503": shown("503"),
    "503 with what was typed": shown("503-typed"),
}
ADMIN_PAGES: dict[str, Callable[[Visit], None]] = {
    "admin": at("/admin/"),
    "admin assistants": at("/admin/chat/assistant/"),
    "admin assistant": admin_form("assistant"),
    "admin new assistant": at("/admin/chat/assistant/add/"),
    "admin conversations": at("/admin/chat/conversation/"),
    "admin conversation": admin_form("conversation"),
    "admin generations": at("/admin/chat/generation/"),
    "admin generation": admin_form("generation"),
    "admin people": at("/admin/chat/user/"),
    "admin person": admin_form("user"),
    "admin new person": at("/admin/chat/user/add/"),
    "admin password": at("/admin/password_change/"),
}
PUBLIC_PAGES: dict[str, Callable[[Visit], None]] = {
    "sign in": at("/accounts/login/"),
    "forgotten password": at("/accounts/password/reset/"),
    "forgotten password, sent": at("/accounts/password/reset/done/"),
    "password link": at("/accounts/password/reset/key/1-forged/"),
    "inactive": at("/accounts/inactive/"),
}


def new_context(browser: Browser, look: Look, state: dict | None) -> BrowserContext:
    return browser.new_context(**look.options, storage_state=state)
