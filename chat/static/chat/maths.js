// Draws the maths of answers with KaTeX, into the nodes that hold their TeX.
import "katex";
import { say } from "chat/page";

/** Characters; a formula is never that long, and drawing costs. */
const LONGEST = 10_000;
const { katex } = /** @type {any} */ (globalThis);

/** Resolves when formulas can be drawn as they should look. */
export const ready = new Promise((resolve) => {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = import.meta.resolve("katex.css");
  link.onload = link.onerror = resolve;
  document.head.append(link);
});

/** @param {Element} node  .math, with its TeX as its text; what cannot be drawn keeps it */
export function draw(node) {
  const tex = node.textContent ?? "";
  if (!node.isConnected || node.classList.contains("drawn") || tex.length > LONGEST) return;
  try {
    const fresh = document.createElement("span");
    katex.render(tex, fresh, {
      displayMode: node.classList.contains("display"),
      // No links, no images and no attributes of somebody else's choice.
      trust: false,
      strict: "ignore",
      maxSize: 20,
      maxExpand: 300,
    });
    node.replaceChildren(...fresh.childNodes);
    node.classList.add("drawn");
  } catch {
    node.classList.add("wrong");
    /** @type {HTMLElement} */ (node).title = say("wrong_maths");
  }
}
