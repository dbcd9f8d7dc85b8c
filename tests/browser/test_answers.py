"""How an answer looks: colours, formulas, diagrams, files; and what does not move while it is being written."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Site
from tests.browser.test_chat import ANSWER, RUNNING, ask
from tests.patience import until
from tests.test_javascript import canonical

PROSE = f"{ANSWER} [data-prose]"
CODE = "# src/app.py\ndef add(a, b):\n    return a + b  # the sum"
RICH = f"""Here is **code**:

```python
{CODE}
```

The cost is $O(n^2)$, not $5 or $10.

$$
\\int_0^1 x^2 \\, dx = \\frac{{1}}{{3}}
$$

Wrong: $\\frac{{1}}{{$ stays.

- [x] Read
- [ ] Write

| Case | Time |
|:-----|-----:|
| best | 1.5 |

```mermaid
graph LR
  A[Start] --> B[End]
```

![A cat](https://images.example/cat.png)
"""


STILL = """(log) => new Promise((resolve) => {
    let last = NaN;
    const look = () => {
        if (log.scrollTop === last) return resolve();
        last = log.scrollTop;
        setTimeout(look, 100);
    };
    look();
})"""
"""A turn of the wheel goes on for some frames."""


def answered(page: Page, site: Site, text: str) -> Page:
    ask(page, site, text, "echo")
    expect(page.locator(ANSWER).last).to_have_attribute("data-status", "completed", timeout=30_000)
    return page


@pytest.fixture
def steer(tmp_path):
    """Say what a growing answer says next."""
    script = tmp_path / "script"
    script.write_text("")

    def say(*lines: str) -> Path:
        with script.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        return script

    return say


def test_it_works(page, site):
    answered(page, site, RICH)
    prose = page.locator(PROSE)
    expect(prose.locator("code.language-python .hl-keyword").first).to_have_text("def")
    assert prose.locator("code.language-python").text_content() == f"{CODE}\n"
    expect(prose.locator("p > .math.drawn").first.locator("math")).to_be_attached()
    expect(prose.locator("div.math.display.drawn .katex-display")).to_be_visible()
    expect(prose).to_contain_text("not $5 or $10.")
    expect(prose.locator(".math.wrong")).to_have_text("\\frac{1}{")
    expect(prose.locator("li.task .box.done")).to_have_text("☑")
    expect(prose.locator("li.task")).to_have_count(2)
    expect(prose.locator("td.right")).to_have_css("text-align", "right")
    expect(prose.locator(".math.half")).to_have_count(0)
    assert prose.locator("[style]:not(.drawn [style])").count() == 0


def test_a_stored_answer_looks_as_the_live_one_did(page, site):
    answered(page, site, RICH)
    prose = page.locator(PROSE)
    for where in ("live", "stored"):
        if where == "stored":
            page.reload()
        for selector in (".hl-keyword", ".math.display.drawn", "p > .math.drawn", "[data-draw]", "a.image[title]"):
            expect(prose.locator(selector).first).to_be_attached()
        prose.locator("a.image").scroll_into_view_if_needed()
        expect(prose.locator(".math.wrong")).to_be_attached()
        if where == "live":
            live = prose.inner_html()
    assert canonical(prose.inner_html()) == canonical(live)


def test_nothing_is_loaded_that_is_not_needed(page, site):
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    answered(page, site, "Only **words**, and $5.")
    assert not [url for url in loaded if re.search("katex|highlightjs|mermaid", url)]
    loaded.clear()
    answered(page, site, "```python\nx = 1\n```")
    expect(page.locator(".hl-number")).to_have_text("1")
    languages = {Path(url).name.split(".")[0] for url in loaded if "/languages/" in url}
    assert languages == {"python"}


def test_scripts_of_the_first_load_are_small(page, site):
    """At most 120 kB of scripts come with the page; what draws and colours comes later."""
    answered(page, site, "Hello")
    sizes: dict[str, int] = {}
    page.on("response", lambda response: sizes.update({response.url: len(gzip.compress(response.body()))})
            if response.request.resource_type == "script" else None)  # fmt: skip
    page.reload()
    page.wait_for_load_state("networkidle")
    assert any("markdown-it" in url for url in sizes)
    print(json.dumps({Path(url).name: size for url, size in sizes.items()}, indent=1), sum(sizes.values()))
    assert sum(sizes.values()) < 120_000


def test_code_is_copied(page, site):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered(page, site, RICH)
    page.locator(".code").first.get_by_role("button", name="Copy").click()
    expect(page.locator(".code").first.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"{CODE}\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"```python\n{CODE}\n```", "app.py"),
        ("```typescript\nlet x = 1\n```", "code-1.ts"),
        ("```\nplain\n```", "code-1.txt"),
    ],
)
def test_code_is_saved_as_a_file(page, site, text, name):
    answered(page, site, text)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == name
    assert Path(download.value.path()).read_text() == text.split("\n", 1)[1].rpartition("```")[0]


def test_long_lines_are_wrapped_when_asked(page, site):
    answered(page, site, f"```text\n{'word ' * 100}\n```")
    width = "(pre) => [pre.scrollWidth, pre.clientWidth]"
    full, shown = page.locator("pre").evaluate(width)
    assert full > shown
    button = page.get_by_role("button", name="Wrap long lines")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    full, shown = page.locator("pre").evaluate(width)
    assert full == shown


def test_a_diagram_is_drawn_when_asked(page, site):
    answered(page, site, RICH)
    block = page.locator(".code", has=page.locator("code.language-mermaid"))
    assert page.locator("iframe").count() == 0
    block.get_by_role("button", name="Draw the diagram").click()
    drawing = page.frame_locator("iframe[title='Diagram']")
    expect(drawing.locator("svg")).to_contain_text("Start", timeout=30_000)
    expect(block.locator("pre")).to_be_hidden()
    expect(block.locator(".diagram.drawn iframe")).to_be_visible()
    background = "getComputedStyle(document.documentElement).backgroundColor"
    frame = page.frames[-1]
    light = frame.evaluate(background)
    page.locator("[data-theme-button]").first.evaluate("(button) => button.click()")
    expect(drawing.locator("html[data-theme=dark] svg")).to_contain_text("Start")
    assert frame.evaluate(background) != light
    assert frame.evaluate("origin") == "null"
    block.get_by_role("button", name="Show the source").click()
    expect(block.locator("pre")).to_be_visible()
    expect(block.locator("iframe")).to_be_hidden()


def test_a_wrong_diagram_is_told_in_words(page, site):
    answered(page, site, "```mermaid\ngraph LR\n  A --\n```")
    page.get_by_role("button", name="Draw the diagram").click()
    expect(page.locator(".diagram .words")).to_contain_text("The diagram cannot be drawn:", timeout=30_000)
    expect(page.locator(".diagram .words")).to_be_visible()
    expect(page.locator(".diagram iframe")).to_be_hidden()


def test_an_image_of_another_host_waits_for_a_click(page, site):
    asked: list[str] = []
    page.context.route("https://images.example/**", lambda route: (asked.append(route.request.url), route.abort()))
    answered(page, site, RICH)
    link = page.locator("a.image")
    expect(link).to_have_attribute("title", re.compile("images.example"))
    page.wait_for_timeout(300)
    assert not asked
    with page.context.expect_page(), page.context.expect_event("requestfailed"):
        link.click()
    assert asked == ["https://images.example/cat.png"]
    expect(page).to_have_url(re.compile("/c/"))


def test_an_image_in_the_text_is_shown(page, site):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    answered(page, site, f"![dot](data:image/png;base64,{pixel})")
    until(lambda: page.locator(f"{PROSE} img").evaluate("(image) => image.naturalWidth") == 1)


def test_half_written_text_shows_no_marks(page, site):
    """Whatever stands at the end of a growing answer, its reader sees words."""
    page.goto(site.url)
    shown = page.evaluate(
        """async (text) => {
          const { Rendering } = await import("chat/markdown");
          const element = document.createElement("div");
          const rendering = new Rendering(element);
          const seen = [];
          for (let end = 1; end <= text.length; end += 1) {
            rendering.update(text.slice(0, end));
            const copy = element.cloneNode(true);
            for (const part of copy.querySelectorAll("pre, code, .math")) part.remove();
            seen.push([text.slice(Math.max(0, end - 12), end), copy.textContent]);
          }
          return seen;
        }""",
        RICH.replace("not $5 or $10.", "not free.").replace(
            "Wrong: $\\frac{1}{$ stays", "See [the docs](https://a.example)"
        ),
    )
    marks = re.compile(r"\*\*|```|\$|\\|\||\[[ x]?\]?|^#|--|!\[|\]\(|https?:")
    assert [(end, text) for end, text in shown if marks.search(text)] == []


def test_a_reader_who_scrolls_up_is_left_in_peace(page, site, steer):
    script = steer("text The beginning.⏎⏎")
    ask(page, site, f"steered {script}")
    steer(*[f"text {'word ' * 30}⏎⏎"] * 20)
    log = page.locator(".log")
    until(lambda: log.evaluate("(log) => log.scrollHeight") > 1400)
    log.hover()
    top = log.evaluate("(log) => log.scrollTop")
    page.mouse.wheel(0, -600)
    until(lambda: log.evaluate("(log) => log.scrollTop") < top)
    log.evaluate(STILL)
    before = log.evaluate("(log) => log.scrollTop")
    height = log.evaluate("(log) => log.scrollHeight")
    steer(*[f"text {'more ' * 30}⏎⏎"] * 10)
    until(lambda: log.evaluate("(log) => log.scrollHeight") > height + 100)
    assert abs(log.evaluate("(log) => log.scrollTop") - before) <= 1
    jump = page.locator("[data-jump]")
    expect(jump).to_be_visible()
    jump.click()
    until(lambda: log.evaluate("(log) => log.scrollHeight - log.scrollTop - log.clientHeight") < 5)
    expect(jump).to_be_hidden()
    steer("end")
    expect(page.locator(RUNNING)).to_have_count(0)


def test_a_selection_survives(page, site, steer):
    """In what is finished, in the block that is being written, and in code that is coloured meanwhile."""
    script = steer("text ```python⏎first = 1⏎")
    ask(page, site, f"steered {script}")
    expect(page.locator(PROSE)).to_contain_text("first")
    page.evaluate("""() => {
      const texts = document.createTreeWalker(document.querySelector("[data-prose]"), NodeFilter.SHOW_TEXT);
      while (texts.nextNode() && !texts.currentNode.data.includes("first"));
      getSelection().selectAllChildren(texts.currentNode.parentNode);
    }""")
    selected = page.evaluate("String(getSelection())")
    assert "first" in selected
    steer("text second = 2⏎```⏎⏎")
    expect(page.locator(PROSE)).to_contain_text("second")
    steer("text And a paragraph⏎", "text that goes on.⏎⏎And another one")
    expect(page.locator(PROSE)).to_contain_text("another one")
    assert "first" in page.evaluate("String(getSelection())")
    steer("end")
    expect(page.locator(RUNNING)).to_have_count(0)
    assert "first" in page.evaluate("String(getSelection())")
    expect(page.locator(".hl-number")).to_have_count(0)
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.locator(".hl-number")).to_have_text(["1", "2"])
