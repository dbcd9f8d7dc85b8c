// Versions of a message: walking between them, and another answer to the same question.
import { announce, post } from "chat/page";
import { closePanel, openPanel } from "chat/panel";
import { addParameters } from "chat/parameters";

/** @typedef {import("./conversation.js").ChatLog} ChatLog */

const log = () => /** @type {ChatLog} */ (document.querySelector("chat-log"));

let isWalking = false;

/**
 * Show another version without leaving the page: the buttons stay under the pointer.
 * @param {HTMLFormElement} form  of the pager
 */
async function walk(form) {
  const chat = log();
  const article = /** @type {HTMLElement} */ (form.closest(".turn"));
  if (isWalking) return;
  isWalking = true;
  const hadFocus = form.contains(document.activeElement);
  const askedAt = chat.branch.now;
  const answer = await post(form.action, new FormData(form));
  isWalking = false;
  if (answer.status === 404) return chat.miss();
  if (!answer.ok) return chat.dispatch("chat:error", answer.reason);
  if (answer.data.url || !article.isConnected) return location.assign(answer.data.url ?? location.pathname);
  const { top } = form.getBoundingClientRect();
  const [first] = chat.turnTo(answer.data.html, chat.before(article), askedAt);
  const pager = chat.turn(first)?.querySelector("[data-pager]");
  if (!pager) return;
  chat.scrollBy(pager.getBoundingClientRect().top - top);
  const same = pager.querySelector(`[data-walk="${form.dataset.walk}"] button`) ?? pager.querySelector("[data-walk] button");
  if (hadFocus) /** @type {HTMLElement | null} */ (same)?.focus({ preventScroll: true });
  announce(pager.getAttribute("aria-label") ?? "");
}

/**
 * Ask for another answer, for the rest of one, or for one to a question that has none.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} article  of the answer, or of the question
 * @param {HTMLElement | null} [submitter]
 */
async function regenerate(form, article, submitter = null) {
  const chat = log();
  const after = article.dataset.role === "user" ? Number(article.dataset.message) : chat.before(article);
  const buttons = /** @type {HTMLButtonElement[]} */ ([...article.querySelectorAll("button"), ...form.querySelectorAll("button")]);
  const data = new FormData(form, submitter);
  addParameters(data);
  for (const button of buttons) button.disabled = true;
  const answer = await post(form.action, data);
  for (const button of buttons) button.disabled = false;
  closePanel();
  if (answer.status === 404) return chat.miss();
  // The assistant is not there any more; others may be.
  if (answer.status === 422 && !submitter?.hasAttribute("name")) return openPanel(article, form.action, answer.reason);
  if (!answer.ok) return chat.dispatch("chat:error", answer.reason);
  if (!chat.isAtNewest) return location.assign(answer.data.url);
  chat.append(answer.data.html, after);
}

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.matches("[data-walk]")) {
    // On an earlier part of the conversation the page is loaded anew.
    if (!log().isAtNewest) return;
    event.preventDefault();
    walk(form);
  } else if (form.matches("[data-regenerate], [data-again]")) {
    event.preventDefault();
    const article = form.closest(".turn") ?? log().turn(Number(form.dataset.message));
    if (article) regenerate(form, /** @type {HTMLElement} */ (article), event.submitter);
    else closePanel();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  const pager = event.target instanceof Element ? event.target.closest("[data-pager]") : null;
  if (!pager) return;
  event.preventDefault();
  const direction = event.key === "ArrowLeft" ? "previous" : "next";
  /** @type {HTMLFormElement | null} */ (pager.querySelector(`[data-walk="${direction}"]`))?.requestSubmit();
});
