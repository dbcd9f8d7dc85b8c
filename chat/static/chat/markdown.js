// Markdown of a growing answer into DOM nodes, from an allowlist and never through innerHTML.
//
// The server (chat/markdown.py) makes the same elements of the same text:
//   paragraph        <p>; in a tight list its content stands in the <li> itself
//   heading          <h1> … <h6>
//   bullet list      <ul><li>…
//   ordered list     <ol start="N"><li>… (start only if it is not 1)
//   quote            <blockquote>
//   rule             <hr>
//   code             <div class="code"><header><span>LANGUAGE</span></header><pre><code class="language-LANGUAGE">TEXT
//                    LANGUAGE is the first word after the fence as it is written; without one, the span is empty and
//                    the code has no class. Copy buttons are added by decorate(), here only.
//   table            <div class="tbl"><table><thead><tr><th>…<tbody><tr><td>…
//                    aligned cells have class="left", "center" or "right"
//   *, **, ~~, `     <em>, <strong>, <s>, <code>
//   line break       <br> and a newline; a soft one is a newline in the text
//   link             <a href title rel="noopener noreferrer nofollow">; without href if that is not http, https, mailto,
//                    tel or a path of this site (one slash and no second one)
//   image            of this site (a path): <img src alt>; any other: a link to it as above whose text is the alternative
//                    text or, without one, the address; inside a link: that text alone
//   HTML             text
import MarkdownIt from "markdown-it";
import remend from "remend";

/**
 * An element or, with `tag` null, a text; `node` is what stands for it on the page.
 * @typedef {{tag: string | null, attributes: Record<string, string>, children: Item[], text: string, node: any}} Item
 * @typedef {{type: string, tag: string, nesting: number, content: string, info: string, hidden: boolean, level: number,
 *   map: [number, number] | null, children: Token[] | null, attrGet(name: string): string | null}} Token
 * @typedef {{references?: Record<string, unknown>}} Environment
 */

const BLOCKS = new Set([
  "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr",
  "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "s", "br",
]);
const REL = "noopener noreferrer nofollow";
const REFERENCE = /^ {0,3}\[[^\]]+\]:/m;

const grammar = new MarkdownIt("commonmark", { html: false, linkify: true }).enable(["table", "strikethrough", "linkify"]);
grammar.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });

/** How half-written text is completed while it grows: only marks that would show as raw characters. */
const HALF = /** @type {const} */ ({
  linkMode: "text-only",
  htmlTags: false,
  katex: false,
  inlineKatex: false,
  comparisonOperators: false,
  singleTilde: false,
});

/** @param {string} address */
const isPath = (address) => /^\/(?![/\\])/.test(address);

/** @param {string} address */
const isSafe = (address) => /^(https?|mailto|tel):/i.test(address) || isPath(address);

/** @returns {Item} */
const element = (/** @type {string} */ tag, /** @type {Record<string, string>} */ attributes = {}, /** @type {Item[]} */ children = []) => ({
  tag, attributes, children, text: "", node: null,
});

/** @returns {Item} */
const words = (/** @type {string} */ text) => ({ tag: null, attributes: {}, children: [], text, node: null });

/**
 * @param {string} address
 * @param {string | null} title
 * @param {Item[]} children
 */
function link(address, title, children) {
  /** @type {Record<string, string>} */
  const attributes = { rel: REL };
  if (isSafe(address)) attributes.href = address;
  if (title) attributes.title = title;
  return element("a", attributes, children);
}

/** @param {Token[]} tokens @returns {string} */
function plainText(tokens) {
  return tokens.map((token) => {
    if (token.type === "image") return plainText(token.children ?? []);
    if (token.type === "softbreak") return "\n";
    return token.type === "text" ? token.content : "";
  }).join("");
}

/** @param {Token} token @param {boolean} insideLink */
function image(token, insideLink) {
  const source = token.attrGet("src") ?? "";
  const alternative = plainText(token.children ?? []);
  if (insideLink) return words(alternative || source);
  if (isPath(source)) return element("img", { src: source, alt: alternative });
  return link(source, null, [words(alternative || source)]);
}

/** @param {Token} token */
function code(token) {
  const language = token.type === "fence" ? (token.info.trim().split(/\s+/)[0] ?? "") : "";
  return element("div", { class: "code" }, [
    element("header", {}, [element("span", {}, language ? [words(language)] : [])]),
    element("pre", {}, [element("code", language ? { class: `language-${language}` } : {}, [words(token.content)])]),
  ]);
}

/** @param {Token} token */
function opened(token) {
  if (token.type === "link_open") return link(token.attrGet("href") ?? "", token.attrGet("title"), []);
  /** @type {Record<string, string>} */
  const attributes = {};
  const start = token.attrGet("start");
  if (token.tag === "ol" && start !== null) attributes.start = String(start);
  const alignment = /text-align:(left|center|right)/.exec(token.attrGet("style") ?? "");
  if (alignment) attributes.class = alignment[1];
  return element(token.tag, attributes);
}

/**
 * @param {Token[]} tokens
 * @returns {Item[]}
 */
function itemsOf(tokens) {
  const root = element("root");
  const path = [root];
  let links = 0;
  for (const token of tokens) {
    const parent = path[path.length - 1];
    const add = (/** @type {Item} */ item) => parent.children.push(item);
    const known = BLOCKS.has(token.tag) || token.type.startsWith("link_") || token.type === "table_open";
    if (token.type === "inline") parent.children.push(...itemsOf(token.children ?? []));
    else if (token.type === "fence" || token.type === "code_block") add(code(token));
    else if (token.type === "code_inline") add(element("code", {}, [words(token.content)]));
    else if (token.type === "image") add(image(token, links > 0));
    else if (token.type === "softbreak") add(words("\n"));
    else if (token.hidden) continue;
    else if (token.nesting === 1 && known) {
      const item = opened(token);
      links += token.type === "link_open" ? 1 : 0;
      add(token.tag === "table" ? element("div", { class: "tbl" }, [item]) : item);
      path.push(item);
    } else if (token.nesting === -1 && known) {
      links -= token.type === "link_close" ? 1 : 0;
      path.pop();
    } else if (known) {
      add(opened(token));
      if (token.type === "hardbreak") add(words("\n"));
    } else if (token.content) add(words(token.content));
  }
  return joined(root.children);
}

/** @param {Item[]} items @returns {Item[]} the same with neighbouring texts as one, so that a text only ever grows */
function joined(items) {
  /** @type {Item[]} */
  const result = [];
  for (const item of items) {
    const last = result[result.length - 1];
    if (item.tag === null && last?.tag === null) last.text += item.text;
    else result.push(item);
    item.children = joined(item.children);
  }
  return result;
}

/** @param {Item} item @returns {Node} */
function build(item) {
  if (item.tag === null) {
    item.node = document.createTextNode(item.text);
  } else {
    item.node = document.createElement(item.tag);
    for (const [name, value] of Object.entries(item.attributes)) item.node.setAttribute(name, value);
    for (const child of item.children) item.node.appendChild(build(child));
  }
  return item.node;
}

/** @param {Item} old @param {Item} fresh */
function isSame(old, fresh) {
  const names = Object.keys(fresh.attributes);
  return old.tag === fresh.tag
    && names.length === Object.keys(old.attributes).length
    && names.every((name) => old.attributes[name] === fresh.attributes[name]);
}

/**
 * Make the children of `parent` that stand for `old` stand for `fresh`; what is equal keeps its node, with selection and
 * focus. Nodes that others added (a copy button) are left alone.
 * @param {Node} parent
 * @param {Item[]} old
 * @param {Item[]} fresh
 * @param {Node | null} [previous]  the node before the first one
 */
function patch(parent, old, fresh, previous = null) {
  fresh.forEach((item, index) => {
    const before = old[index];
    if (!before) {
      parent.insertBefore(build(item), previous ? previous.nextSibling : parent.firstChild);
    } else if (!isSame(before, item)) {
      parent.replaceChild(build(item), before.node);
    } else {
      item.node = before.node;
      if (item.tag !== null) patch(item.node, before.children, item.children);
      else if (item.text.startsWith(before.text)) {
        if (item.text.length > before.text.length) item.node.appendData(item.text.slice(before.text.length));
      } else item.node.data = item.text;
    }
    previous = item.node;
  });
  for (const item of old.slice(fresh.length)) parent.removeChild(item.node);
}

/** @param {string} text @returns {number[]} where each line begins */
function lineStarts(text) {
  return [0, ...Array.from(text.matchAll(/\r\n?|\n/g), (end) => end.index + end[0].length)];
}

/** A text that grows and is shown in an element. */
export class Rendering {
  /** @param {Element} root */
  constructor(root) {
    this.root = root;
    root.replaceChildren();
    /** @type {Item[]} What no later text can change; its nodes are never touched again. */
    this.settled = [];
    /** @type {Item[]} */
    this.tail = [];
    /** Where in the text the tail begins. */
    this.tailStart = 0;
    this.text = "";
    /** @type {Environment} */
    this.known = { references: {} };
  }

  /**
   * Show the text, of which the one shown before is the beginning. Only its tail is parsed and touched.
   * @param {string} text
   */
  update(text) {
    this.text = text;
    const source = text.slice(this.tailStart);
    const tokens = this.parse(source);
    const starts = lineStarts(source);
    const blocks = tokens.flatMap((token, index) =>
      token.level === 0 && token.map ? [{ index, line: token.map[0], isCode: token.type === "fence" || token.type === "code_block" }] : []);
    const last = blocks.pop();
    if (!last) return;
    const before = itemsOf(tokens.slice(0, last.index));
    const written = source.slice(starts[last.line]);
    const completed = last.isCode ? written : remend(written, HALF);
    const isWhole = completed === written || completed === written.trimEnd();
    const fresh = [...before, ...itemsOf(isWhole ? tokens.slice(last.index) : this.parse(completed))];
    this.show(fresh);

    // Settled is what stands before the last block that begins on a complete line: a "2" on the last, unfinished line
    // may still become "2. item" of the list above it, and a row of a table may begin with "*".
    const isComplete = (/** @type {{line: number}} */ block) => block.line + 1 < starts.length;
    const border = isComplete(last) ? blocks.length : blocks.findLastIndex(isComplete);
    if (border > 0) {
      const length = starts[border === blocks.length ? last.line : blocks[border].line];
      if (REFERENCE.test(source.slice(0, length))) grammar.parse(source.slice(0, length), this.known);
      this.tailStart += length;
      this.settled.push(...fresh.slice(0, border));
      this.tail = fresh.slice(border);
    }
  }

  /** Show the text as it is when nothing follows: without completions, and with references to links further down. */
  finish() {
    if (REFERENCE.test(this.text)) {
      this.known = { references: {} };
      this.tail = [...this.settled, ...this.tail];
      this.settled = [];
      this.tailStart = 0;
    }
    this.show(itemsOf(this.parse(this.text.slice(this.tailStart))));
  }

  /** @param {string} source @returns {Token[]} */
  parse(source) {
    return grammar.parse(source, { references: { ...this.known.references } });
  }

  /** @param {Item[]} tail */
  show(tail) {
    patch(this.root, this.tail, tail, this.settled[this.settled.length - 1]?.node ?? null);
    this.tail = tail;
  }
}
