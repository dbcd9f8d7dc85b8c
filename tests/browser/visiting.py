"""Who visits a page, and how they look at it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.conftest import DEFAULTS, sign_in
from tests.browser.site import PASSWORD, ROOT, Site

ANSWER = "article[data-role=assistant]"
NEWCOMER = "newcomer"


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
class Stock:
    """What the pages show: made once for all visits."""

    addresses: dict[str, str]
    rendered: dict[str, str]
    """Pages that only a broken site shows, as HTML."""
    sessions: dict[str, StorageState]
    """The cookies of those who are signed in, by their names."""
    scripts: list[Path]
    """What the answers that are being written read; a line ``end`` ends them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page in front of somebody."""

    page: Page
    site: Site
    stock: Stock

    @property
    def is_phone(self) -> bool:
        return self.page.viewport_size["width"] < 800

    def go(self, path: str) -> None:
        self.page.goto(path if path.startswith("http") else f"{self.site.url}{path}")

    def open(self, name: str, below: str = "") -> None:
        """Go to something of the stock, or to a page below it."""
        response = self.page.goto(urljoin(self.site.url, f"{self.stock.addresses[name]}{below}"))
        assert response.ok or name == "revoked", f"{response.status} {response.url}"

    def show(self, name: str) -> None:
        url = f"{self.site.url}/shown/{name}"
        html = self.stock.rendered[name]
        self.page.route(url, lambda route: route.fulfill(body=html, content_type="text/html"))
        self.page.goto(url)

    def click(self, selector: str) -> None:
        self.page.locator(selector).first.click()

    def open_drawer(self) -> None:
        if self.is_phone:
            self.click("[data-side=open]")
            expect(self.page.locator(".app.side-open")).to_have_count(1)


def ask(page: Page, site: Site, text: str) -> None:
    page.goto(f"{site.url}/?assistant=scripted")
    page.fill("#content", text)
    page.locator(".send").click()
    page.wait_for_url(re.compile("/c/"))


def prepare(browser: Browser, site: Site, folder: Path) -> Stock:
    """Make what the pages show."""
    site.manage("shell", "-v", "0", "-c", MAKE_NEWCOMER)
    context = browser.new_context(**DEFAULTS)
    page = sign_in(context.new_page(), site)
    addresses, scripts = {}, []
    for name, text, status in (("answered", "markdown", "completed"), ("failed", "fail", "failed")):
        ask(page, site, text)
        expect(page.locator(ANSWER)).to_have_attribute("data-status", status)
        addresses[name] = page.url
    # They stay as they are until they are told to go on, and cost nothing meanwhile.
    for name, line in (("running", "text What is **said** so far"), ("waiting", "queued [3]")):
        script = folder / name
        script.write_text(f"{line}\n")
        scripts.append(script)
        ask(page, site, f"steered {script}")
        addresses[name] = page.url
    sessions = {"alice": context.storage_state()}
    context.close()
    context = browser.new_context(**DEFAULTS)
    sign_in(context.new_page(), site, NEWCOMER)
    sessions[NEWCOMER] = context.storage_state()
    context.close()
    made = _furnish(site, "alice")
    return Stock(
        addresses={**addresses, **made["addresses"]}, rendered=made["rendered"], sessions=sessions, scripts=scripts
    )


MAKE_NEWCOMER = f"""
from chat.models import User
if not User.objects.filter(username="{NEWCOMER}").exists():
    User.objects.create_user("{NEWCOMER}", password="{PASSWORD}")
"""


def _furnish(site: Site, name: str) -> dict[str, dict[str, str]]:
    command = [sys.executable, "-m", "tests.browser.stock", name]
    done = subprocess.run(command, env=site.environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
