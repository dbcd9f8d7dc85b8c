// A question that is asked in other words: its text becomes a field, in its place.
import { announce, icon, post, say, uuid } from "chat/page";
import { addChoices } from "chat/parameters";

/** The text that was typed into the field of a question, also after a reload. @param {number} id */
const draftName = (id) => `draft:edit:${id}`;

class Editor {
  /** @param {HTMLElement} article  the turn of a question @param {HTMLAnchorElement} pencil */
  constructor(article, pencil) {
    const template = /** @type {HTMLTemplateElement} */ (document.querySelector("[data-edit-form]"));
    this.article = article;
    this.pencil = pencil;
    this.id = Number(article.dataset.message);
    this.log = /** @type {import("./conversation.js").ChatLog} */ (article.closest("chat-log"));
    this.form = /** @type {HTMLFormElement} */ (template.content.firstElementChild?.cloneNode(true));
    this.field = /** @type {HTMLTextAreaElement} */ (this.form.querySelector("textarea"));
    this.error = /** @type {HTMLElement} */ (this.form.querySelector("[data-error]"));
    this.isSaving = false;
    this.key = "";
    /** The text that the key belongs to; another text gets another key. */
    this.tried = /** @type {string | null} */ (null);

    const bubble = /** @type {HTMLElement} */ (article.querySelector(".bubble"));
    this.field.value = sessionStorage.getItem(draftName(this.id)) ?? bubble.textContent ?? "";
    this.field.lang = bubble.lang;
    this.form.action = pencil.href;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.form.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("input", () => this.onInput());
    /** @type {HTMLElement} */ (this.form.querySelector("[data-cancel]")).addEventListener("click", () => this.close());

    bubble.after(this.form);
    article.classList.add("editing");
    this.grow();
    this.field.focus();
    this.field.setSelectionRange(this.field.value.length, this.field.value.length);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    // Half a Korean or Japanese character is being typed; Safari says so only by the key code.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
    else return;
    // Escape outside of here cancels the answer.
    event.preventDefault();
  }

  onInput() {
    sessionStorage.setItem(draftName(this.id), this.field.value);
    this.grow();
  }

  /** Where CSS cannot make the field as high as its text. */
  grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  close() {
    sessionStorage.removeItem(draftName(this.id));
    this.form.remove();
    this.article.classList.remove("editing");
    this.pencil.focus();
  }

  async save() {
    const text = this.field.value;
    if (this.isSaving || !this.form.reportValidity()) return;
    if (this.tried !== text) this.key = uuid();
    this.tried = text;
    const data = new FormData(this.form);
    data.set("key", this.key);
    addChoices(data);
    this.setSaving(true);
    const { articles } = this.log;
    const before = articles[articles.indexOf(this.article) - 1];
    const answer = await post(this.form.action, data);
    this.setSaving(false);
    if (answer.ok) this.saved(answer.data, before ? Number(before.dataset.message) : null);
    else this.showError(answer.status === 0 ? say("not_sent") : answer.reason);
  }

  /** @param {boolean} isSaving */
  setSaving(isSaving) {
    this.isSaving = isSaving;
    this.error.replaceChildren();
    for (const button of this.form.querySelectorAll("button")) button.disabled = isSaving;
  }

  /** @param {{url: string, html: string}} data @param {number | null} before  the message before the question */
  saved(data, before) {
    sessionStorage.removeItem(draftName(this.id));
    if (!this.log.isAtNewest) return location.assign(data.url);
    this.log.append(data.html, before);
    if (matchMedia("(pointer: fine)").matches) document.getElementById("content")?.focus({ preventScroll: true });
  }

  /** @param {string} reason */
  showError(reason) {
    const notice = document.createElement("p");
    notice.className = "notice bad";
    notice.append(icon("alert"), reason);
    this.error.append(notice);
    this.field.focus();
  }
}

document.addEventListener("click", (event) => {
  const pencil = event.target instanceof Element ? event.target.closest("[data-edit]") : null;
  const article = pencil?.closest("article");
  if (!article || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  new Editor(article, /** @type {HTMLAnchorElement} */ (pencil));
});
