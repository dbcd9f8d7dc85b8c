// <chat-waiting>: below the words that say why there is no text yet, how long it has been and what one can do.
import { say } from "chat/page";
import { clock, PATIENCE, remedyFor } from "chat/stage";

export class ChatWaiting extends HTMLElement {
  connectedCallback() {
    this.line = /** @type {HTMLElement} */ (this.closest("article")?.querySelector("[data-stage]"));
    this.remedy = /** @type {HTMLElement} */ (this.querySelector("[data-remedy]"));
    this.elapsed = /** @type {HTMLElement} */ (this.querySelector("[data-elapsed]"));
    // The server's clock may differ from ours: it says how long, and not since when.
    this.began ??= performance.now() - 1000 * Number(this.dataset.waited);
    this.show();
    this.timer = setInterval(() => this.show(), 1000);
    this.observer = new MutationObserver(() => this.show());
    this.observer.observe(this.line, { attributes: true, attributeFilter: ["data-stage", "data-position"] });
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    this.observer?.disconnect();
  }

  show() {
    const { stage = "queued", position } = this.line.dataset;
    const seconds = (performance.now() - (this.began ?? 0)) / 1000;
    const remedy = remedyFor({ stage, position: Number(position) || null }, seconds);
    this.hidden = !remedy;
    if (this.remedy.dataset.remedy !== remedy) {
      this.remedy.dataset.remedy = remedy;
      this.remedy.textContent = remedy ? say(remedy) : "";
    }
    this.elapsed.textContent = seconds >= PATIENCE ? clock(seconds) : "";
  }
}

customElements.define("chat-waiting", ChatWaiting);
