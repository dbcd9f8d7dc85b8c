// A block of mermaid source as a drawing, made in a frame that can reach nothing, when somebody asks for it.
import { announce, say } from "chat/page";

/** Milliseconds until the frame must have said something. */
const PATIENCE = 20_000;
const TALLEST = 900;
const isDarkSystem = matchMedia("(prefers-color-scheme: dark)");

/** @type {Map<Window | null, Drawing>} those on the page, by the window of their frame */
const drawings = new Map();

class Drawing {
  /** @param {HTMLElement} block  whose source is to be drawn */
  constructor(block) {
    this.block = block;
    this.figure = document.createElement("figure");
    this.figure.className = "diagram";
    this.words = document.createElement("p");
    this.words.className = "words";
    this.frame = document.createElement("iframe");
    this.frame.title = say("diagram");
    this.frame.setAttribute("sandbox", "allow-scripts");
    this.frame.referrerPolicy = "no-referrer";
    this.frame.src = import.meta.resolve("chat/diagram.html");
    this.frame.height = "120";
    this.figure.append(this.words, this.frame);
    block.append(this.figure);
    this.tell(say("drawing"));
    drawings.set(this.frame.contentWindow, this);
    this.timer = setTimeout(() => this.tell(say("diagram_not_loaded")), PATIENCE);
  }

  /** Send the frame what to draw; again when the theme changes. */
  send() {
    clearTimeout(this.timer);
    const theme = document.documentElement.dataset.theme;
    const isDark = theme ? theme === "dark" : isDarkSystem.matches;
    const source = this.block.querySelector("pre")?.textContent ?? "";
    // The frame has no origin that could be named, and is the only one that can be in this window.
    this.frame.contentWindow?.postMessage({ source, isDark }, "*");
  }

  /** @param {{kind: string, height?: number, reason?: string}} message  from the frame */
  hear({ kind, height, reason }) {
    if (kind === "ready") return this.send();
    if (kind === "failed") return this.tell(`${say("not_drawn")} ${String(reason).slice(0, 500)}`);
    if (kind === "drawn") {
      if (!this.figure.classList.contains("drawn")) announce(say("drawn"));
      this.figure.classList.add("drawn");
    }
    this.frame.height = String(Math.min(Math.max(Number(height) || 0, 40), TALLEST));
  }

  /** @param {string} text */
  tell(text) {
    this.figure.classList.remove("drawn");
    this.words.textContent = text;
    announce(text);
  }
}

/**
 * Show the drawing of a block instead of its source, or its source again.
 * @param {HTMLElement} button  in the header of the block
 */
export function toggle(button) {
  const block = /** @type {HTMLElement} */ (button.closest(".code"));
  const isShown = block.classList.toggle("as-diagram");
  if (isShown && !block.querySelector(".diagram")) new Drawing(block);
  const label = say(isShown ? "show_source" : "draw");
  /** @type {HTMLElement} */ (button.querySelector("span")).textContent = label;
}

addEventListener("message", ({ source, data }) => {
  drawings.get(/** @type {Window | null} */ (source))?.hear(data ?? {});
});

function redraw() {
  for (const [window, drawing] of drawings) {
    if (drawing.frame.isConnected) drawing.send();
    else drawings.delete(window);
  }
}

isDarkSystem.addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
