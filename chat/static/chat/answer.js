// One answer while it is written: shows what its reader has, at most once a frame.
import { decorate, enrich } from "chat/decorate";
import { announce, say } from "chat/page";
import { isNews, wordsOf } from "chat/stage";

const HANGUL = /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]/;

/** @type {Promise<typeof import("./markdown.js") | null> | undefined} */
let markdown;

/** Fetch the renderer, once. Without it (npm did not run) answers grow as plain text. */
export function loadMarkdown() {
  markdown ??= import("chat/markdown").catch(() => null);
  return markdown;
}

export class LiveAnswer {
  /** @param {HTMLElement} article  a turn with aria-busy @param {import("./reader.js").Reader} reader */
  constructor(article, reader) {
    this.article = article;
    this.reader = reader;
    this.prose = /** @type {HTMLElement} */ (article.querySelector("[data-prose]"));
    this.line = /** @type {HTMLElement | null} */ (article.querySelector("[data-stage]"));
    /** @type {import("./stage.js").Stage} what the page says */
    this.stage = { stage: this.line?.dataset.stage ?? "queued", position: Number(this.line?.dataset.position) || null };
    /** @type {import("./markdown.js").Rendering | null | undefined} undefined while the renderer is on its way */
    this.rendering = undefined;
    this.rendered = "";
    /** How many of its blocks are for ever as they are. */
    this.enriched = 0;
    this.frame = 0;
    this.waitUntil = 0;
    this.isEnding = false;
    this.ready = loadMarkdown().then((module) => {
      // The server's HTML of the text so far stays until the same nodes are made here.
      this.rendering = module ? new module.Rendering(this.prose) : null;
      this.render();
    });
  }

  /** @param {import("./stage.js").Stage} stage */
  showStage(stage) {
    const { line, stage: before } = this;
    if (!line || this.reader.text) return;
    this.stage = stage;
    const bar = /** @type {HTMLProgressElement} */ (line.querySelector("progress"));
    const words = say(...wordsOf(stage));
    /** @type {HTMLElement} */ (line.querySelector("[data-stage-text]")).textContent = words;
    line.dataset.stage = stage.stage;
    line.dataset.position = String(stage.position ?? "");
    bar.hidden = stage.stage !== "loading";
    if (typeof stage.progress === "number") bar.value = stage.progress;
    else bar.removeAttribute("value");
    if (isNews(before, stage)) announce(words);
    this.article.dispatchEvent(new CustomEvent("chat:grown", { bubbles: true }));
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      if (now < this.waitUntil) this.schedule();
      else this.render();
    });
  }

  render() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { text } = this.reader;
    if (!text) return;
    const began = performance.now();
    if (this.rendering && !text.startsWith(this.rendered)) {
      this.rendering = /** @type {any} */ (new /** @type {any} */ (this.rendering.constructor)(this.prose));
      this.enriched = 0;
    }
    this.rendered = text;
    if (this.rendering) {
      this.prose.classList.remove("plain");
      this.rendering.update(text);
      this.decorate(this.rendering);
    } else if (this.rendering === null || !this.prose.firstElementChild) {
      this.prose.classList.add("plain");
      this.prose.textContent = text;
    }
    if (!this.prose.lang && HANGUL.test(text)) this.prose.lang = "ko";
    const took = performance.now() - began;
    // A slow machine shall spend most of its time on the reader, not on us.
    this.waitUntil = took > 8 ? began + 5 * took : 0;
    this.article.dispatchEvent(new CustomEvent("chat:grown", { bubbles: true }));
  }

  /**
   * Give what was just written its buttons, and what will not change any more its colours.
   * @param {import("./markdown.js").Rendering} rendering
   */
  decorate(rendering) {
    for (const node of rendering.touched) decorate(node);
    for (const node of rendering.finished(this.enriched)) enrich(node);
    this.enriched = rendering.settled.length;
  }

  /**
   * Nothing more comes.
   * @returns {Promise<boolean>} whether the page shows all of it as it should be
   */
  async finish() {
    await this.ready;
    this.render();
    if (!this.rendering || !this.reader.isOver || !this.reader.isWhole) return false;
    this.rendering.finish();
    decorate(this.prose);
    return true;
  }

  discard() {
    cancelAnimationFrame(this.frame);
    this.frame = -1;
  }
}
