// What counts as markdown here; chat/markdown/grammar.py is the same for the server.
import MarkdownIt from "markdown-it";
import { maths } from "chat/maths-rules";

/**
 * @typedef {{type: string, tag: string, nesting: number, content: string, info: string, markup: string, hidden: boolean,
 *   level: number, map: [number, number] | null, children: Token[] | null, attrGet(name: string): string | null,
 *   attrSet(name: string, value: string): void}} Token
 */

const TASK = /^\[([ xX])\][ \t]/;

export const grammar = new MarkdownIt("commonmark", { html: false, linkify: true }).enable(["table", "strikethrough", "linkify"]);
grammar.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
maths(grammar);
grammar.core.ruler.push("tasks", tasks);

/**
 * Make list items that begin with `[ ]` or `[x]` tasks.
 * @param {any} state
 */
function tasks({ tokens, Token }) {
  for (let index = 0; index + 2 < tokens.length; index += 1) {
    const [item, paragraph, inline] = tokens.slice(index, index + 3);
    if (item.type !== "list_item_open" || paragraph.type !== "paragraph_open") continue;
    const first = inline.children?.[0];
    const mark = first?.type === "text" ? TASK.exec(first.content) : null;
    if (!mark) continue;
    first.content = first.content.slice(mark[0].length);
    const box = new Token("task_box", "span", 0);
    box.content = mark[1] === " " ? "☐" : "☑";
    inline.children.unshift(box);
    item.attrSet("class", "task");
  }
}
