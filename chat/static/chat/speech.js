// Gives a screen reader the finished sentences of a growing answer: never pieces of words, and no code.

const HANGUL = /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]/;
/** The first line of a block of code or of a formula. */
const FENCE = /^\s*(`{3,}|~{3,}|\$\$)/;
/** A line that may still become one. */
const HALF_FENCE = /^\s*(`{1,2}|~{1,2}|\$)$/;
/** A line that is a block by itself: a heading, a row of a table, a rule. */
const ONE_LINE = /^\s*(#{1,6}\s|\||([-*_]\s*){3,}$)/;
/** A line that begins another block: those, an item of a list, a quotation. */
const BEGINS = /^\s*(#{1,6}(\s|$)|\||[-*+]\s|\d{1,9}[.)]\s|>|`{3}|~{3}|\$\$)/;

const segmenter = "Segmenter" in Intl ? new Intl.Segmenter(undefined, { granularity: "sentence" }) : null;

/** @param {string} text @returns {string[]} */
function sentencesIn(text) {
  if (segmenter) return [...segmenter.segment(text)].map(({ segment }) => segment);
  return text.match(/[^.?!。？！…]*[.?!。？！…]*\s*/g)?.filter(Boolean) ?? [];
}

/**
 * What is spoken of a block of Markdown.
 * @param {string} source
 * @param {boolean} isWhole  otherwise what has begun with a mark, and not ended, is left out
 */
export function plain(source, isWhole) {
  let text = source;
  if (!isWhole) {
    if ((text.match(/`/g)?.length ?? 0) % 2) text = text.slice(0, text.lastIndexOf("`"));
    const link = /!?\[[^\]]*(\](\([^)]*)?)?$/.exec(text);
    if (link) text = text.slice(0, link.index);
  }
  if (/^\s*\|[\s:|-]*$/.test(text) || /^\s*([-*_]\s*){3,}$/.test(text)) return "";
  return text
    .replace(/`([^`]*)`/g, (_, code) => code.replace(/[.?!](?=\s)/g, ","))
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/^\s*(#{1,6}\s+|[-*+]\s+|\d{1,9}[.)]\s+|(>\s?)+)/gm, "")
    .replace(/^\s*\||\|\s*$/g, "")
    .replace(/\s*\|\s*/g, ", ")
    .replace(/\*+|~~|(?<!\w)_+|_+(?!\w)/g, "")
    .replace(/\s+/g, " ");
}

export class Sentences {
  constructor() {
    this.text = "";
    /** Where the block begins that is being written. */
    this.start = 0;
    /** How many characters of what is spoken of it were given out. */
    this.said = 0;
  }

  /**
   * Return the sentences that are finished and were not given out.
   * @param {string} text  all of the answer so far
   * @param {boolean} [isOver]  whether nothing more comes
   * @returns {string[]}
   */
  push(text, isOver = false) {
    // Another text than the one that was growing: what was said cannot be unsaid; go on at its end.
    if (!text.startsWith(this.text)) Object.assign(this, { start: text.length, said: 0 });
    this.text = text;
    /** @type {string[]} */
    const found = [];
    for (let block = this.block(isOver); block; block = this.block(isOver)) {
      if (!block.isCode) found.push(...this.take(plain(text.slice(this.start, block.end), block.isWhole), block.isWhole));
      if (!block.isWhole) break;
      this.start = block.end;
      this.said = 0;
    }
    return found;
  }

  /** @param {string} spoken @param {boolean} isWhole @returns {string[]} */
  take(spoken, isWhole) {
    const found = [];
    const sentences = sentencesIn(spoken);
    let at = 0;
    for (const [index, sentence] of sentences.entries()) {
      at += sentence.length;
      // The last one may go on.
      if (!isWhole && index === sentences.length - 1) break;
      if (at <= this.said) continue;
      this.said = at;
      if (/[\p{L}\p{N}]/u.test(sentence)) found.push(sentence.trim());
    }
    return found;
  }

  /**
   * The block that begins at `start`; null where there is nothing yet, or it is open what it will be.
   * @param {boolean} isOver
   * @returns {{end: number, isCode: boolean, isWhole: boolean} | null}
   */
  block(isOver) {
    const { text } = this;
    this.start += /^(?:[ \t]*\n)*/.exec(text.slice(this.start))?.[0].length ?? 0;
    const first = this.line(this.start);
    if (!first.text.trim() || (!isOver && !first.isWhole && HALF_FENCE.test(first.text))) return null;
    const fence = FENCE.exec(first.text)?.[1];
    if (fence) return this.code(fence, first.end, isOver);
    let last = first;
    while (last.isWhole && !ONE_LINE.test(last.text)) {
      const next = this.line(last.end);
      if (next.isWhole && !next.text.trim()) break;
      if (BEGINS.test(next.text)) break;
      if (!next.text) return { end: last.end, isCode: false, isWhole: isOver };
      last = next;
    }
    return { end: last.end, isCode: false, isWhole: last.isWhole || isOver };
  }

  /** @param {string} fence @param {number} from @param {boolean} isOver */
  code(fence, from, isOver) {
    for (let line = this.line(from); line.text || line.isWhole; line = this.line(line.end)) {
      const closes = line.text.trim().startsWith(fence) && (line.isWhole || isOver);
      if (closes) return { end: line.end, isCode: true, isWhole: true };
      if (!line.isWhole) break;
    }
    // A formula may close in the line that opens it.
    const opening = this.line(this.start);
    const isClosed = fence === "$$" && opening.isWhole && opening.text.trim().length > 4 && opening.text.trim().endsWith("$$");
    if (isClosed) return { end: opening.end, isCode: true, isWhole: true };
    return { end: this.text.length, isCode: true, isWhole: isOver };
  }

  /** @param {number} from */
  line(from) {
    const at = this.text.indexOf("\n", from);
    const end = at < 0 ? this.text.length : at + 1;
    return { text: this.text.slice(from, at < 0 ? end : at), end, isWhole: at >= 0 };
  }
}

/** Paragraphs that stay in the region: a screen reader has them once they are there. */
const KEPT = 20;

/** Puts the sentences of the answers that are being written into a live region of its own. */
export class Speaker {
  /** @param {import("./conversation.js").ChatLog} log */
  constructor(log) {
    this.log = log;
    /** @type {Map<number, Sentences>} */
    this.answers = new Map();
    this.region = document.createElement("div");
    this.region.className = "sr";
    this.region.dataset.speech = "";
    this.region.setAttribute("aria-live", "polite");
    document.body.append(this.region);
    log.addEventListener("chat:grown", (event) => this.grown(/** @type {HTMLElement} */ (event.target)));
    document.addEventListener("chat:running", () => this.ended());
  }

  /** @param {HTMLElement} article */
  grown(article) {
    const id = Number(article.dataset.message);
    if (!this.log.live.has(id)) return;
    let sentences = this.answers.get(id);
    if (!sentences) this.answers.set(id, sentences = new Sentences());
    this.say(sentences.push(this.log.branch.reader(id)?.text ?? ""));
  }

  /** Say the rest of what came to its end; of what was cancelled, nothing more. */
  ended() {
    for (const [id, sentences] of this.answers) {
      if (this.log.live.has(id)) continue;
      this.answers.delete(id);
      const status = this.log.turn(id)?.dataset.status;
      if (status === "completed" || status === "incomplete") this.say(sentences.push(this.log.branch.reader(id)?.text ?? "", true));
      else this.region.replaceChildren();
    }
  }

  /** @param {string[]} sentences */
  say(sentences) {
    if (!sentences.length) return;
    const paragraph = document.createElement("p");
    paragraph.textContent = sentences.join(" ");
    if (HANGUL.test(paragraph.textContent)) paragraph.lang = "ko";
    this.region.append(paragraph);
    while (this.region.childElementCount > KEPT) this.region.firstElementChild?.remove();
  }
}

const log = globalThis.document?.querySelector("chat-log");
if (log) new Speaker(/** @type {import("./conversation.js").ChatLog} */ (log));
