"""Markdown of a model is shown, never obeyed."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.markdown import render


class Elements(HTMLParser):
    """Collects the elements of a page as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_harmless(html: str) -> None:
    for tag, attributes in Elements(html).found:
        assert tag not in {"script", "style", "iframe", "form", "input", "object", "embed", "svg", "base", "meta"}, html
        assert set(attributes) <= {"href", "src", "alt", "title", "rel", "class", "start", "target"}, html
        for name in ("href", "src"):
            target = re.sub(r"[\x00-\x20]", "", attributes.get(name) or "").lower()
            assert not re.match(r"(javascript|vbscript|data|file|blob):", target), html
        assert tag != "img" or re.match(r"/[^/\\]", attributes["src"]), html


def test_it_works():
    html = render("# Title\n\nSome **bold** and `code`, ~~gone~~, https://example.org\n\n1. one\n2. two\n")
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code</code>", "<s>gone</s>", "<ol>"):
        assert part in html
    assert '<a href="https://example.org" rel="noopener noreferrer nofollow">' in html


def test_code_has_a_header_with_its_language():
    html = render("```python\nif a < b: pass\n```")
    assert html.startswith('<div class="code"><header><span>python</span></header><pre><code class="language-python">')
    assert "a &lt; b" in html


def test_tables_scroll():
    html = render("|a|b|\n|:-|-:|\n|1|2|")
    assert html.startswith('<div class="tbl"><table>')
    assert '<td class="right">2</td>' in html


def test_images_of_other_hosts_become_links():
    assert "<img" not in render("![a](https://evil.example/x.png)")
    assert "<img" not in render("![a](//evil.example/x.png)")
    assert render(r"![a](/\evil.example/x.png)") == '<p><img src="/%5Cevil.example/x.png" alt="a"></p>\n'
    assert '<img src="/static/x.png" alt="a">' in render("![a](/static/x.png)")


def test_a_foreign_image_names_its_host():
    html = render("![a](https://user@evil.example:8080/x.png)")
    assert '<a class="image" href="https://user@evil.example:8080/x.png" target="_blank"' in html
    assert ">a <small>evil.example</small></a>" in html


def test_images_in_the_text_are_pixels():
    assert '<img src="data:image/png;base64,AAAA" alt="a">' in render("![a](data:image/png;base64,AAAA)")
    assert "<img" not in render("![a](data:image/svg+xml;base64,AAAA)")
    assert "<a" not in render("[a](data:image/png;base64,AAAA)").replace("<a rel", "")


def test_tasks():
    html = render("- [ ] todo\n- [x] done\n- [x]no")
    assert '<li class="task"><span class="box">☐</span> todo</li>' in html
    assert '<li class="task"><span class="box done">☑</span> done</li>' in html
    assert "<li>[x]no</li>" in html


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a $x^2$ b", "x^2"),
        ("the $n$th", "n"),
        ("값 $x$는", "x"),
        (r"\(a_1\)", "a_1"),
        ("$$x$$ in a line", "x"),
        ("$$\na_1\n$$", "a_1"),
        ("\\[\nx\n\\]", "x"),
    ],
)
def test_maths(text, tex):
    assert re.search(rf'class="math(?: display)?">{re.escape(tex)}</', render(text))


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $10",
        "US$5 or C$6$",
        "`$x$`",
        "    $x$",
        "$HOME/$USER",
        "$ x $",
        r"\$x\$",
        "$$\na\n\nb\n$$",
        r"\[optional\]",
        "a$b$c",
    ],
)
def test_no_maths(text):
    assert "math" not in render(text)


@pytest.mark.parametrize("text", ["$a " * 20_000, "\\(" * 20_000, "\\[\n" * 10_000, "$$x\n" * 10_000, "$" * 20_000])
def test_maths_without_an_end_are_read_in_time(text):
    began = time.process_time()
    render(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x)",
        "[a](file:///etc/passwd)",
        "![a](javascript:alert(1))",
        "![a](data:image/svg+xml,<svg onload=alert(1)>)",
        "<svg><style>@import url(//evil.example)</style></svg>",
        '```"><script>alert(1)</script>\nx\n```',
        "```x onclick=alert(1)\nx\n```",
        '[a](https://example.org "\\" onmouseover=alert(1) \\"")',
        "<javascript:alert(1)>",
        "<!-- <script> --><b onclick=x>",
        '<base href="//evil.example">',
        '<meta http-equiv="refresh" content="0;url=//evil.example">',
        '<form action="//evil.example"><input name=x>',
        "<iframe src=//evil.example></iframe>",
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)
def test_nothing_runs_or_fetches(text):
    assert_harmless(render(text))


@given(st.text(alphabet="ab*_`~[]()<>#-+|!\\\n &\"'1.:/\u00e9\ud55c", max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_renders_to_allowed_elements(text):
    assert_harmless(render(text))
