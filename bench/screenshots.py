"""Take the pictures of the docs anew: ``python -m bench.screenshots`` (``--only NAME`` for some of them).

A site with a demo database is started for it, so that the pictures show what the code does. One line a picture.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from bench.demo import LONG
from bench.page.browser import sign_in
from tests.browser.site import ROOT, Site, chromium

FOLDER = ROOT / "docs" / "screenshots"
DESKTOP: dict[str, Any] = {"viewport": {"width": 1366, "height": 864}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
CHAT, KOREAN = "Retry a request", "회의 안건 정리"
IDLE = 700
"""Milliseconds after which there is what comes when a page is idle."""


class Shot(NamedTuple):
    """One picture: a page, how it is looked at, and what is done there first."""

    name: str
    page: str
    """A path, or the title of a conversation of the demo."""
    clicks: Sequence[str] = ()
    """Selectors of what is clicked, one after the other."""
    is_dark: bool = False
    is_phone: bool = False
    query: str = ""
    has_scripts: bool = True


SHOTS = (
    Shot("chat-light", CHAT),
    Shot("chat-dark", CHAT, is_dark=True),
    Shot("chat-phone", KOREAN, is_phone=True),
    Shot("chat-phone-dark", CHAT, is_phone=True, is_dark=True),
    Shot("chat-empty", "/"),
    Shot("chat-menu", CHAT, ["chat-menu summary"]),
    # With scripts, the earlier ones would come before the picture is taken.
    Shot("chat-long", LONG, query="?before=61", has_scripts=False),
    Shot("search", "/search/", query="?q=request"),
    Shot("folders", "/folders/"),
    Shot("shared-links", "/shared/"),
    Shot("your-data", "/data/"),
    Shot("settings", "/settings/"),
    Shot("settings-phone-dark", "/settings/", is_dark=True, is_phone=True),
    Shot("admin-home", "/admin/"),
    Shot("admin-home-dark", "/admin/", is_dark=True),
    Shot("admin-home-phone", "/admin/", is_phone=True),
    Shot("admin-live", "/admin/live/"),
    Shot("admin-health", "/admin/health/"),
    Shot("admin-settings", "/admin/settings/"),
    Shot("admin-usage", "/admin/usage/"),
    Shot("admin-assistants", "/admin/chat/assistant/"),
    Shot("admin-people", "/admin/chat/user/"),
    Shot("admin-feedback", "/admin/chat/feedback/"),
    Shot("admin-rehearsal", "/admin/chat/rehearsal/add/"),
    Shot("admin-retention", "/admin/retention/"),
    Shot("admin-moderation", "/admin/chat/moderationrule/add/"),
    Shot("admin-quota", "/admin/chat/quota/add/"),
    Shot("admin-assistant", "/admin/chat/assistant/1/change/"),
    Shot("admin-generations", "/admin/chat/generation/"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[shot.name for shot in SHOTS], metavar="NAME")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    shots = [shot for shot in SHOTS if not options.only or shot.name in options.only]
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, sync_playwright() as playwright:
        site = Site(Path(folder))
        paths = _set_up(site)
        site.start()
        try:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            cookies = sign_in(browser, site, "seoyeon")
            for shot in shots:
                _take(browser, site, cookies, shot, paths, options.folder)
                print(options.folder / f"{shot.name}.png")
            browser.close()
        finally:
            site.stop()


def _set_up(site: Site) -> dict[str, str]:
    # A key makes the third assistant; nobody asks it anything.
    site.environment |= {"DJANGO_SETTINGS_MODULE": "chatsite.settings", "OPENAI_API_KEY": "none"}
    site.set_up()
    site.manage("createsuperuser", "--noinput", "--username", "seoyeon", "--email", "seoyeon@example.org")
    command = [sys.executable, "-m", "bench.demo", "seoyeon"]
    done = subprocess.run(command, env=site.environment, cwd=ROOT, capture_output=True, text=True, check=True)
    paths: dict[str, str] = json.loads(done.stdout)
    subprocess.run([sys.executable, "-m", "bench.office"], env=site.environment, cwd=ROOT, check=True)
    return paths


def _take(browser: Browser, site: Site, cookies: list[Any], shot: Shot, paths: dict[str, str], folder: Path) -> None:
    look = PHONE if shot.is_phone else DESKTOP
    scheme = "dark" if shot.is_dark else "light"
    context = browser.new_context(
        **look, color_scheme=scheme, reduced_motion="reduce", java_script_enabled=shot.has_scripts
    )
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(site.url + paths.get(shot.page, shot.page) + shot.query)
    page.wait_for_timeout(IDLE)
    for selector in shot.clicks:
        page.locator(selector).first.click()
    page.wait_for_timeout(IDLE)
    page.screenshot(path=folder / f"{shot.name}.png", animations="disabled")
    context.close()


if __name__ == "__main__":
    main()
