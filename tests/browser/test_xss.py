"""Tricks of tricks.json, in a real browser: nothing that a model says runs, loads, leads astray or looks like ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from tests.browser.conftest import sign_in
from tests.browser.site import Site
from tests.browser.test_chat import ANSWER, ask
from tests.patience import until

TRICKS: list[dict[str, str]] = json.loads((Path(__file__).parent / "tricks.json").read_text())
ON_A_PAGE = 40
STORE = """
import json, sys
from chat.models import Assistant, Conversation, Message, User
texts = json.loads(open({path!r}).read())
assistant = Assistant.objects.get(slug="echo")
alice = User.objects.get(username="alice")
conversation = Conversation.objects.create(owner=alice, title="Tricks", assistant=assistant)
leaf = None
for text in texts:
    leaf = Message.objects.create(conversation=conversation, parent=leaf, role="assistant", content=text)
conversation.leaf = leaf
conversation.save()
print(conversation.get_absolute_url())
"""
# What is wrong with the elements of an answer; what our own scripts add to it is known by its place.
WRONG = """
(root) => {
  const allowed = new Set(("p br hr em strong s code pre blockquote ul ol li a img small h1 h2 h3 h4 h5 h6 table thead"
    + " tbody tr th td div header span").split(" "));
  const names = new Set(("href src alt title rel class start target lang tabindex aria-description"
    + " data-prose").split(" "));
  const safeLink = /^(https?:|mailto:|tel:|\\/(?![\\/\\\\]))/i;
  const safeImage = /^(\\/(?![\\/\\\\])|data:image\\/(png|gif|jpeg|webp);)/;
  const found = [];
  for (const element of root.querySelectorAll("*")) {
    // Buttons, drawn formulas and the frame of a diagram are ours; so is all that is in them, and it is looked at, too.
    const drawn = element.closest(".math.drawn");
    const ours = element.closest(".code > header button, .code > figure.diagram") || (drawn && drawn !== element);
    const say = (what) => found.push(`${what}: ${element.cloneNode(false).outerHTML}`);
    if (!ours && !allowed.has(element.localName)) say("element");
    if (/^(script|form|input|base|meta|link|object|embed)$/.test(element.localName)) say("element");
    if (drawn && /^(a|img|iframe|foreignobject)$/i.test(element.localName)) say("in a formula");
    for (const { name, value } of element.attributes) {
      if (!ours && !names.has(name)) say(`attribute ${name}`);
      if (/^on|^(id|name|srcdoc|srcset|formaction|form)$/.test(name)) say(`attribute ${name}`);
      if (name === "style" && !drawn) say("style");
      if (name === "href" && !element.closest("svg") && !safeLink.test(value)) say("link");
      if (name === "src" && element.localName === "img" && !safeImage.test(value)) say("image");
      if (/url\\(/i.test(value) && !/^(href|src|title|alt)$/.test(name)) say("address");
    }
  }
  return found;
}
"""
TYPE = """
async (tricks) => {
  const [{ Rendering }, { decorate, enrich }] = await Promise.all([import("chat/markdown"), import("chat/decorate")]);
  const article = document.createElement("article");
  article.setAttribute("aria-busy", "true");
  document.querySelector(".log").append(article);
  const wrong = eval_wrong();
  const found = [];
  for (const { name, text } of tricks) {
    article.setAttribute("aria-busy", "true");
    const prose = document.createElement("div");
    prose.dataset.prose = "";
    article.append(prose);
    const rendering = new Rendering(prose);
    for (let end = 1; end <= text.length; end += 1) {
      rendering.update(text.slice(0, end));
      for (const node of rendering.touched) decorate(node);
      found.push(...wrong(prose).map((what) => `${name}, after ${end}: ${what}`));
    }
    rendering.finish();
    article.removeAttribute("aria-busy");
    decorate(prose);
    found.push(...wrong(prose).map((what) => `${name}, at the end: ${what}`));
  }
  article.scrollIntoView({ block: "end" });
  return found;
}
""".replace("eval_wrong()", WRONG.strip())


@dataclass
class Watch:
    """What a page did that it should not."""

    site: str
    ran: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    violations: list[str] = field(default_factory=list)

    def read(self, message: ConsoleMessage) -> None:
        # In the frame of a diagram the policy is the wall that counts, and it says so; nothing else may run into it.
        is_drawing = re.search("/diagram/|mermaid", message.location.get("url", ""))
        if "Content Security Policy" in message.text and not is_drawing:
            self.violations.append(message.text)

    def refuse(self, route: Route) -> None:
        self.asked.append(route.request.url)
        route.abort()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield sign_in(context.new_page(), site)
    context.close()


@pytest.fixture
def watch(page: Page, site: Site) -> Watch:
    """Watch Alice's page: what runs, what leaves the browser, where it goes."""
    watch = Watch(site.url)
    page.context.expose_function("told", lambda where: watch.ran.append(where))
    page.context.add_init_script("globalThis.ran = () => globalThis.told(location.href)")
    page.on("dialog", lambda dialog: (watch.ran.append(dialog.message), dialog.dismiss()))
    page.on("popup", lambda popup: watch.ran.append(f"opened {popup.url}"))
    page.on("websocket", lambda socket: watch.asked.append(socket.url))
    page.on("console", watch.read)
    page.context.route(lambda url: not url.startswith((site.url, "data:", "blob:")), watch.refuse)
    return watch


def look_at_all(page: Page) -> None:
    """See every part of the page, and have every diagram drawn."""
    page.evaluate("""async () => {
      for (const part of document.querySelectorAll(".math, .code")) {
        part.scrollIntoView({ block: "center" });
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
    }""")
    for button in page.locator("[data-draw]").all():
        button.click()
    # A frame says that it has drawn, or why not.
    page.locator(".diagram:not(.drawn) .words").filter(has_text="Drawing").first.wait_for(
        state="detached", timeout=30_000
    )


def assert_harmless(page: Page, watch: Watch, url: str) -> None:
    assert page.locator("[data-prose]").evaluate_all(f"(all) => all.flatMap({WRONG.strip()})") == []
    assert page.url == url
    assert watch.ran == []
    assert watch.asked == []
    assert watch.violations == []
    assert page.evaluate("document.getElementById('strings').localName") == "script"
    for frame in page.frames[1:]:
        assert frame.url.endswith("/diagram/")
        assert frame.evaluate("origin") == "null"
        assert frame.locator("script:not([src]), [onerror], [onclick], a[href^='javascript:']").count() == 0


def test_there_are_many():
    assert len(TRICKS) >= 80
    assert len({trick["name"] for trick in TRICKS}) == len(TRICKS)


def test_what_is_wrong_is_seen(page, site, watch):
    """So that the other tests can fail."""
    ask(page, site, "Hello", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    page.evaluate("ran()")
    # At once: what comes later may render the answer anew.
    found = page.evaluate(f"""() => {{
      const link = Object.assign(document.createElement("a"), {{ href: "javascript:1", id: "composer" }});
      document.querySelector("[data-prose] p").append(link, document.createElement("form"));
      return [...document.querySelectorAll("[data-prose]")].flatMap({WRONG.strip()});
    }}""")
    page.evaluate("open('http://127.0.0.1:1/')")
    assert sorted({what.split(":")[0] for what in found}) == ["attribute id", "element", "link"]
    until(lambda: bool(watch.ran and watch.asked))


@pytest.mark.parametrize("begin", range(0, len(TRICKS), ON_A_PAGE))
def test_stored(page, site, watch, tmp_path, begin):
    texts = [trick["text"] for trick in TRICKS[begin : begin + ON_A_PAGE]]
    (tmp_path / "texts").write_text(json.dumps(texts))
    url = site.url + site.manage("shell", "-v", "0", "-c", STORE.format(path=str(tmp_path / "texts"))).strip()
    page.goto(url)
    expect(page.locator(ANSWER)).to_have_count(len(texts))
    look_at_all(page)
    assert_harmless(page, watch, url)


def test_typed_letter_by_letter(page, site, watch):
    ask(page, site, "Hello", "echo")
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed")
    url = page.url
    assert page.evaluate(TYPE, TRICKS) == []
    look_at_all(page)
    assert_harmless(page, watch, url)


def test_streamed(page, site, watch):
    """The whole way: from a backend, through the database and the events, to the page, and stored again."""
    text = "\n\n".join(
        trick["text"] for trick in TRICKS if "\0" not in trick["text"] and "mermaid" not in trick["text"]
    )
    ask(page, site, text, "echo")
    url = page.url
    expect(page.locator(ANSWER)).to_have_attribute("data-status", "completed", timeout=60_000)
    assert_harmless(page, watch, url)
    page.reload()
    assert_harmless(page, watch, url)
