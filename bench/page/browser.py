"""What a page costs a browser: opening it, typing while an answer is written, scrolling up through it."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, Route

from bench.page.trace import Figures, traced
from tests.browser.site import PASSWORD, Site

PROBE = Path(__file__).with_name("probe.js")
SETTLED = 1500
"""Milliseconds after which a page has fetched what it fetches when idle."""
TYPED = "What somebody types while the answer above is still being written, a key every 80 ms."
LATE_FRAME = 34.0
"""Milliseconds from one frame to the next, from which on one was left out."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One way to open one page."""

    url: str
    cookies: list[Any]
    slowdown: int
    """By how much the CPU of the page is throttled."""
    is_plain: bool = False
    """Whether turns out of view are laid out, too."""


@contextmanager
def open_page(browser: Browser, visit: Visit) -> Iterator[tuple[Page, CDPSession]]:
    """A page in a browser that has never seen the site but is signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    try:
        context.add_cookies(visit.cookies)
        context.add_init_script(path=PROBE)
        page = context.new_page()
        if visit.is_plain:
            page.route(re.compile(r"/static/chat/long\.[^/]*css"), _lay_out_all)
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Emulation.setCPUThrottlingRate", {"rate": visit.slowdown})
        yield page, session
    finally:
        context.close()


def _lay_out_all(route: Route) -> None:
    response = route.fetch()
    route.fulfill(response=response, body=response.text().replace("content-visibility:", "--skipping:"))


class Traffic:
    """Counts requests, and bytes as they come over the wire, compressed."""

    def __init__(self, session: CDPSession) -> None:
        self.requests: dict[str, str] = {}
        self.sizes: dict[str, float] = {}
        session.on("Network.responseReceived", self._begin)
        session.on("Network.loadingFinished", self._end)

    def _begin(self, event: dict[str, Any]) -> None:
        self.requests[event["requestId"]] = event["type"]

    def _end(self, event: dict[str, Any]) -> None:
        self.sizes[event["requestId"]] = event["encodedDataLength"]

    def kilobytes(self, *kinds: str) -> float:
        chosen = [size for request, size in self.sizes.items() if not kinds or self.requests.get(request) in kinds]
        return sum(chosen) / 1000


def measure_opening(browser: Browser, visit: Visit) -> Figures:
    with open_page(browser, visit) as (page, session):
        traffic = Traffic(session)
        work: Figures = {}
        with traced(browser, page, work):
            _go(page, visit.url)
            page.wait_for_timeout(SETTLED)  # and the last events of the network come
        painted = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        return {
            "first_paint_ms": page.evaluate(painted),
            "usable_ms": page.evaluate("probe.usable"),
            "requests": len(traffic.requests),
            "kb": traffic.kilobytes(),
            "script_kb": traffic.kilobytes("Script"),
            "html_kb": traffic.kilobytes("Document"),
            "nodes": page.evaluate("document.querySelectorAll('*').length"),
            "shift": page.evaluate("probe.shift"),
            **work,
        }


def measure_typing(browser: Browser, visit: Visit) -> Figures:
    """Type while an answer is written at the end of the page."""
    return _while_writing(browser, visit, lambda page: page.keyboard.type(TYPED, delay=80))


def measure_scrolling(browser: Browser, visit: Visit) -> Figures:
    """Scroll up by the wheel while an answer is written at the end."""

    def scroll(page: Page) -> None:
        page.mouse.move(700, 400)
        for _ in range(80):
            page.mouse.wheel(0, -1200)
            page.wait_for_timeout(60)

    figures = _while_writing(browser, visit, scroll)
    assert figures["turns"] > 60, "It was not scrolled far enough for older turns to come."
    del figures["latency_ms"], figures["latency_p95_ms"]
    return figures


def _while_writing(browser: Browser, visit: Visit, act: Callable[[Page], None]) -> Figures:
    with open_page(browser, visit) as (page, _session):
        _go(page, visit.url)
        page.locator("textarea").fill("Go on")
        page.locator("textarea").press("Enter")
        page.wait_for_function(
            "() => document.querySelector('[aria-busy=true] [data-prose]')?.textContent.length > 200", timeout=120_000
        )
        page.evaluate("probe.reset()")
        work: Figures = {}
        with traced(browser, page, work):
            act(page)
        assert page.locator("article[aria-busy=true]").count(), "The answer ended too soon."
        probe = page.evaluate("probe")
        figures = {
            "frame_ms": statistics.median(probe["frames"]),
            "frame_p95_ms": percentile(probe["frames"], 95),
            "frame_worst_ms": max(probe["frames"]),
            "late_share": sum(frame > LATE_FRAME for frame in probe["frames"]) / len(probe["frames"]),
            "latency_ms": statistics.median(probe["latencies"] or [0]),
            "latency_p95_ms": percentile(probe["latencies"] or [0], 95),
            **work,
            "turns": page.evaluate("document.querySelectorAll('.turn').length"),
        }
        # So that the next page finds a conversation in which nothing is written.
        page.keyboard.press("Escape")
        page.wait_for_selector("article[aria-busy=true]", state="detached", timeout=120_000)
        return figures


def _go(page: Page, url: str) -> None:
    page.goto(url, wait_until="commit", timeout=120_000)
    page.wait_for_function("() => window.probe && probe.usable !== null", timeout=120_000)


def sign_in(browser: Browser, site: Site, name: str) -> list[Any]:
    """Return the cookies of somebody who signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/accounts/login/")
    page.fill("[name=login]", name)
    page.fill("[name=password]", PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{site.url}/")
    cookies = context.cookies()
    context.close()
    return cookies


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share / 100 * (len(ordered) - 1)))]
