// Markdown of a growing answer into DOM nodes, never through innerHTML: only its last block is made anew, and of that
// only what changed.
import { grammar } from "chat/grammar";
import { completed } from "chat/half";
import { itemsOf } from "chat/items";

/**
 * @typedef {import("./items.js").Item} Item
 * @typedef {import("./grammar.js").Token} Token
 * @typedef {{references?: Record<string, unknown>, grows?: boolean, half?: unknown}} Environment
 */

const REFERENCE = /^ {0,3}\[[^\]]+\]:/m;

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
    && old.sealed === fresh.sealed
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
      if (item.sealed !== undefined) item.children = before.children;
      else if (item.tag !== null) patch(item.node, before.children, item.children);
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

/**
 * @param {string} source
 * @returns {number} where maths begin that a later line may still close, or make a text of
 */
function openMaths(source) {
  if (!/\$\$|\\\[/.test(source)) return Infinity;
  const paragraph = [...source.matchAll(/\n[ \t]*\r?\n/g)].at(-1)?.index ?? 0;
  const opening = /^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*(?:\$\$|\\\[)/m.exec(source.slice(paragraph));
  return opening ? paragraph + opening.index : Infinity;
}

/**
 * @param {Token[]} tokens  of the last block
 * @returns {boolean} whether its end is code or maths, in which no mark is half
 */
function isClosed(tokens) {
  const last = tokens.findLast((token) => token.nesting >= 0);
  const end = last?.type === "inline" ? last.children?.at(-1) : last;
  return ["fence", "code_block", "math_block", "math_inline"].includes(end?.type ?? "");
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
    /** @type {Element[]} The nodes that stood for the tail when it was last shown. */
    this.touched = [];
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
      token.level === 0 && token.map ? [{ index, line: token.map[0], head: token.type === "table_open" ? 2 : 1 }] : []);
    const last = blocks.pop();
    if (!last) return;
    const before = itemsOf(tokens.slice(0, last.index));
    const fresh = [...before, ...this.unfinished(tokens.slice(last.index), source.slice(starts[last.line]))];
    this.show(fresh);

    // Settled is what stands before the last block that begins on a complete line: a "2" on the last, unfinished line
    // may still become "2. item" of the list above it, a row of a table may begin with "*", and of a table the second
    // line must be whole, too. Nor is sure what begins where maths may.
    const open = openMaths(source);
    const isComplete = (/** @type {{line: number, head: number}} */ { line, head }) =>
      line + head < starts.length && starts[line] < open;
    const border = isComplete(last) ? blocks.length : blocks.findLastIndex(isComplete);
    if (border > 0) {
      const length = starts[border === blocks.length ? last.line : blocks[border].line];
      if (REFERENCE.test(source.slice(0, length))) grammar.parse(source.slice(0, length), this.known);
      this.tailStart += length;
      this.settled.push(...fresh.slice(0, border));
      this.tail = fresh.slice(border);
    }
  }

  /**
   * The last block as it will probably go on.
   * @param {Token[]} tokens
   * @param {string} written  what they were made of
   * @returns {Item[]}
   */
  unfinished(tokens, written) {
    if (isClosed(tokens)) return itemsOf(tokens);
    if (/\$|\\[([]/.test(written)) {
      /** @type {Environment} */
      const env = { references: { ...this.known.references }, grows: true };
      const growing = grammar.parse(written, env);
      if (env.half) return itemsOf(growing);
    }
    const shown = completed(written);
    return itemsOf(shown === written || shown === written.trimEnd() ? tokens : this.parse(shown));
  }

  /**
   * The nodes that will not change any more: what is settled, and a block of code that something follows.
   * @param {number} from  how many of the first ones not to name again
   * @returns {Element[]}
   */
  finished(from) {
    const closed = this.tail.slice(0, -1).filter((item) => item.attributes.class === "code");
    return [...this.settled.slice(from), ...closed].map((item) => item.node);
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
    this.touched = tail.map((item) => item.node);
  }
}
