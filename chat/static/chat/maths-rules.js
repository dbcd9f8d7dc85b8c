// Maths in markdown: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` displayed. chat/markdown/maths.py has the same rules,
// name by name; what is said there of why holds here. Only here: maths that are being typed are taken for maths.

/** @typedef {{unclosed?: Record<string, number>, grows?: boolean, half?: boolean}} Environment */

/** @type {Record<string, string>} */
const DISPLAY = { "$$": "$$", "\\[": "\\]" };
/** @type {Record<string, string>} */
const IN_LINE = { "\\(": "\\)", "\\[": "\\]", "$$": "$$" };
const DOLLARS = /\$(?![ \t])((?:[^$\\\n]|\\[^\n])+)(?<![ \t])\$(?:(?![0-9A-Za-z$])|(?=th(?![0-9A-Za-z])))/y;
const TEX = /[\\^_{}]| [=<>+] /;
const WORD = /[0-9A-Za-z$]/;
const LONGEST = 4000;

/** @param {string} text */
const trimmed = (text) => text.replace(/^[ \t\n]+|[ \t\n]+$/g, "");

/** @param {any} markdown  a parser that learns the rules */
export function maths(markdown) {
  const endsWhat = { alt: ["paragraph", "reference", "blockquote", "list"] };
  markdown.block.ruler.before("fence", "math_block", block, endsWhat);
  markdown.inline.ruler.before("escape", "math_inline", inline);
}

/** @param {any} state @param {number} start @param {number} end @param {boolean} silent */
function block(state, start, end, silent) {
  if (state.sCount[start] - state.blkIndent >= 4) return false;
  const text = line(state, start);
  const markup = text.slice(0, 2);
  if (!(markup in DISPLAY) || start < (state.env.unclosed?.[markup] ?? 0)) return false;
  const number = closingLine(state, start, end, DISPLAY[markup]);
  const isHalf = number === null && state.env.grows && state.env.unclosed[markup] >= state.lineMax;
  if (number === null && !isHalf) return false;
  const last = number ?? state.lineMax - 1;
  const lines = [text.slice(2)];
  for (let next = start + 1; next <= last; next += 1) lines.push(line(state, next));
  const whole = lines.join("\n").replace(/[ \t]+$/, "");
  const content = isHalf ? trimmed(whole).replace(/[$\\]$/, "") : trimmed(whole.slice(0, -2));
  if ((!content && !isHalf) || (markup === "\\[" && number === start && !TEX.test(content))) return false;
  if (silent) return true;
  state.line = last + 1;
  const token = state.push("math_block", "div", 0);
  token.content = content;
  token.map = [start, state.line];
  if (isHalf) token.info = state.env.half = "half";
  return true;
}

/** @param {any} state @param {number} start @param {number} end @param {string} closer @returns {number | null} */
function closingLine(state, start, end, closer) {
  let text = line(state, start).slice(2);
  let number = start;
  let at = text.indexOf(closer);
  while (at < 0) {
    number += 1;
    if (number >= end || state.isEmpty(number) || state.sCount[number] < state.blkIndent) break;
    text = line(state, number);
    at = text.indexOf(closer);
  }
  if (at >= 0 && !/[^ \t]/.test(text.slice(at + 2))) return number;
  (state.env.unclosed ??= {})[line(state, start).slice(0, 2)] = number;
  return null;
}

/** @param {any} state @param {number} number */
const line = (state, number) => state.src.slice(state.bMarks[number] + state.tShift[number], state.eMarks[number]);

/** @param {any} state @param {boolean} silent */
function inline(state, silent) {
  if (!"$\\".includes(state.src[state.pos])) return false;
  const found = inBrackets(state) ?? inDollars(state) ?? (state.env.grows ? unfinished(state) : null);
  if (!found || found.end > state.posMax) return false;
  if (!silent) {
    const token = state.push("math_inline", "span", 0);
    token.markup = found.markup;
    token.content = trimmed(found.content);
    if (found.isHalf) token.info = state.env.half = "half";
  }
  state.pos = found.end;
  return true;
}

/** @typedef {{markup: string, content: string, end: number, isHalf?: boolean}} Found */

/** @param {any} state @returns {Found | null} */
function inBrackets({ src, pos }) {
  const markup = src.slice(pos, pos + 2);
  const closer = IN_LINE[markup];
  if (!closer || (markup !== "\\[" && followsWord(src, pos))) return null;
  const rest = src.slice(pos + 2, pos + 2 + LONGEST);
  const length = rest.indexOf(closer);
  const content = rest.slice(0, Math.max(length, 0));
  if (!trimmed(content) || content.includes("$") || (markup === "\\[" && !TEX.test(content))) return null;
  return { markup, content, end: pos + length + 4 };
}

/** @param {any} state @returns {Found | null} */
function inDollars({ src, pos }) {
  if (followsWord(src, pos)) return null;
  DOLLARS.lastIndex = pos;
  const found = DOLLARS.exec(src);
  return found ? { markup: "$", content: found[1], end: DOLLARS.lastIndex } : null;
}

/**
 * Maths at the end of a growing text, where the rest looks like it.
 * @param {any} state
 * @returns {Found | null}
 */
function unfinished({ src, pos, posMax }) {
  const markup = IN_LINE[src.slice(pos, pos + 2)] ? src.slice(pos, pos + 2) : src[pos];
  const content = src.slice(pos + markup.length, posMax);
  if (markup === "\\" || followsWord(src, pos) || posMax !== src.length || content.length > LONGEST) return null;
  if (content.includes("$", 0) && !/^[^$]*\$$/.test(content)) return null;
  if (markup === "$" && (/^[ \t]|\n|\$$/.test(content) || !(TEX.test(content) || /^[A-Za-z(|{-][^ ]*$/.test(content)))) return null;
  if (markup === "\\[" && content && !TEX.test(content)) return null;
  return { markup, content: content.replace(/[$\\]$/, ""), end: posMax, isHalf: true };
}

/** @param {string} src @param {number} pos */
const followsWord = (src, pos) => pos > 0 && WORD.test(src[pos - 1]);
