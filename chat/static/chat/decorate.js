// What answers get beyond the text: buttons on their code, and, when they come into view, colours and drawn maths. What
// does that is loaded when there is something for it.
import { announce, copy, icon, say } from "chat/page";

/** An answer that is being written. */
const BUSY = "[aria-busy=true]";
/** @type {typeof import("./maths.js") | undefined} once it is here */
let maths;
/** Elements that were looked at already. */
const seen = new WeakSet();

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    watcher.unobserve(target);
    if (target.matches(".math")) drawMaths(target);
    else import("chat/code").then(({ colour }) => colour(target)).catch(() => {});
  }
}, { root: document.querySelector(".log"), rootMargin: "400px 0px" });

/**
 * Give the blocks in an element their buttons, and let the keyboard scroll what is too wide. What is not being written
 * any more gets its colours, too.
 * @param {Element} root
 */
export function decorate(root) {
  for (const scroller of all(root, ".code > pre:not([tabindex]), .tbl:not([tabindex])")) scroller.setAttribute("tabindex", "0");
  for (const header of all(root, ".code > header:not(:has(button))")) header.append(...buttons());
  for (const link of all(root, "a.image:not([aria-description])")) {
    const words = say("image_from", /** @type {HTMLAnchorElement} */ (link).hostname);
    link.setAttribute("title", words);
    link.setAttribute("aria-description", words);
  }
  for (const node of all(root, ".math:not(.half, .drawn, .wrong)")) {
    // A formula that was just typed is drawn at once, so that its source does not flash.
    if (maths && root.closest(BUSY)) maths.draw(node);
    else watch(node);
  }
  if (!root.closest(BUSY)) enrich(root);
}

/**
 * Colour the code in an element that will not change any more, and offer to draw its diagrams.
 * @param {Element} root
 */
export function enrich(root) {
  const isWritten = root.closest(BUSY);
  const isDone = (/** @type {Element} */ code) => isWritten || !code.closest(BUSY);
  for (const code of all(root, ".code code[class^='language-']").filter(isDone)) watch(code);
  for (const code of all(root, ".code code.language-mermaid").filter(isDone)) {
    const header = code.closest(".code")?.querySelector(":scope > header:not(:has([data-draw]))");
    header?.querySelector("button")?.before(button("draw", "diagram", say("draw"), true));
  }
}

/** @param {Element} root @param {string} selector @returns {Element[]} the element itself included */
function all(root, selector) {
  return [...(root.matches(selector) ? [root] : []), ...root.querySelectorAll(selector)];
}

/** @param {Element} node */
function watch(node) {
  if (seen.has(node)) return;
  seen.add(node);
  watcher.observe(node);
}

/** @param {Element} node */
async function drawMaths(node) {
  try {
    const module = await import("chat/maths");
    await module.ready;
    maths = module;
    maths.draw(node);
  } catch {
    // Without npm's packages the formula stays as its source.
  }
}

/**
 * @param {string} action
 * @param {string} symbol
 * @param {string} label
 * @param {boolean} isSpelt  whether the label is shown
 */
function button(action, symbol, label, isSpelt) {
  const element = document.createElement("button");
  element.type = "button";
  element.setAttribute(`data-${action}`, "");
  element.append(icon(symbol));
  if (isSpelt) element.append(Object.assign(document.createElement("span"), { textContent: label }));
  else {
    element.title = label;
    element.setAttribute("aria-label", label);
  }
  return element;
}

function buttons() {
  const wrap = button("wrap-code", "wrap", say("wrap_code"), false);
  wrap.setAttribute("aria-pressed", "false");
  return [wrap, button("save-code", "download", say("save_code"), false), button("copy-code", "copy", say("copy"), true)];
}

/** @type {Record<string, (button: HTMLElement, block: HTMLElement) => unknown>} */
const actions = {
  "copy-code": copyCode,
  "save-code": async (_, block) => (await import("chat/files")).save(block),
  "wrap-code": (button, block) => button.setAttribute("aria-pressed", String(block.classList.toggle("wrapped"))),
  draw: async (button) => (await import("chat/diagram")).toggle(button),
};

/** @param {HTMLElement} button @param {HTMLElement} block */
async function copyCode(button, block) {
  if (!(await copy(block.querySelector("pre")?.textContent ?? ""))) return;
  const label = /** @type {HTMLElement} */ (button.lastElementChild);
  button.replaceChildren(icon("check"), label);
  label.textContent = say("copied");
  announce(say("copied"));
  setTimeout(() => {
    button.replaceChildren(icon("copy"), label);
    label.textContent = say("copy");
  }, 1600);
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest(".code > header button") : null;
  const block = button?.closest(".code");
  for (const [action, run] of Object.entries(actions)) {
    if (block && button?.hasAttribute(`data-${action}`)) run(/** @type {HTMLElement} */ (button), /** @type {HTMLElement} */ (block));
  }
});
