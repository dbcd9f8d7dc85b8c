// Shared links: the dialog on the chat page, and the copy buttons on the pages of links.
import { announce, copy, icon, post, say } from "chat/page";

/** @type {HTMLDialogElement | undefined} */
let dialog;

/**
 * Show the links of a conversation over the page that one is on.
 * @param {HTMLAnchorElement} link  to the page that does the same without a script
 */
export async function openShare(link) {
  const html = await fragmentOf(link.href);
  if (html === null) return location.assign(link.href);
  dialog ??= makeDialog();
  fill(dialog, html);
  dialog.showModal();
  /** @type {HTMLElement | null} */ (dialog.querySelector("select, button"))?.focus();
}

/**
 * Give the links below an element their copy buttons.
 * @param {ParentNode} root
 */
export function enliven(root) {
  for (const button of root.querySelectorAll("[data-copy-link]")) /** @type {HTMLElement} */ (button).hidden = false;
  for (const field of root.querySelectorAll("input.address")) {
    field.addEventListener("focus", () => /** @type {HTMLInputElement} */ (field).select());
  }
}

/** @param {string} url @returns {Promise<string | null>} */
async function fragmentOf(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    return response.ok && !response.redirected ? (await response.json()).html : null;
  } catch {
    return null;
  }
}

function makeDialog() {
  const made = document.createElement("dialog");
  const close = document.createElement("button");
  const body = document.createElement("div");
  made.className = "dialog share-dialog";
  made.setAttribute("aria-labelledby", "share-heading");
  close.className = "icon-btn";
  close.type = "button";
  close.setAttribute("aria-label", say("close"));
  close.append(icon("close"));
  close.addEventListener("click", () => made.close());
  body.className = "share";
  made.append(body, close);
  made.addEventListener("submit", onSubmit);
  // A click beside it, as on any dialog that asks nothing.
  made.addEventListener("click", (event) => event.target === made && isBeside(made, event) && made.close());
  document.body.append(made);
  return made;
}

/** @param {HTMLElement} element @param {MouseEvent} event */
function isBeside(element, event) {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom;
}

/** @param {HTMLDialogElement} shown @param {string} html  of our own server: templates/chat/_share.html */
function fill(shown, html) {
  const body = /** @type {HTMLElement} */ (shown.querySelector(".share"));
  body.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  enliven(body);
}

/** @param {SubmitEvent} event */
async function onSubmit(event) {
  event.preventDefault();
  const shown = /** @type {HTMLDialogElement} */ (event.currentTarget);
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  if (button.disabled) return;
  button.disabled = true;
  const answer = await post(form.action, new FormData(form));
  button.disabled = false;
  if (!answer.data?.html) {
    /** @type {HTMLElement} */ (shown.querySelector("[data-share-errors]")).textContent = answer.reason;
    return;
  }
  fill(shown, answer.data.html);
  const made = /** @type {HTMLInputElement | null} */ (shown.querySelector("input[data-made]"));
  if (made) made.focus();
  else /** @type {HTMLElement | null} */ (shown.querySelector("#share-heading"))?.focus();
}

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy-link]") : null;
  const field = /** @type {HTMLInputElement | null | undefined} */ (button?.parentElement?.querySelector("input"));
  const label = button?.querySelector("span");
  if (!field || !label) return;
  // A dialog keeps the focus from what is outside of it: where there is no clipboard, the field itself is copied.
  field.focus();
  field.select();
  if (!(await copy(field.value)) && !document.execCommand("copy")) return;
  label.textContent = say("copied");
  announce(say("copied"));
  setTimeout(() => (label.textContent = say("copy")), 1600);
});
