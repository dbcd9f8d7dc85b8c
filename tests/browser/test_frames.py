"""A real EventSource reads what the server writes: tests/protocol/golden.sse, which the server's own code wrote.

And the page follows docs/streaming.md where a network is needed to see it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from tests.browser.test_chat import ANSWER, RUNNING, ask
from tests.protocol import golden
from tests.protocol.eventsource import EventSource
from tests.protocol.reader import Reader

PROSE = f"{ANSWER} [data-prose]"
LISTEN = """
([names, count]) => new Promise((resolve) => {
  const heard = [];
  const source = new EventSource("/frames");
  const hear = ({ type, data, lastEventId }) => {
    heard.push([type, data, lastEventId]);
    if (heard.length === count) resolve(heard);
  };
  for (const name of names) source.addEventListener(name, hear);
  source.onerror = () => { source.close(); resolve(heard); };
})
"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_stream = self.path == "/frames"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_stream else "text/html")
        self.end_headers()
        if not is_stream:
            self.wfile.write(b"<!doctype html><title>Frames</title>")
            return
        body = golden.FILE.read_bytes()
        for begin in range(0, len(body), 7):
            self.wfile.write(body[begin : begin + 7])
            self.wfile.flush()

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_an_event_source_hears_what_was_sent(address, open_page):
    expected = EventSource().feed(golden.FILE.read_bytes())
    names = ["stream-open", "stream-reset", "message.delta", "message", "keep-alive"]
    page = open_page()
    page.goto(address)
    heard = page.evaluate(LISTEN, [names, len(expected)])
    assert heard == [[event.event, event.data, event.last_event_id] for event in expected]
    deltas = [json.loads(data) for name, data, _ in heard if name == "message.delta"]
    assert deltas == golden.sent()
    reader = Reader()
    reader.hear("message.created", {"message": 2, "parent": None, "generation": "queued"})
    for name, data, _ in heard:
        reader.hear(name, json.loads(data or "{}"))
    assert reader.texts == {2: "".join(golden.TEXTS)}


def test_a_snapshot_that_does_not_come_is_asked_for_again(page, site):
    ask(page, site, "one", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    asked = []

    def fail_twice(route) -> None:
        asked.append(route.request)
        if len(asked) < 3:
            route.abort()
        else:
            route.continue_()

    page.route(re.compile("/messages/$"), fail_twice)
    page.evaluate("document.querySelector('chat-log').source.close()")
    second = page.context.new_page()
    second.goto(page.url)
    second.fill("textarea", "two three")
    second.locator("textarea").press("Enter")
    expect(second.locator(ANSWER)).to_have_count(2)
    expect(second.locator(ANSWER).last).to_have_attribute("data-status", "completed")
    expect(page.locator(ANSWER)).to_have_count(1)
    page.evaluate("document.querySelector('chat-log').hear('stream-reset', {channels: []})")
    expect(page.locator(ANSWER)).to_have_count(2)
    expect(page.locator(ANSWER).last).to_contain_text("two three")
    assert len(asked) == 3
    roles = [article.get_attribute("data-role") for article in page.locator("article[data-message]").all()]
    assert roles == ["user", "assistant"] * 2


def test_a_continued_answer_is_written_on_in_every_tab(page, site):
    ask(page, site, " ".join(str(number) for number in range(200)), "echo")
    expect(page.locator(ANSWER)).to_contain_text(" 15 ")
    second = page.context.new_page()
    second.goto(page.url)
    page.keyboard.press("Escape")
    for tab in (page, second):
        expect(tab.locator(ANSWER)).to_have_attribute("data-status", "cancelled")
    kept = page.locator(PROSE).inner_text()
    page.get_by_role("button", name="Continue").click()
    for tab in (page, second):
        expect(tab.locator(ANSWER)).to_have_attribute("data-status", "completed")
        expect(tab.locator(RUNNING)).to_have_count(0)
    texts = [tab.locator(PROSE).inner_text() for tab in (page, second)]
    page.reload()
    assert texts == [page.locator(PROSE).inner_text()] * 2
    # The backend says the newest message again, which is its own beginning.
    assert texts[0] == kept + kept.rstrip()
