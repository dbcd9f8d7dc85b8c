// A sentence that says what is wrong, with what can be done about it.
import { icon } from "chat/page";

/** @typedef {{label: string, run?: () => void, href?: string}} Remedy  a button, or a link that opens in another tab */

/**
 * @param {"bad" | "info"} kind
 * @param {string} symbol
 * @param {string} words
 * @param {Remedy} [remedy]
 */
export function noticeOf(kind, symbol, words, remedy) {
  const notice = document.createElement("p");
  const text = document.createElement("span");
  notice.className = `notice ${kind}`;
  text.textContent = words;
  notice.append(icon(symbol), text, ...(remedy ? [controlOf(remedy)] : []));
  return notice;
}

/** @param {Remedy} remedy */
function controlOf({ label, run, href }) {
  const control = document.createElement(href ? "a" : "button");
  control.className = "remedy";
  control.textContent = label;
  if (control instanceof HTMLAnchorElement) {
    // In another tab: this one has the text.
    Object.assign(control, { href, target: "_blank", rel: "noopener" });
  } else {
    control.setAttribute("type", "button");
    control.addEventListener("click", () => run?.());
  }
  return control;
}
