// The dialog that shows what belongs to one message: its details, whether to delete it, who else can answer.
import { say } from "chat/page";

const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("message-dialog"));

/**
 * Fetch what a page of one message shows without a script.
 * @param {string} url
 * @returns {Promise<{heading: string, html: string} | null>}
 */
export async function fetchPart(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    return response.ok && !response.redirected ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * The elements in HTML that our own server made.
 * @param {string} html
 * @returns {Node[]}
 */
export function nodesOf(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return Array.from(parsed.body.childNodes, (node) => document.adoptNode(node));
}

/**
 * Show the part of the page at this address.
 * @param {HTMLElement} origin  who is told that it did not come
 * @param {string} url
 * @param {string} [reason]  why the reader is asked
 */
export async function openPanel(origin, url, reason = "") {
  const part = await fetchPart(url);
  if (!part || !dialog) {
    origin.dispatchEvent(new CustomEvent("chat:error", { bubbles: true, detail: say("not_done") }));
    return;
  }
  const place = /** @type {HTMLElement} */ (dialog.querySelector("[data-part]"));
  /** @type {HTMLElement} */ (dialog.querySelector("[data-heading]")).textContent = part.heading;
  place.replaceChildren(...(reason ? [noticeOf(reason)] : []), ...nodesOf(part.html));
  for (const time of place.querySelectorAll("time[data-local]")) tellLocally(/** @type {HTMLTimeElement} */ (time));
  dialog.showModal();
}

export function closePanel() {
  dialog?.close();
}

/** @param {string} reason */
function noticeOf(reason) {
  const line = document.createElement("p");
  line.textContent = reason;
  return line;
}

/** The server tells times of its own zone, which need not be the reader's. @param {HTMLTimeElement} time */
function tellLocally(time) {
  const moment = new Date(time.dateTime);
  const language = document.documentElement.lang || undefined;
  time.textContent = moment.toLocaleString(language, { dateStyle: "medium", timeStyle: "medium" });
}

// Beside the dialog is outside of it.
dialog?.addEventListener("click", (event) => {
  if (event.target !== dialog) return;
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  if (event.clientX < left || event.clientX > right || event.clientY < top || event.clientY > bottom) dialog.close();
});
