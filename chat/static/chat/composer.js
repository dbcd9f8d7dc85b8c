// <chat-composer>: the message field. Sends without leaving the page; what was typed is never lost.
import { loadMarkdown } from "chat/answer";
import { announce, icon, post, say, uuid } from "chat/page";

export class ChatComposer extends HTMLElement {
  connectedCallback() {
    this.form = /** @type {HTMLFormElement} */ (this.querySelector("form"));
    this.field = /** @type {HTMLTextAreaElement} */ (this.querySelector("textarea"));
    this.button = /** @type {HTMLButtonElement} */ (this.querySelector(".send"));
    this.errors = /** @type {HTMLElement} */ (this.querySelector("[data-errors]"));
    this.log = /** @type {import("./conversation.js").ChatLog | null} */ (document.querySelector("chat-log"));
    this.draftName = `draft:${this.dataset.draft}`;
    this.isSending = false;
    /** The text that the key belongs to; another text gets another key. */
    this.tried = /** @type {string | null} */ (null);

    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.log?.running) this.log.cancel();
      else this.send();
    });
    this.button.addEventListener("click", (event) => {
      // The field is empty while an answer is written, and an empty field would keep the form from being submitted.
      if (!this.log?.running) return;
      event.preventDefault();
      this.log.cancel();
    });
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("input", () => this.onInput());
    this.field.addEventListener("focus", () => loadMarkdown(), { once: true });
    document.addEventListener("chat:running", () => this.showState());
    document.addEventListener("chat:error", (event) => this.showError(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("chat:assistant", (event) => this.showAssistant(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("submit", (event) => this.onStarter(/** @type {SubmitEvent} */ (event)));
    document.addEventListener("keydown", (event) => {
      const isElsewhere = event.defaultPrevented || document.querySelector("dialog[open], details.pop[open], .side-open, :popover-open");
      if (event.key === "Escape" && !event.isComposing && !isElsewhere) this.log?.cancel();
    });

    // A draft of an earlier visit; text that the server sent back with an error goes before it.
    if (!this.field.value) this.field.value = sessionStorage.getItem(this.draftName) ?? "";
    this.grow();
    this.showState();
    if (matchMedia("(pointer: fine)").matches && !location.hash) this.field.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    // Half a Korean or Japanese character is being typed; Safari says so only by the key code.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key !== "Enter" || event.shiftKey || event.altKey || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    if (this.log?.running) announce(say("busy"));
    else this.send();
  }

  onInput() {
    if (this.field.value) sessionStorage.setItem(this.draftName, this.field.value);
    else sessionStorage.removeItem(this.draftName);
    this.grow();
  }

  /** Where CSS cannot make the field as high as its text. */
  grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  /** A question that the empty page suggests is put into the field and sent from there. @param {SubmitEvent} event */
  onStarter(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches("[data-starters]") || !event.submitter) return;
    event.preventDefault();
    this.field.value = /** @type {HTMLButtonElement} */ (event.submitter).value;
    this.onInput();
    this.send();
  }

  async send() {
    const text = this.field.value;
    if (!text.trim() || this.isSending || this.field.disabled) return;
    this.isSending = true;
    this.showError(null);
    this.showState();
    const key = /** @type {HTMLInputElement} */ (this.form.elements.namedItem("key"));
    if (this.tried !== text) key.value = uuid();
    this.tried = text;
    const answer = await post(this.form.action, new FormData(this.form));
    this.isSending = false;
    if (answer.ok) this.sent(answer.data, text);
    else this.showError(answer.status === 0 ? say("not_sent") : answer.reason);
    this.showState();
  }

  /** @param {{url: string, html: string}} data @param {string} text */
  sent(data, text) {
    this.tried = null;
    // What was typed while the message was on its way is the next draft.
    this.field.value = this.field.value === text ? "" : this.field.value;
    this.onInput();
    if (this.log?.isAtNewest) this.log.append(data.html);
    else {
      this.isSending = true;
      location.assign(data.url);
    }
  }

  showState() {
    const state = this.log?.running ? "cancel" : "send";
    this.button.dataset.state = state;
    this.button.setAttribute("aria-label", say(state));
    this.button.disabled = this.field.disabled || this.isSending;
  }

  /** @param {string | null} reason */
  showError(reason) {
    this.errors.replaceChildren();
    if (reason === null) return;
    const notice = document.createElement("p");
    notice.className = "notice bad";
    notice.append(icon("alert"), reason);
    this.errors.append(notice);
  }

  /** @param {{name: string, ask: string, away: boolean}} assistant */
  showAssistant({ name, ask, away }) {
    this.field.placeholder = ask;
    /** @type {HTMLElement} */ (this.querySelector("[data-to-name]")).textContent = name;
    /** @type {HTMLElement} */ (this.querySelector("[data-to-away]")).hidden = !away;
  }
}

customElements.define("chat-composer", ChatComposer);
