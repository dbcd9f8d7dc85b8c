// The search dialog (Ctrl K), and the way to the message that was found.
import { say } from "chat/page";

/** Milliseconds of silence after a key before the server is asked. */
const PAUSE = 120;
/** Milliseconds after which it is said that the server is being waited for. */
const PATIENCE = 400;
/** Milliseconds for which the message that was jumped to stands out. */
const SHOWN = 2600;

/** @typedef {{text: string, is_match: boolean}} Part */
/** @typedef {{url: string, by: string, day: string, snippet: Part[]}} Hit */
/** @typedef {{url: string, title: Part[], day: string, is_archived: boolean, hits: Hit[]}} Group */
/** @typedef {{state: string, groups: Group[], more: boolean}} Findings */

class Search {
  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.dialog = dialog;
    this.url = dialog.dataset.url ?? "";
    this.field = /** @type {HTMLInputElement} */ (dialog.querySelector("input"));
    this.list = /** @type {HTMLElement} */ (dialog.querySelector("[role=listbox]"));
    this.state = /** @type {HTMLElement} */ (dialog.querySelector("[data-search-state]"));
    /** @type {string | null} what the list answers */
    this.shown = null;
    /** @type {AbortController | null} */
    this.asking = null;

    this.field.addEventListener("input", () => this.askSoon());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    dialog.querySelector("form")?.addEventListener("submit", (event) => event.preventDefault());
    dialog.addEventListener("click", (event) => this.onClick(event));
    dialog.addEventListener("close", () => this.stop());
    this.list.addEventListener("pointermove", (event) => {
      const option = event.target instanceof Element ? event.target.closest("[role=option]") : null;
      if (option) this.choose(/** @type {HTMLElement} */ (option), false);
    });
    if (/Mac|iPhone|iPad/.test(navigator.platform)) {
      for (const keys of dialog.querySelectorAll("[data-search-new-tab]")) keys.textContent = "⌘ ↵";
    }
  }

  open() {
    if (!this.dialog.open) {
      if (document.querySelector("dialog[open]")) return;
      // On a phone, the list from which it was opened would lie over what is found.
      /** @type {HTMLElement | null} */ (document.querySelector(".app.side-open [data-side=close]"))?.click();
      this.dialog.showModal();
      // What was there a minute ago may have changed.
      this.shown = null;
      this.ask();
    }
    this.field.select();
    this.field.focus();
  }

  stop() {
    clearTimeout(this.soon);
    clearTimeout(this.patience);
    this.asking?.abort();
    this.asking = null;
  }

  // ---------- asking ----------

  askSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.ask(), PAUSE);
  }

  async ask() {
    const query = this.field.value.trim();
    if (query === this.shown && !this.asking) return;
    this.stop();
    const asking = this.asking = new AbortController();
    this.patience = setTimeout(() => this.say(say("searching")), PATIENCE);
    try {
      const response = await fetch(`${this.url}?q=${encodeURIComponent(query)}`, {
        headers: { Accept: "application/json" },
        signal: asking.signal,
      });
      // Somebody who is signed out is sent to the log-in page, which is no answer to us.
      if (response.redirected) throw new Error("signed out", { cause: "signed_out" });
      if (!response.ok) throw new Error(String(response.status), { cause: "search_failed" });
      const findings = await response.json();
      // Another question may have been asked meanwhile.
      if (this.asking === asking) this.show(query, findings);
    } catch (error) {
      if (this.asking !== asking) return;
      const known = error instanceof Error && error.cause === "signed_out" ? "signed_out" : "search_failed";
      this.clear();
      this.say(say(known), true);
    } finally {
      if (this.asking === asking) {
        this.asking = null;
        clearTimeout(this.patience);
      }
    }
  }

  // ---------- showing ----------

  /** @param {string} text @param {boolean} [isBad] */
  say(text, isBad = false) {
    this.state.textContent = text;
    this.state.classList.toggle("bad", isBad);
  }

  clear() {
    this.shown = null;
    this.list.replaceChildren();
    this.choose(null);
  }

  /** @param {string} query @param {Findings} findings */
  show(query, findings) {
    this.shown = query;
    this.list.scrollTop = 0;
    this.list.replaceChildren(...findings.groups.map((group, at) => this.group(group, at)));
    if (query && findings.more) {
      this.list.append(this.option(`${this.url}?q=${encodeURIComponent(query)}`, "search-all", [say("search_all")]));
    }
    for (const [at, option] of this.options.entries()) option.id = `search-option-${at}`;
    const hits = findings.groups.reduce((sum, group) => sum + Math.max(1, group.hits.length), 0);
    const found = query ? say("search_found", findings.more ? `${hits}+` : hits) : say("recent");
    this.say(findings.state || (hits ? found : ""));
    this.choose(this.options[0] ?? null);
  }

  /** @param {Group} group @param {number} at */
  group(group, at) {
    const element = document.createElement("div");
    element.setAttribute("role", "group");
    const title = make("span", "search-title", marked(group.title));
    title.id = `search-title-${at}`;
    title.dir = "auto";
    element.setAttribute("aria-labelledby", title.id);
    const tag = group.is_archived ? [make("span", "tag", [say("archived")])] : [];
    element.append(this.option(group.url, "search-conversation", [title, ...tag, make("small", "", [group.day])]));
    for (const hit of group.hits) {
      const snippet = make("span", "search-snippet", marked(hit.snippet));
      snippet.dir = "auto";
      element.append(this.option(hit.url, "search-hit", [make("small", "", [`${hit.by} · ${hit.day}`]), snippet]));
    }
    return element;
  }

  /** @param {string} url @param {string} css @param {(Node | string)[]} children */
  option(url, css, children) {
    const link = /** @type {HTMLAnchorElement} */ (make("a", css, children));
    link.href = url;
    link.tabIndex = -1;
    link.setAttribute("role", "option");
    link.setAttribute("aria-selected", "false");
    return link;
  }

  // ---------- choosing ----------

  get options() {
    return /** @type {HTMLElement[]} */ ([...this.list.querySelectorAll("[role=option]")]);
  }

  get chosen() {
    return /** @type {HTMLAnchorElement | null} */ (this.list.querySelector("[aria-selected=true]"));
  }

  /** @param {HTMLElement | null} option @param {boolean} [scrolls] */
  choose(option, scrolls = true) {
    if (option && option === this.chosen) return;
    this.chosen?.setAttribute("aria-selected", "false");
    option?.setAttribute("aria-selected", "true");
    this.field.setAttribute("aria-expanded", String(this.list.childElementCount > 0));
    if (option) this.field.setAttribute("aria-activedescendant", option.id);
    else this.field.removeAttribute("aria-activedescendant");
    if (scrolls) option?.scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    // Keys that choose a syllable are the input method's.
    if (event.isComposing || event.keyCode === 229) return;
    const options = this.options;
    const at = options.indexOf(/** @type {HTMLElement} */ (this.chosen));
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: Math.min(at + 5, options.length - 1), PageUp: Math.max(at - 5, 0) };
    if (event.key in steps && options.length) {
      event.preventDefault();
      this.choose(options[(steps[event.key] + options.length) % options.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (this.chosen && this.shown === this.field.value.trim()) this.follow(this.chosen, event.ctrlKey || event.metaKey);
      else this.ask();
    }
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    if (!(event.target instanceof Element)) return;
    // Beside the dialog: its backdrop counts as the dialog itself.
    if (event.target === this.dialog || event.target.closest("[data-search-close]")) return this.dialog.close();
    const link = /** @type {HTMLAnchorElement | null} */ (event.target.closest("a[role=option]"));
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.follow(link, false);
  }

  /** @param {HTMLAnchorElement} link @param {boolean} isNewTab */
  follow(link, isNewTab) {
    if (isNewTab) return void window.open(link.href, "_blank", "noopener");
    this.dialog.close();
    const url = new URL(link.href);
    // A message that is on this page already needs no other page.
    if (url.pathname === location.pathname && url.hash && document.querySelector(url.hash)) jump(url.hash);
    else location.assign(url);
  }
}

/** @param {string} name @param {string} css @param {(Node | string)[]} children */
function make(name, css, children) {
  const element = document.createElement(name);
  if (css) element.className = css;
  element.append(...children);
  return element;
}

/** @param {Part[]} parts @returns {(Node | string)[]} */
function marked(parts) {
  return parts.map((part) => (part.is_match ? make("mark", "", [part.text]) : part.text));
}

/**
 * Scroll to a message, give it the focus, and let it stand out for a moment.
 * @param {string} hash
 */
function jump(hash) {
  const article = /** @type {HTMLElement | null} */ (document.querySelector(hash));
  const scroller = article?.closest(".log");
  if (!article || !scroller) return;
  const isTall = article.offsetHeight > scroller.clientHeight * 0.8;
  article.scrollIntoView({ block: isTall ? "start" : "center" });
  article.tabIndex = -1;
  article.focus({ preventScroll: true });
  article.classList.add("found");
  setTimeout(() => article.classList.remove("found"), SHOWN);
}

/** Go to the message that the address names. */
export function arrive() {
  const pk = new URLSearchParams(location.search).get("message") ?? "";
  if (!/^\d+$/.test(pk)) return;
  // Once what is above it has its height.
  requestAnimationFrame(() => requestAnimationFrame(() => jump(`#message-${pk}`)));
}

/** @type {Search | undefined} */
let search;

/** Show the dialog. */
export function open() {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("search-dialog"));
  if (!dialog) return;
  search ??= new Search(dialog);
  search.open();
}
