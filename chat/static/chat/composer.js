// <chat-composer>: the message field. Sends without leaving the page; what was typed is never lost.
import { loadMarkdown } from "chat/answer";
import { Draft } from "chat/drafts";
import { noticeOf } from "chat/notice";
import { announce, post, say, uuid } from "chat/page";
import { renewToken } from "chat/token";

/** The share of the greatest length from which on the characters are counted. */
const NEAR_THE_END = 0.9;

export class ChatComposer extends HTMLElement {
  connectedCallback() {
    this.form = /** @type {HTMLFormElement} */ (this.querySelector("form"));
    this.field = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
    this.button = /** @type {HTMLButtonElement} */ (this.querySelector(".send"));
    this.errors = /** @type {HTMLElement} */ (this.querySelector("[data-errors]"));
    this.log = /** @type {import("./conversation.js").ChatLog | null} */ (document.querySelector("chat-log"));
    this.panel = /** @type {import("./parameters.js").ChatParameters | null} */ (this.querySelector("chat-parameters"));
    this.draft = new Draft(this.dataset.person ?? "", this.dataset.draft ?? "new");
    this.most = Number(this.dataset.most) || Infinity;
    this.isSending = false;
    /** What the notice above the field is about. */
    this.told = "";
    /** The text that the key belongs to; another text gets another key. */
    this.tried = /** @type {string | null} */ (null);
    // We say ourselves what is wrong: a closed panel cannot show the browser's words.
    this.form.noValidate = true;
    this.listen();
    this.bringDraft();
    this.showState();
    this.showOffline();
    if (matchMedia("(pointer: fine)").matches && !location.hash) this.field.focus({ preventScroll: true });
  }

  listen() {
    this.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.log?.running) this.log.cancel();
      else this.send();
    });
    this.field?.addEventListener("keydown", (event) => this.onKey(event));
    this.field?.addEventListener("input", () => this.onInput());
    this.field?.addEventListener("focus", () => loadMarkdown(), { once: true });
    document.addEventListener("chat:running", () => this.showState());
    document.addEventListener("chat:error", (event) => this.tell("error", /** @type {CustomEvent} */ (event).detail));
    document.addEventListener("chat:assistant", (event) => this.showAssistant(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("chat:deleted", (event) => this.rescue(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("submit", (event) => this.onStarter(/** @type {SubmitEvent} */ (event)));
    document.addEventListener("keydown", (event) => this.onPageKey(event));
    addEventListener("pagehide", () => this.keep());
    document.addEventListener("visibilitychange", () => this.keep());
    for (const name of ["online", "offline"]) addEventListener(name, () => this.showOffline());
  }

  // ---------- what is typed ----------

  /** Show the draft of an earlier visit; text that the server sent back with an error goes before it. */
  bringDraft() {
    if (this.field.value) this.draft.save(this.field.value);
    else this.field.value = this.draft.text;
    this.draft.follow((text) => {
      this.field.value = text;
      this.measure();
    });
    this.measure();
  }

  onInput() {
    // At once: what another tab types must not replace it before it is stored.
    this.draft.isTyped = this.field.value !== "";
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.keep(), 200);
    this.measure();
  }

  /** Store what was typed since it was stored last. */
  keep() {
    if (this.pause === undefined) return;
    clearTimeout(this.pause);
    this.pause = undefined;
    this.draft.save(this.field.value);
  }

  /** @param {string} text */
  replace(text) {
    clearTimeout(this.pause);
    this.pause = undefined;
    this.field.value = text;
    this.draft.save(text);
    this.measure();
  }

  /** Where CSS cannot make the field as high as its text; and count what is nearly too long. */
  measure() {
    if (!CSS.supports("field-sizing", "content")) {
      this.field.style.height = "auto";
      this.field.style.height = `${this.field.scrollHeight}px`;
    }
    const counter = /** @type {HTMLElement} */ (this.querySelector("[data-counter]"));
    const length = lengthOf(this.field.value, NEAR_THE_END * this.most);
    counter.hidden = length < NEAR_THE_END * this.most;
    counter.textContent = counter.hidden ? "" : `${length.toLocaleString("en")} / ${this.most.toLocaleString("en")}`;
    const isTooLong = length > this.most;
    this.field.setAttribute("aria-invalid", String(isTooLong));
    if (isTooLong && this.told !== "too_long") this.tell("too_long", say("message_too_long", this.most.toLocaleString("en")));
    if (!isTooLong && this.told === "too_long") this.tell("", null);
  }

  /** What was typed in a conversation that is deleted goes on as a new one. @param {{conversation: string}} deleted */
  rescue({ conversation }) {
    if (conversation === this.dataset.draft) this.moveTo("new");
  }

  /** Make what is typed the draft of another place, unless there is one. @param {string} place */
  moveTo(place) {
    const text = this.field.value;
    this.replace("");
    const there = new Draft(this.dataset.person ?? "", place);
    if (text.trim() && !there.text) there.save(text);
  }

  // ---------- keys ----------

  /** @param {KeyboardEvent} event */
  onKey(event) {
    // Half a Korean or Japanese character is being typed; Safari says so only by the key code.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.shiftKey || event.altKey) return;
    if (event.key === "ArrowUp" && !this.field.value && !event.ctrlKey && !event.metaKey) this.editLast(event);
    if (event.key !== "Enter") return;
    // On a phone, and for whom it suits, Enter begins a new line; with Ctrl it always sends.
    const begins = document.documentElement.dataset.enter === "newline" || matchMedia("(pointer: coarse)").matches;
    if (begins && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (this.log?.running) this.tell("busy", say("busy"), "info");
    else this.send();
  }

  /** @param {KeyboardEvent} event */
  editLast(event) {
    const pencils = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".turn-user [data-edit]"));
    if (!pencils.length || this.log?.running) return;
    event.preventDefault();
    pencils[pencils.length - 1].click();
  }

  /** Escape cancels the answer, where it closes nothing. @param {KeyboardEvent} event */
  onPageKey(event) {
    if (event.key !== "Escape" || event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
    if (document.querySelector("dialog[open], details.pop[open], .side-open, :popover-open")) return;
    this.log?.cancel();
  }

  // ---------- sending ----------

  /** A question that the empty page suggests is sent as it is; what is in the field stays. @param {SubmitEvent} event */
  onStarter(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches("[data-starters]") || !event.submitter) return;
    event.preventDefault();
    this.send(/** @type {HTMLButtonElement} */ (event.submitter).value);
  }

  /** @param {string} [text] */
  async send(text = this.field.value) {
    if (this.isSending || this.field.disabled) return;
    if (!text.trim()) return this.field.focus();
    if (lengthOf(text, this.most) > this.most) {
      this.tell("too_long", say("message_too_long", this.most.toLocaleString("en")));
      return;
    }
    if (this.panel?.showWrong()) return;
    this.isSending = true;
    this.tell("", null);
    this.showState();
    const answer = await this.post(text);
    this.isSending = false;
    if (answer.ok) this.sent(answer.data, text);
    else this.failed(answer, text);
    this.showState();
  }

  /** @param {string} text @returns {Promise<import("./page.js").Answer>} */
  async post(text) {
    const key = /** @type {HTMLInputElement} */ (this.form.elements.namedItem("key"));
    if (this.tried !== text) key.value = uuid();
    this.tried = text;
    const data = () => {
      const form = new FormData(this.form);
      form.set("content", text);
      return form;
    };
    const answer = await post(this.form.action, data());
    // Signed in again, maybe in another tab: then this page's token is an old one.
    if (answer.status !== 403) return answer;
    const trouble = await renewToken(this.dataset.home ?? "/", this.dataset.person ?? "");
    return trouble ? { ...answer, ...trouble } : post(this.form.action, data());
  }

  /** @param {{url: string, html: string}} data @param {string} text */
  sent(data, text) {
    this.tried = null;
    this.dispatchEvent(new CustomEvent("chat:sent", { bubbles: true }));
    // What was typed while the message was on its way, or before a starter was chosen, is the next draft.
    if (this.field.value === text) this.replace("");
    if (this.log?.isAtNewest && !this.log.isOver) return this.log.append(data.html);
    const place = /\/c\/([0-9a-f-]+)\//.exec(data.url)?.[1];
    if (place && this.dataset.draft === "new" && this.field.value) this.moveTo(place);
    this.isSending = true;
    location.assign(data.url);
  }

  /** @param {import("./page.js").Answer} answer @param {string} text */
  failed({ status, reason, data }, text) {
    const again = { label: say("send_again"), run: () => this.send(this.field.value.trim() ? undefined : text) };
    // A starter that failed is a draft as well.
    if (!this.field.value) this.replace(text);
    if (status === 0) return this.tell("error", say(navigator.onLine ? "not_sent" : "offline_not_sent"), "bad", again);
    if (status === 401) {
      const here = `${this.dataset.login}?next=${encodeURIComponent(this.dataset.home ?? "/")}`;
      return this.tell("error", say("signed_out_kept"), "bad", { label: say("sign_in_again"), href: here });
    }
    if (status === 404) {
      const start = { label: say("start_with_it"), run: () => this.startAnew() };
      return this.tell("error", say("gone_kept"), "bad", start);
    }
    this.tell("error", reason, "bad", status === 429 || status >= 500 ? again : undefined);
    this.panel?.showWrong(Object.keys(data?.errors ?? {}));
  }

  startAnew() {
    this.moveTo("new");
    location.assign(this.dataset.home ?? "/");
  }

  // ---------- what is shown ----------

  showState() {
    const isRunning = Boolean(this.log?.running);
    const state = isRunning ? "cancel" : "send";
    this.button.dataset.state = state;
    this.button.setAttribute("aria-label", say(state));
    this.button.disabled = this.field.disabled || this.isSending;
    if (!isRunning && this.told === "busy") this.tell("", null);
  }

  showOffline() {
    const line = /** @type {HTMLElement} */ (this.querySelector("[data-offline]"));
    line.replaceChildren(...(navigator.onLine ? [] : [noticeOf("info", "cloud-off", say("offline"))]));
  }

  /**
   * Show a notice above the field, in place of the one before.
   * @param {string} about
   * @param {string | null} words
   * @param {"bad" | "info"} [kind]
   * @param {import("./notice.js").Remedy} [remedy]
   */
  tell(about, words, kind = "bad", remedy) {
    this.told = about;
    this.errors.replaceChildren();
    if (words === null) return;
    this.errors.append(noticeOf(kind, kind === "bad" ? "alert" : "info", words, remedy));
    if (kind === "info") announce(words);
  }

  /** @param {{name: string, ask: string, away: boolean}} assistant */
  showAssistant({ name, ask, away }) {
    this.field.placeholder = ask;
    /** @type {HTMLElement} */ (this.querySelector("[data-to-name]")).textContent = name;
    /** @type {HTMLElement} */ (this.querySelector("[data-to-away]")).hidden = !away;
  }
}

/**
 * The length as the server counts it: code points, plain newlines, no blanks around. Counted only where it matters.
 * @param {string} text @param {number} least  below which the number need not be right
 */
function lengthOf(text, least) {
  if (text.length < least) return text.length;
  let length = 0;
  for (const _ of text.normalize("NFC").replace(/\r\n?/g, "\n").trim()) length += 1;
  return length;
}

customElements.define("chat-composer", ChatComposer);
