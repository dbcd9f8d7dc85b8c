// Half-written markdown as it will probably go on, so that nobody sees raw marks while an answer grows.
import remend from "remend";

const OPTIONS = /** @type {const} */ ({
  linkMode: "text-only",
  htmlTags: false,
  katex: false,
  inlineKatex: false,
  comparisonOperators: false,
  singleTilde: false,
});
/** A last line of marks alone: a heading, a rule, a fence, a bullet or the line below a title; the next letters tell. */
const MARKS = /(^|\n)[ \t>]*(?:[-=]+|\*{1,3}|_+|\++|#{1,6}|`{1,2}|~{1,2}|\d{1,9}[.)]|[|: \t-]*-[|: \t-]*)[ \t]*$/;
const HEAD = /(?:^|\n)( {0,3}\|[^\n]*)(?:\n[ \t]*[|: \t-]*)?$/;
const TASK = /((?:^|\n)[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]+)\[[ xX]?\]?[ \t]*$/;
/** The beginning of maths, of something emphasised, of an image: it says nothing yet. */
const OPENING = /(?:\$\$?|\\[([]?|(?<=^|[\s(])(?:\*{1,3}|_{1,3}|~{1,2}|`{1,2})|!\[[^\]\n]*\]|!\[?)$/;
/** The words of a link whose address has not begun. */
const LINK = /(?<=^|[\s(])\[([^\]\n]+)\]$/;

/**
 * @param {string} text  the last block, which is not code and does not end in maths
 * @returns {string} what to show of it
 */
export function completed(text) {
  const table = withHead(text);
  if (table) return table;
  const known = text.replace(MARKS, "$1").replace(TASK, "$1").replace(OPENING, "").replace(LINK, "$1");
  return remend(known, OPTIONS);
}

/** @param {string} text @returns {string | null} with the line below the head of a table that has just its head */
function withHead(text) {
  const found = HEAD.exec(text);
  if (!found) return null;
  const before = text.slice(0, found.index);
  // The head and its line are whole.
  if (/^[|: \t-]*-[|: \t-]*$/.test(found[1]) && /\|[^\n]*$/.test(before)) return null;
  // A row of a table whose second line is there already.
  if (/(?:^|\n) {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\||$)[^\n]*$/m.test(before) && /\|[^\n]*$/.test(before)) return null;
  const head = found[1].trimEnd();
  const row = /(?<!\\)\|$/.test(head) && head.trim() !== "|" ? head : `${head} |`;
  const columns = row.trim().replace(/\\\|/g, "").split("|").length - 2;
  return `${before}${found.index ? "\n" : ""}${row}\n|${"---|".repeat(columns)}`;
}
