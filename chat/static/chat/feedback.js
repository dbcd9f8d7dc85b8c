// Thumbs: stored at once; what was good or wrong can be said below the answer afterwards.
import { announce, post, say } from "chat/page";
import { fetchPart, nodesOf } from "chat/panel";

/** @param {HTMLElement} article @param {string | null} value */
function press(article, value) {
  for (const thumb of /** @type {NodeListOf<HTMLButtonElement>} */ (article.querySelectorAll("[data-feedback] [name=value]"))) {
    thumb.setAttribute("aria-pressed", String(thumb.value === value));
  }
}

/** @param {HTMLElement} article @returns {HTMLFormElement | null} */
const formOf = (article) => article.querySelector("[data-feedback-form]");

/** @param {HTMLElement} article @param {string} html */
function open(article, html) {
  formOf(article)?.remove();
  article.append(...nodesOf(html));
  article.dispatchEvent(new CustomEvent("chat:grown", { bubbles: true }));
}

/** @param {HTMLElement} article */
function close(article) {
  const form = formOf(article);
  if (!form) return;
  const hadFocus = form.contains(document.activeElement);
  form.remove();
  const pressed = /** @type {HTMLElement | null} */ (article.querySelector("[data-feedback] [aria-pressed=true]"));
  const thumb = pressed ?? /** @type {HTMLElement | null} */ (article.querySelector("[data-feedback] button"));
  if (hadFocus) thumb?.focus({ preventScroll: true });
}

/** @param {HTMLElement} article @param {string} reason */
const fail = (article, reason) => article.dispatchEvent(new CustomEvent("chat:error", { bubbles: true, detail: reason }));

/**
 * A thumb that is pressed opens what was said before, or closes it.
 * @param {HTMLElement} article
 * @param {HTMLFormElement} form
 */
async function reopen(article, form) {
  if (formOf(article)) return close(article);
  const part = await fetchPart(form.action);
  if (!part) return fail(article, say("not_done"));
  open(article, part.html);
  /** @type {HTMLElement | null} */ (formOf(article)?.querySelector("textarea"))?.focus();
}

/**
 * @param {HTMLElement} article
 * @param {HTMLFormElement} form
 * @param {HTMLButtonElement} thumb
 */
async function rate(article, form, thumb) {
  const before = article.querySelector("[data-feedback] [aria-pressed=true]")?.getAttribute("value") ?? null;
  press(article, thumb.value);
  const answer = await post(form.action, new FormData(form, thumb));
  if (!answer.ok) {
    press(article, before);
    return fail(article, answer.reason);
  }
  open(article, answer.data.html);
  announce(say("feedback_saved"));
}

/**
 * @param {HTMLElement} article
 * @param {HTMLFormElement} form
 * @param {HTMLButtonElement | null} button
 */
async function send(article, form, button) {
  const error = /** @type {HTMLElement} */ (form.querySelector("[data-error]"));
  const answer = await post(form.action, new FormData(form, button));
  if (!answer.ok) {
    error.textContent = answer.reason;
    return;
  }
  if (button?.name === "take_back") press(article, null);
  close(article);
  announce(say(button?.name === "take_back" ? "feedback_taken_back" : "feedback_sent"));
}

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const article = /** @type {HTMLElement | null} */ (form.closest(".turn"));
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (!article || !form.matches("[data-feedback], [data-feedback-form]")) return;
  event.preventDefault();
  if (form.matches("[data-feedback-form]")) send(article, form, button);
  else if (button?.getAttribute("aria-pressed") === "true") reopen(article, form);
  else if (button) rate(article, form, button);
});

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("[data-feedback-close]") : null;
  const article = link?.closest(".turn");
  if (!article) return;
  event.preventDefault();
  close(/** @type {HTMLElement} */ (article));
});

document.addEventListener("keydown", (event) => {
  const form = event.target instanceof Element ? event.target.closest("[data-feedback-form]") : null;
  const article = form?.closest(".turn");
  if (event.key !== "Escape" || event.isComposing || !article) return;
  // Escape outside of here cancels the answer that is being written.
  event.preventDefault();
  close(/** @type {HTMLElement} */ (article));
}, { capture: true });
