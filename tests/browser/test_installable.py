"""The site as an app: installable, with a page of its own where the network is gone, and nothing private kept."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.site import Site
from tests.browser.visiting import ask

ACTIVE = "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)"
KEPT = """async () => {
    const kept = [];
    for (const name of await caches.keys()) {
        const requests = await (await caches.open(name)).keys();
        kept.push(...requests.map((request) => request.url));
    }
    return kept;
}"""


def wait_until(page: Page, promise: str) -> None:
    """Wait until what a promise brings is true: wait_for_function takes the promise itself for an answer."""
    for _ in range(300):
        if page.evaluate(promise):
            return
        page.wait_for_timeout(100)
    raise AssertionError(promise)


@pytest.fixture
def app(site, open_page) -> Page:
    page = sign_in(open_page(service_workers="allow"), site)
    wait_until(page, ACTIVE)
    return page


def test_chromium_would_install_it(app, site):
    session = app.context.new_cdp_session(app)
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # The browser of a test keeps nothing, which is what "incognito" means.
    assert [error for error in errors if error["errorId"] != "in-incognito"] == []
    found = session.send("Page.getAppManifest")
    assert found["errors"] == []
    manifest = json.loads(found["data"])
    for icon in manifest["icons"]:
        answer = app.request.get(f"{site.url}{icon['src']}")
        assert answer.ok
        assert answer.headers["content-type"] == icon["type"]
        assert "immutable" in answer.headers["cache-control"]


def test_offline_there_is_a_page_of_ours(app, site):
    ask(app, site, "markdown")
    conversation = app.url
    expect(app.locator("article[data-role=assistant]")).to_have_attribute("data-status", "completed")
    app.context.set_offline(True)
    app.reload()
    expect(app.get_by_role("heading", name="You are offline")).to_be_visible()
    expect(app.locator("[lang=ko] h2")).to_have_text("오프라인 상태입니다")
    assert app.locator(".card").evaluate("card => getComputedStyle(card).borderRadius") == "18px"  # its styles are kept
    assert "markdown" not in app.locator("body").inner_text()
    app.context.set_offline(False)
    app.get_by_role("link", name="Try again").click()
    expect(app).to_have_url(conversation)
    expect(app.locator("article[data-role=assistant] strong")).to_have_text("bold")


def test_nothing_of_a_person_is_kept(app, site):
    ask(app, site, "markdown")
    expect(app.locator("article[data-role=assistant]")).to_have_attribute("data-status", "completed")
    app.goto(f"{site.url}/settings/")
    app.goto(f"{site.url}/admin/")
    app.goto(site.url)
    paths = {url.removeprefix(site.url) for url in app.evaluate(KEPT)}
    assert "/offline/" in paths
    assert all(re.fullmatch(r"/offline/|/static/.+\.[0-9a-f]{12}\.\w+", path) for path in paths)
    assert len(paths) > 5


def test_signing_out_takes_all_of_it_away(app, site):
    app.evaluate("sessionStorage.setItem('draft:new', 'a secret')")
    assert app.evaluate(KEPT)
    app.locator(".account").click()
    app.locator(".side-foot").get_by_role("button", name="Sign out").click()
    expect(app).to_have_url(re.compile("/accounts/login/"))
    expect(app.locator("[name=login]")).to_be_visible()
    assert app.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0
    assert app.evaluate(KEPT) == []
    assert app.evaluate("sessionStorage.length") == 0


def test_a_new_version_leaves_nothing_stale(tmp_path, open_page, static):
    """After a deploy, pages have the new files, and what was kept of the old ones is gone."""
    site = Site(tmp_path)
    site.set_up(static)
    site.manage("createsuperuser", "--noinput", "--username", "alice", "--email", "alice@example.org")
    site.start()
    try:
        page = sign_in(open_page(service_workers="allow"), site)
        wait_until(page, ACTIVE)
        page.reload()
        before = page.evaluate("caches.keys()")
        old = next(url for url in page.evaluate(KEPT) if "/chat/chat." in url)
        site.stop()
        # As a deploy would: other files under other names, and a manifest that says so.
        folder = tmp_path / "static"
        name = old.rsplit("/", 1)[1]
        changed = "chat.aaaaaaaaaaaa.css"
        shutil.copy(folder / "chat" / name, folder / "chat" / changed)
        manifest = json.loads((folder / "staticfiles.json").read_text())
        manifest["paths"]["chat/chat.css"] = f"chat/{changed}"
        manifest["hash"] = "another"
        (folder / "staticfiles.json").write_text(json.dumps(manifest))
        site.start()
        page.goto(site.url)
        expect(page.locator(f"link[href$='{changed}']")).to_have_count(1)
        wait_until(page, f"caches.keys().then((now) => now.length === 1 && now[0] !== '{before[0]}')")
        page.reload()
        kept = page.evaluate(KEPT)
        assert old not in kept
        assert any(url.endswith(changed) for url in kept)
    finally:
        site.stop()
