// A line that says what was done, with the way back. It waits while somebody points at it or has the focus in it.
import { icon, post, say } from "chat/page";

/** Milliseconds that it can be undone from here; the list of what was deleted has it for longer. */
const SHOWN = 10_000;

/** @typedef {{text: string, action?: string, conversations?: string[], back?: string}} Offer
 *  `action` undoes it for these conversations, `back` is the page to open then */

/**
 * @param {Offer} offer
 * @param {boolean} [takesFocus]  where the keyboard was used, and what had the focus is gone
 */
export function toast(offer, takesFocus = false) {
  const region = /** @type {HTMLElement} */ (document.querySelector("[data-toasts]"));
  const line = document.createElement("div");
  line.className = "toast";
  line.append(Object.assign(document.createElement("span"), { textContent: offer.text }));
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const close = () => {
    clearTimeout(timer);
    if (line.contains(document.activeElement)) (before?.isConnected ? before : fallback())?.focus();
    line.remove();
  };
  let timer = setTimeout(close, SHOWN);
  const wait = () => clearTimeout(timer);
  const goOn = () => {
    clearTimeout(timer);
    if (!line.matches(":hover, :focus-within")) timer = setTimeout(close, SHOWN);
  };
  for (const name of ["pointerenter", "focusin"]) line.addEventListener(name, wait);
  for (const name of ["pointerleave", "focusout"]) line.addEventListener(name, () => setTimeout(goOn));
  line.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  const button = addButton(line, say("undo"), icon("undo", "i-sm"), async () => {
    button.disabled = true;
    const answer = await change(offer.action ?? "", offer.conversations ?? []);
    close();
    if (!answer.ok) return complain(answer.reason);
    if (offer.back) location.assign(offer.back);
    else toast({ text: say("restored") });
  });
  button.hidden = !offer.action;
  const cross = addButton(line, "", icon("close", "i-sm"), close);
  cross.setAttribute("aria-label", say("close"));
  region.replaceChildren(line);
  if (takesFocus && offer.action) button.focus();
}

/** @param {string} reason */
export function complain(reason) {
  toast({ text: reason });
  document.querySelector(".toast")?.classList.add("bad");
}

/**
 * Keep an offer for the page that comes next.
 * @param {Offer} offer
 */
export function storeOffer(offer) {
  sessionStorage.setItem("undo", JSON.stringify({ ...offer, until: Date.now() + SHOWN }));
}

export function offerStored() {
  const stored = JSON.parse(sessionStorage.getItem("undo") ?? "null");
  sessionStorage.removeItem("undo");
  if (stored && Date.now() < stored.until) toast(stored);
}

/**
 * Have something done to conversations.
 * @param {string} action
 * @param {string[]} conversations
 * @param {FormData} [data]  what else is sent
 */
export function change(action, conversations, data) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("change-form"));
  const sent = data ?? new FormData(form);
  sent.set("action", action);
  sent.set("conversation", conversations.join(","));
  return post(form.action, sent);
}

/** @param {HTMLElement} line @param {string} label @param {Element} symbol @param {() => void} act */
function addButton(line, label, symbol, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(symbol, label);
  button.addEventListener("click", act);
  line.append(button);
  return button;
}

/** @returns {HTMLElement | null} */
function fallback() {
  return document.querySelector(".row a[data-title]") ?? document.querySelector("#content");
}
