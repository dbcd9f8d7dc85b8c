"""The browser's modules, run by Node; without one, `python -m chatsite.npm --dev` brings it."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chat.markdown import render
from chatsite import npm

JS = Path(__file__).parent / "js"
BLOCKS = "p|h[1-6]|ul|ol|li|blockquote|hr|div|header|pre|table|thead|tbody|tr|th|td"


@pytest.fixture(scope="module")
def node():
    found = npm.find_node()
    if found is None or not npm.is_current(for_tests=True):
        pytest.fail("Run `python -m chatsite.npm --dev` first: it brings Node and the browser's packages.")
    return found


def run(node: npm.Node, *arguments: str, text: str | None = None) -> str:
    command = [str(node.program), *arguments]
    done = subprocess.run(
        command, cwd=JS, env=node.environment, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_modules(node):
    run(node, "--test", *sorted(str(path) for path in JS.glob("*.test.mjs")))


def test_modules_export_what_others_import():
    """A page without one of its modules stands still; a browser says so only when it loads them."""
    folder = Path(__file__).parent.parent / "chat" / "static" / "chat"
    sources = {f"chat/{path.stem}": path.read_text() for path in folder.glob("*.js")}
    exported = {
        name: set(re.findall(r"^export (?:async )?(?:function|class|const|let) (\w+)", source, re.MULTILINE))
        for name, source in sources.items()
    }
    wanted = [
        (importer, name, module)
        for importer, source in sources.items()
        for names, module in re.findall(r"""^import \{([^}]*)\} from "(chat/[\w-]+)";""", source, re.MULTILINE)
        for name in (word.split(" as ")[0].strip() for word in names.split(",") if word.strip())
    ]
    assert len(wanted) > 50
    assert [want for want in wanted if want[1] not in exported.get(want[2], set())] == []


class Canonical(HTMLParser):
    """HTML in one way of writing it: sorted attributes, character references resolved, no space between blocks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.parts.append(f"<{tag}{''.join(f' {name}={value!r}' for name, value in sorted(attrs))}>")

    def handle_endtag(self, tag):
        self.parts.append(f"</{tag}>")

    def handle_data(self, data):
        self.parts.append(data.replace("&", "&amp;").replace("<", "&lt;"))


def canonical(html: str) -> str:
    parser = Canonical()
    parser.feed(html)
    parser.close()
    text = re.sub(rf"(</?(?:{BLOCKS})(?: [^>]*)?>)\n+", r"\1", "".join(parser.parts))
    return re.sub(rf"\n+(</?(?:{BLOCKS})(?: [^>]*)?>)", r"\1", text).strip()


def test_both_renderers_make_the_same(node):
    documents = json.loads(run(node, "documents.mjs"))
    assert len(documents) > 700, "the specification is missing"
    in_browser = json.loads(run(node, "render.mjs", text=json.dumps(documents)))
    different = [
        (text, canonical(html), canonical(render(text)))
        for text, html in zip(documents, in_browser, strict=True)
        if canonical(render(text)) != canonical(html)
    ]
    assert not different
