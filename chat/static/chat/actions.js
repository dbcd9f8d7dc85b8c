// What one can do with a message: copy, fork, delete, look at closely; and the menu of the rarer ones.
import { announce, copy, post, say } from "chat/page";
import { closePanel, openPanel } from "chat/panel";

/** @param {Element} element @returns {HTMLElement} */
const turnOf = (element) => /** @type {HTMLElement} */ (element.closest(".turn"));

/** @param {Element} element */
const logOf = (element) => /** @type {import("./conversation.js").ChatLog} */ (element.closest("chat-log"));

/** @param {Element} element */
function closeMenu(element) {
  const menu = element.closest("details.tools-menu");
  menu?.removeAttribute("open");
  /** @type {HTMLElement | null | undefined} */ (menu?.querySelector("summary"))?.focus({ preventScroll: true });
}

// ---------- copying ----------

/** The text of an answer as one reads it. @param {HTMLElement} prose */
function plainOf(prose) {
  // What is not shown is not in innerText: the buttons of code blocks are no part of the answer.
  prose.classList.add("copying");
  const text = prose.innerText.trim();
  prose.classList.remove("copying");
  return text;
}

/** @param {HTMLElement} prose */
function htmlOf(prose) {
  const whole = /** @type {HTMLElement} */ (prose.cloneNode(true));
  for (const extra of whole.querySelectorAll("button, .code > header")) extra.remove();
  return whole.innerHTML;
}

/** The Markdown of an answer, or without a connection what one reads of it. @param {HTMLElement} article */
async function markdownOf(article) {
  const bubble = article.querySelector(".bubble");
  if (bubble) return bubble.textContent ?? "";
  const url = `${logOf(article).dataset.messages}${article.dataset.message}/`;
  const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
  const stored = response?.ok && !response.redirected ? await response.json().catch(() => null) : null;
  return /** @type {string} */ (stored?.text ?? plainOf(/** @type {HTMLElement} */ (article.querySelector("[data-prose]"))));
}

/**
 * Put a text, and what a word processor makes of it, on the clipboard.
 * @param {Promise<string>} text
 * @param {string} html
 */
async function copyRich(text, html) {
  try {
    // The promise goes in as it is: some browsers forget the click while they wait for it.
    const plain = text.then((whole) => new Blob([whole], { type: "text/plain" }));
    const rich = new Blob([html], { type: "text/html" });
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain, "text/html": rich })]);
    return true;
  } catch {
    return copy(await text);
  }
}

/** @param {HTMLElement} button */
async function copyMessage(button) {
  const article = turnOf(button);
  const prose = /** @type {HTMLElement | null} */ (article.querySelector("[data-prose]"));
  closeMenu(button);
  let done;
  if (button.dataset.copy === "plain" && prose) done = await copy(plainOf(prose));
  else if (button.dataset.copy === "rich" && prose) done = await copyRich(markdownOf(article), htmlOf(prose));
  else done = await copy(await markdownOf(article));
  if (!done) return;
  const sign = article.querySelector(".icon-btn[data-copy]");
  sign?.classList.add("done");
  announce(say("copied"));
  setTimeout(() => sign?.classList.remove("done"), 1600);
}

// ---------- forking and deleting ----------

/** @param {HTMLFormElement} form */
async function fork(form) {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = true;
  const answer = await post(form.action, new FormData(form));
  button.disabled = false;
  closeMenu(form);
  if (answer.ok) location.assign(answer.data.url);
  else logOf(form).dispatch("chat:error", answer.reason);
}

/** @param {HTMLFormElement} form  in the dialog */
async function remove(form) {
  const error = /** @type {HTMLElement} */ (form.querySelector("[data-error]"));
  const answer = await post(form.action, new FormData(form));
  // Somebody else was quicker.
  if (!answer.ok && answer.status !== 404) {
    error.textContent = answer.reason;
    return;
  }
  closePanel();
  const log = /** @type {import("./conversation.js").ChatLog} */ (document.querySelector("chat-log"));
  await log.miss();
  if (document.activeElement === document.body) log.scroller.focus({ preventScroll: true });
  announce(say("message_deleted"));
}

// ---------- who asks for what ----------

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const button = event.target.closest("[data-copy]");
  const link = /** @type {HTMLAnchorElement | null} */ (event.target.closest("a[data-panel]"));
  if (button) copyMessage(/** @type {HTMLElement} */ (button));
  if (!link) return;
  event.preventDefault();
  closeMenu(link);
  openPanel(link, link.href);
});

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.matches("[data-fork], [data-delete]")) return;
  event.preventDefault();
  if (form.matches("[data-fork]")) fork(form);
  else remove(form);
});

// A menu opens to where there is room; one that was open closes.
document.addEventListener("toggle", (event) => {
  const menu = /** @type {HTMLDetailsElement} */ (event.target);
  if (!menu.matches("details.tools-menu") || !menu.open) return;
  for (const other of document.querySelectorAll("details.tools-menu[open]")) if (other !== menu) other.removeAttribute("open");
  const list = /** @type {HTMLElement} */ (menu.querySelector(".menu"));
  menu.classList.remove("up");
  list.style.translate = "";
  const box = list.getBoundingClientRect();
  const room = /** @type {HTMLElement} */ (menu.closest(".log")).getBoundingClientRect();
  const { top } = menu.getBoundingClientRect();
  menu.classList.toggle("up", box.bottom > room.bottom - 8 && top - box.height > room.top);
  const isBeyond = box.right > room.right - 8;
  const shift = isBeyond ? room.right - 8 - box.right : Math.max(0, room.left + 8 - box.left);
  list.style.translate = `${shift}px`;
}, { capture: true });
