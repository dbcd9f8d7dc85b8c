import "./resolve.mjs";
import { root } from "./dom.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";
import { documents, generator } from "./documents.mjs";

const { Rendering } = await import("chat/markdown");

const REL = 'rel="noopener noreferrer nofollow"';

function whole(text) {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update(text);
  rendering.finish();
  return element.innerHTML;
}

test("it works", () => {
  assert.equal(
    whole("# Hi\n\nSome *words* and `code`.\n"),
    "<h1>Hi</h1><p>Some <em>words</em> and <code>code</code>.</p>",
  );
});

test("code has a header with its language", () => {
  assert.equal(
    whole("```python x\nprint(1 < 2)\n```"),
    '<div class="code"><header><span>python</span></header><pre><code class="language-python">print(1 &#60; 2)\n</code></pre></div>',
  );
  assert.equal(whole("    a\n"), '<div class="code"><header><span></span></header><pre><code>a\n</code></pre></div>');
});

test("a table scrolls in its wrapper and is aligned by classes", () => {
  const html = whole("| a | b |\n|---|--:|\n| 1 | 2 |\n");
  assert.match(html, /^<div class="tbl"><table><thead><tr><th>a<\/th><th class="right">b<\/th>/);
  assert.ok(!html.includes("style"));
});

test("links go to safe places only", () => {
  assert.equal(whole("[a](https://b.example/ \"t\")"), `<p><a href="https://b.example/" ${REL} title="t">a</a></p>`);
  assert.equal(whole("[a](/c/)"), `<p><a href="/c/" ${REL}>a</a></p>`);
  for (const address of ["//evil.example", "ftp://a.example", "relative", "#top"]) {
    assert.equal(whole(`[a](${address})`), `<p><a ${REL}>a</a></p>`, address);
  }
  assert.ok(!whole("[a](javascript:alert(1))").includes("<a"));
});

test("images of other hosts become links, so that nothing is fetched", () => {
  const link = `<a class="image" href="https://b.example/c.png" ${REL} target="_blank">`;
  assert.equal(whole("![a *b*](https://b.example/c.png)"), `<p>${link}a b <small>b.example</small></a></p>`);
  assert.equal(whole("![](https://b.example/c.png)"), `<p>${link}https://b.example/c.png</a></p>`);
  assert.equal(whole("![a](/static/c.png)"), '<p><img alt="a" src="/static/c.png"></p>');
  assert.equal(whole("[![a](https://b.example/c.png)](https://d.example)"), `<p><a href="https://d.example" ${REL}>a</a></p>`);
});

test("HTML is text", () => {
  assert.equal(whole("<b onclick=x>a</b>"), "<p>&#60;b onclick=x&#62;a&#60;/b&#62;</p>");
  assert.equal(whole("<script>\n"), "<p>&#60;script&#62;</p>");
});

test("half-written marks do not show", () => {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update("Some **bold");
  assert.equal(element.innerHTML, "<p>Some <strong>bold</strong></p>");
  rendering.update("Some **bold** [link](https://a.exam");
  assert.ok(!element.innerHTML.includes("]("), element.innerHTML);
  rendering.finish();
  assert.ok(element.innerHTML.includes("[link]("), "what stays unfinished is shown as it is");
});

test("finished blocks and what grows keep their nodes", () => {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update("First.\n\nSecond is");
  const [first, second] = element.childNodes;
  const text = second.firstChild;
  rendering.update("First.\n\nSecond is longer.\n\nThird");
  assert.equal(element.childNodes[0], first);
  assert.equal(element.childNodes[1], second);
  assert.equal(second.firstChild, text);
  assert.equal(text.data, "Second is longer.");
});

test("nodes that others put in are left alone", () => {
  const element = root();
  const rendering = new Rendering(element);
  rendering.update("```js\na");
  const header = element.firstChild.firstChild;
  header.appendChild(document.createElement("button"));
  rendering.update("```js\na = 1\n```\n\nMore");
  rendering.finish();
  assert.equal(element.firstChild.firstChild, header);
  assert.equal(header.childNodes.length, 2);
});

test("a reference further down makes links further up", () => {
  assert.equal(whole("See [a].\n\nMore.\n\n[a]: https://b.example\n"), `<p>See <a href="https://b.example" ${REL}>a</a>.</p><p>More.</p>`);
});

test("however the text comes in pieces, the end is the same", () => {
  const random = generator(11);
  for (const text of [...documents, documents.slice(0, 80).join("\n\n")]) {
    const expected = whole(text);
    for (const size of [1, 5, 40]) {
      const element = root();
      const rendering = new Rendering(element);
      for (let end = 0; end < text.length;) {
        end = Math.min(text.length, end + 1 + Math.floor(random() * size));
        rendering.update(text.slice(0, end));
      }
      rendering.finish();
      assert.equal(element.innerHTML, expected, `pieces of up to ${size}: ${JSON.stringify(text)}`);
    }
  }
});
