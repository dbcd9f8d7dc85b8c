// What was typed and is not sent yet: kept in this browser, for the person who typed it, until it is sent, the person
// signs out, or a month has passed. Imports nothing: the page on which people sign out loads it alone.

/** Drafts that are kept; of more, the oldest go. */
const MOST = 100;
/** Characters of a draft that is kept; a message may have fewer. */
const LONGEST = 1_000_000;
const MONTH = 30 * 24 * 60 * 60 * 1000;
const PREFIX = "draft:";

/** @typedef {{text: string, at: number, tab: string}} Stored */

/** Set when the person signs out: what the page still knows must not be stored again. */
let isOver = false;

/** @param {"localStorage" | "sessionStorage"} kind @returns {Storage | null} null where the browser forbids it */
function storage(kind) {
  try {
    return globalThis[kind];
  } catch {
    return null;
  }
}

const local = storage("localStorage");
const session = storage("sessionStorage");

/** Of this tab, also after a reload. */
const tab = (() => {
  const known = session?.getItem("tab") ?? Math.random().toString(36).slice(2);
  try {
    session?.setItem("tab", known);
  } catch {
    // Full: then a reload makes it another tab.
  }
  return known;
})();

/** @param {string} name @returns {Stored | null} */
function read(name) {
  try {
    const stored = JSON.parse(local?.getItem(name) ?? "null");
    return typeof stored?.text === "string" && typeof stored.at === "number" ? stored : null;
  } catch {
    return null;
  }
}

/** @param {string} name @param {string} text  empty to forget it */
function write(name, text) {
  if (isOver || text.length > LONGEST) return;
  if (!text) return local?.removeItem(name);
  const stored = JSON.stringify({ text, at: Date.now(), tab });
  try {
    local?.setItem(name, stored);
  } catch {
    // Full. What was typed just now is worth more than what was left lying.
    for (const old of names().filter((each) => each !== name)) local?.removeItem(old);
    try {
      local?.setItem(name, stored);
    } catch {
      // It is still in the field.
    }
  }
}

/** The names of all drafts here, the oldest first. */
function names() {
  const found = Array.from({ length: local?.length ?? 0 }, (_, index) => local?.key(index) ?? "");
  return found.filter((name) => name.startsWith(PREFIX)).sort((a, b) => (read(a)?.at ?? 0) - (read(b)?.at ?? 0));
}

/** Forget what is too old, too much, or somebody else's. @param {string} person */
function tidy(person) {
  const own = [];
  for (const name of names()) {
    const stored = read(name);
    const isOwn = name.startsWith(`${PREFIX}${person}:`);
    if (isOwn && stored && Date.now() - stored.at < MONTH) own.push(name);
    else local?.removeItem(name);
  }
  for (const name of own.slice(0, -MOST)) local?.removeItem(name);
}

/** Forget everything that was typed here; nothing is stored any more. */
export function forgetAll() {
  isOver = true;
  for (const store of [local, session]) {
    for (const name of Object.keys(store ?? {})) if (name.startsWith(PREFIX)) store?.removeItem(name);
  }
}

/**
 * The draft of one conversation, or of a new one.
 *
 * All tabs share it as long as one of them writes. Where two do, the second keeps its text under a name of its own.
 */
export class Draft {
  /** @param {string} person @param {string} place  a conversation's id, or "new" */
  constructor(person, place) {
    tidy(person);
    this.name = `${PREFIX}${person}:${place}`;
    this.ownName = `${this.name}:${tab}`;
    /** Whether this tab's text is apart from that of the others. */
    this.isApart = read(this.ownName) !== null;
    /** Whether something was typed here since it was loaded or sent. */
    this.isTyped = this.isApart;
    /** The shared text as this tab knows it. */
    this.seen = read(this.name)?.text ?? "";
    /** What this tab stored under the shared name. */
    this.shared = "";
  }

  /** What was typed last: in this tab, in all, or in one that was closed. */
  get text() {
    const others = () => names().filter((name) => name.startsWith(`${this.name}:`)).at(-1);
    const found = read(this.ownName) ?? read(this.name) ?? read(others() ?? "");
    return found?.text ?? "";
  }

  /** @param {string} text  what is in the field; empty once it is sent or deleted */
  save(text) {
    const shared = read(this.name);
    this.isTyped = Boolean(text);
    if (shared && shared.tab !== tab && shared.text !== this.seen) this.isApart = true;
    write(this.isApart ? this.ownName : this.name, text);
    this.shared = this.isApart ? "" : text;
    if (text) this.seen = this.isApart ? this.seen : text;
    else {
      this.isApart = false;
      this.seen = read(this.name)?.text ?? "";
    }
  }

  /**
   * Tell what another tab typed, as long as nothing is typed here; else see that it overwrites nothing.
   * @param {(text: string) => void} show
   */
  follow(show) {
    globalThis.addEventListener?.("storage", ({ key }) => {
      if (key !== this.name) return;
      if (this.isTyped) return this.moveApart();
      this.seen = read(this.name)?.text ?? "";
      show(this.seen);
    });
  }

  /** Keep this tab's text under its own name where another tab wrote over it: two that write at once see it too late. */
  moveApart() {
    const there = read(this.name);
    if (!this.shared || !there || there.tab === tab || there.text.startsWith(this.shared)) return;
    this.isApart = true;
    write(this.ownName, this.shared);
    this.shared = "";
  }
}

globalThis.document?.addEventListener("submit", (event) => {
  const action = /** @type {HTMLFormElement} */ (event.target).getAttribute("action") ?? "";
  if (action.split("?")[0].endsWith("/logout/")) forgetAll();
}, { capture: true });
