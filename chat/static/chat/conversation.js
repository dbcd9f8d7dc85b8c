// <chat-log>: the turns, and the one EventSource that tells what happens to them.
import { LiveAnswer } from "chat/answer";
import { announce, copy, decorate, post, say } from "chat/page";

/** Pixels from the end that still count as being at the end. */
const NEAR = 60;
/** Milliseconds that a connection may be gone before the page speaks of it. */
const PATIENCE = 2000;

export class ChatLog extends HTMLElement {
  connectedCallback() {
    this.scroller = /** @type {HTMLElement} */ (this.querySelector(".log"));
    this.turns = /** @type {HTMLElement | null} */ (this.querySelector("[data-turns]"));
    /** @type {Map<number, LiveAnswer>} answers that are being written */
    this.live = new Map();
    /** @type {Map<number, [string, any][]>} what happened to turns that are being fetched */
    this.waiting = new Map();
    /** @type {Map<number, any>} ends of answers that were over before their turn was on the page */
    this.ended = new Map();
    this.lastEventId = "";
    this.follows = true;
    this.retryAfter = 1000;

    decorate(this);
    this.listen();
    for (const article of this.turns?.querySelectorAll("[aria-busy='true']") ?? []) this.adopt(/** @type {HTMLElement} */ (article));
    for (const button of this.querySelectorAll("[data-copy]")) /** @type {HTMLElement} */ (button).hidden = false;
    this.keepToTheEnd();
    this.connect();
  }

  disconnectedCallback() {
    this.source?.close();
  }

  /** Whether the page shows the end of a conversation, and not an empty page or an earlier part. */
  get isAtNewest() {
    return Boolean(this.turns) && !("earlier" in this.dataset);
  }

  /** The answer at the end of the shown branch, if it is being written. */
  get running() {
    const last = this.turns?.querySelector(":scope > .turn:last-of-type");
    return (last && this.live.get(Number(/** @type {HTMLElement} */ (last).dataset.message))) || null;
  }

  /** @param {number} id @returns {HTMLElement | null} */
  turn(id) {
    return this.turns?.querySelector(`:scope > [data-message="${id}"]`) ?? null;
  }

  // ---------- the event stream ----------

  connect() {
    const url = new URL(this.dataset.events ?? "", location.href);
    if (this.lastEventId) url.searchParams.set("lastEventId", this.lastEventId);
    const source = this.source = new EventSource(url);
    source.onopen = () => {
      this.retryAfter = 1000;
      clearTimeout(this.patience);
      this.patience = undefined;
      this.tell(null);
    };
    source.onerror = () => this.disconnected(source);
    /** @type {Record<string, (data: any) => void>} */
    const handlers = {
      "message.created": (data) => this.created(data),
      "message.delta": (data) => this.hear("delta", data),
      "message.finished": (data) => this.hear("finished", data),
      "generation.stage": (data) => this.hear("stage", data),
      "conversation.updated": (data) => this.dispatch("chat:conversation", data),
      "conversation.deleted": (data) => this.dispatch("chat:deleted", data),
      "stream-reset": () => this.resync(),
      "stream-error": (data) => data.condition === "forbidden" && this.signedOut(),
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId && event.lastEventId !== "error") this.lastEventId = event.lastEventId;
        handle(event.data ? JSON.parse(event.data) : {});
      });
    }
  }

  /** @param {EventSource} source */
  disconnected(source) {
    if (this.isOver) return;
    this.patience ??= setTimeout(() => this.tell(say("reconnecting")), PATIENCE);
    if (source.readyState !== EventSource.CLOSED) return;
    // The browser does not come back by itself after an answer that was no stream: a proxy's error page, or a log-in page.
    setTimeout(async () => {
      if (this.isOver) return;
      await this.resync();
      if (!this.isOver) this.connect();
    }, this.retryAfter);
    this.retryAfter = Math.min(this.retryAfter * 2, 30_000);
  }

  signedOut() {
    this.isOver = true;
    this.source?.close();
    clearTimeout(this.patience);
    const link = document.createElement("a");
    link.href = `${this.dataset.login}?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = say("sign_in_again");
    this.tell(say("signed_out"), link);
  }

  /**
   * Show a line above the composer about the connection, or none.
   * @param {string | null} text
   * @param {Element} [more]
   */
  tell(text, more) {
    const line = document.querySelector("[data-connection]");
    if (!line || (text === null && !line.hasChildNodes())) return;
    line.replaceChildren();
    if (text === null) return;
    const notice = document.createElement("p");
    notice.className = "notice info";
    notice.append(text, ...(more ? [" ", more] : []));
    line.append(notice);
  }

  /** Take everything from the database: events were missed. */
  resync() {
    this.syncing ??= this.sync().finally(() => {
      this.syncing = undefined;
    });
    return this.syncing;
  }

  async sync() {
    const url = this.dataset.messages ?? this.dataset.home ?? "";
    const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!response) return;
    if (response.redirected || response.status === 401 || response.status === 403) return this.signedOut();
    if (response.status === 404) location.assign(this.dataset.home ?? "/");
    if (!response.ok || !this.isAtNewest) return;
    const snapshot = await response.json();
    for (const message of snapshot.messages) {
      const live = this.live.get(message.id);
      if (!this.turn(message.id)) await this.created({ message: message.id, parent: message.parent });
      else if (live && message.status !== "queued" && message.status !== "in_progress") {
        live.replace(message.text);
        await this.finished({ message: message.id, status: message.status, length: live.reader.length });
      } else if (live) {
        live.replace(message.text);
        live.showStage({ stage: message.stage || "queued", position: message.position });
      }
      this.replay(message.id);
    }
  }

  // ---------- what happens to messages ----------

  /** @param {{message: number, parent: number | null}} created */
  async created({ message, parent }) {
    if (!this.isAtNewest || this.turn(message) || this.waiting.has(message)) return;
    this.waiting.set(message, []);
    const fragment = await this.fetchTurn(message);
    // The question before it may be on its way as well.
    if (parent !== null && !this.turn(parent) && this.waiting.has(parent)) await this.arrival(parent);
    if (fragment && !this.turn(message)) this.insert(fragment, parent);
    this.dispatch(`chat:arrived-${message}`);
    this.replay(message);
  }

  /** @param {number} message */
  arrival(message) {
    return new Promise((resolve) => {
      this.addEventListener(`chat:arrived-${message}`, resolve, { once: true });
      setTimeout(resolve, 3000);
    });
  }

  /**
   * Put a turn after its parent; what stood there belongs to another branch now.
   * @param {HTMLElement} article
   * @param {number | null} parent
   */
  insert(article, parent) {
    const before = parent === null ? null : this.turn(parent);
    if (parent !== null && !before) return;
    while (before?.nextElementSibling) this.drop(before.nextElementSibling);
    this.turns?.append(article);
    this.settle(article);
  }

  /** @param {Element} article */
  drop(article) {
    const id = Number(/** @type {HTMLElement} */ (article).dataset.message);
    this.live.get(id)?.discard();
    this.live.delete(id);
    article.remove();
    this.dispatch("chat:running");
  }

  /** @param {HTMLElement} article  that has just come onto the page */
  settle(article) {
    decorate(article);
    for (const button of article.querySelectorAll("[data-copy]")) /** @type {HTMLElement} */ (button).hidden = false;
    if (article.getAttribute("aria-busy") === "true") {
      this.adopt(article);
      announce(say("answering"));
    }
    this.stick();
  }

  /** @param {HTMLElement} article */
  adopt(article) {
    const id = Number(article.dataset.message);
    this.live.set(id, new LiveAnswer(article));
    this.dispatch("chat:running");
    if (this.ended.has(id)) this.finished(this.ended.get(id));
    this.ended.delete(id);
  }

  /**
   * Take the turns that the server made of what was just sent.
   * @param {string} html
   */
  append(html) {
    this.follows = true;
    for (const article of articlesOf(html)) {
      const id = Number(article.dataset.message);
      if (!this.turn(id)) {
        this.turns?.append(article);
        this.settle(article);
      }
      this.replay(id);
    }
  }

  /**
   * Something happened to an answer; if its turn is still being fetched, it is told when it is here.
   * @param {string} kind
   * @param {any} data
   */
  hear(kind, data) {
    const live = this.live.get(data.message);
    if (!live) {
      this.waiting.get(data.message)?.push([kind, data]);
    } else if (kind === "stage") {
      live.showStage(data);
    } else if (kind === "finished") {
      this.finished(data);
    } else if (!live.read(data)) {
      // A piece between is missing. This one is tried again after the snapshot.
      this.waiting.set(data.message, [...(this.waiting.get(data.message) ?? []), [kind, data]]);
      this.resync();
    }
  }

  /** @param {number} message  whose events were kept */
  replay(message) {
    const events = this.waiting.get(message) ?? [];
    this.waiting.delete(message);
    for (const [kind, data] of events) {
      // What the snapshot lacks as well is whole at the latest when the answer is finished.
      if (kind === "delta") this.live.get(message)?.read(data);
      else this.hear(kind, data);
    }
  }

  /** @param {{message: number, status: string, length: number}} end */
  async finished(end) {
    const { message, status, length } = end;
    const live = this.live.get(message);
    if (!live) {
      // The answer was quicker than the reply to the form that asked for it.
      if (!this.turn(message)) this.ended.set(message, end);
      return;
    }
    const isWhole = await live.finish(length);
    const fresh = await this.fetchTurn(message);
    if (this.live.get(message) !== live) return;
    live.discard();
    this.live.delete(message);
    const old = live.article;
    if (!fresh) {
      // Offline at this very moment: leave what is there, without its tools.
      old.removeAttribute("aria-busy");
    } else if (isWhole) {
      // The text stays as it is, and with it what the reader has selected.
      old.removeAttribute("aria-busy");
      old.dataset.status = fresh.dataset.status;
      for (const part of old.querySelectorAll(":scope > :not(h2, [data-prose])")) part.remove();
      old.append(...fresh.querySelectorAll(":scope > :not(h2, [data-prose])"));
      this.settle(old);
    } else {
      old.replaceWith(fresh);
      this.settle(fresh);
    }
    this.dispatch("chat:running");
    announce(say({ cancelled: "answer_cancelled", failed: "answer_failed" }[status] ?? "answer_ready"));
  }

  /** @param {number} id @returns {Promise<HTMLElement | null>} */
  async fetchTurn(id) {
    try {
      const response = await fetch(`${this.dataset.messages}${id}/`);
      if (!response.ok || response.redirected) return null;
      return articlesOf(await response.text())[0] ?? null;
    } catch {
      return null;
    }
  }

  /** Ask the server to end the running answer; the event that it did changes the page. */
  async cancel() {
    const live = this.running;
    const token = /** @type {HTMLInputElement | null} */ (document.querySelector("#composer [name=csrfmiddlewaretoken]"));
    if (!live || !token) return;
    const data = new FormData();
    data.set("csrfmiddlewaretoken", token.value);
    const answer = await post(`${this.dataset.messages}${live.article.dataset.message}/cancel/`, data);
    if (!answer.ok) this.dispatch("chat:error", answer.reason);
  }

  /** @param {HTMLFormElement} form */
  async regenerate(form) {
    const old = /** @type {HTMLElement} */ (form.closest(".turn"));
    const data = new FormData(form);
    const assistant = new FormData(/** @type {HTMLFormElement} */ (document.getElementById("composer"))).get("assistant");
    if (assistant) data.set("assistant", assistant);
    for (const button of old.querySelectorAll("button")) button.disabled = true;
    const answer = await post(form.action, data);
    for (const button of old.querySelectorAll("button")) button.disabled = false;
    if (!answer.ok) return this.dispatch("chat:error", answer.reason);
    // The event that says the same may have been quicker.
    if (old.isConnected) {
      while (old.nextElementSibling) this.drop(old.nextElementSibling);
      this.drop(old);
    }
    this.append(answer.data.html);
  }

  // ---------- the reader ----------

  listen() {
    this.addEventListener("submit", (event) => {
      const form = /** @type {HTMLFormElement} */ (event.target);
      if (!form.matches("[data-regenerate]")) return;
      event.preventDefault();
      this.regenerate(form);
    });
    this.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
      if (button) this.copy(/** @type {HTMLElement} */ (button));
    });
    this.addEventListener("chat:grown", () => this.stick());
  }

  /** @param {HTMLElement} button */
  async copy(button) {
    const article = /** @type {HTMLElement} */ (button.closest(".turn"));
    const prose = /** @type {HTMLElement} */ (article.querySelector("[data-prose]"));
    const id = Number(article.dataset.message);
    const response = await fetch(this.dataset.messages ?? "", { headers: { Accept: "application/json" } }).catch(() => null);
    const snapshot = response?.ok && !response.redirected ? await response.json() : { messages: [] };
    const message = snapshot.messages.find((/** @type {{id: number}} */ item) => item.id === id);
    if (!(await copy(message?.text ?? prose.innerText))) return;
    button.classList.add("done");
    announce(say("copied"));
    setTimeout(() => button.classList.remove("done"), 1600);
  }

  /** Follow the text to its end unless the reader scrolled away from it. */
  keepToTheEnd() {
    const { scroller } = this;
    const main = document.getElementById("main");
    const jump = /** @type {HTMLElement | null} */ (document.querySelector("[data-jump]"));
    let written = -1;
    scroller.addEventListener("scroll", () => {
      const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
      // A position that we did not write is the reader's.
      if (left < NEAR) this.follows = true;
      else if (Math.abs(scroller.scrollTop - written) > 2) this.follows = false;
      if (jump) jump.hidden = left < 200;
      main?.classList.toggle("scrolled", scroller.scrollTop > 4);
    }, { passive: true });
    jump?.addEventListener("click", () => {
      this.follows = true;
      scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" });
    });
    this.stick = () => {
      if (!this.follows || !this.turns) return;
      scroller.scrollTop = scroller.scrollHeight;
      written = scroller.scrollTop;
    };
    new ResizeObserver(() => this.stick()).observe(scroller);
    if (this.turns) new ResizeObserver(() => this.stick()).observe(this.turns);
    if (location.hash.startsWith("#message-") && this.turn(Number(location.hash.slice(9)))) this.follows = false;
    this.stick();
  }

  stick() {}

  /** @param {string} name @param {unknown} [detail] */
  dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }
}

/**
 * The turns in HTML that our own server made.
 * @param {string} html
 * @returns {HTMLElement[]}
 */
function articlesOf(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  return Array.from(parsed.querySelectorAll("article[data-message]"), (article) => /** @type {HTMLElement} */ (document.adoptNode(article)));
}

customElements.define("chat-log", ChatLog);
