// <chat-log>: the turns, and the one EventSource that tells what happens to them.
import { LiveAnswer } from "chat/answer";
import { decorate } from "chat/decorate";
import { announce, post, say } from "chat/page";
import { Branch, isUnfinished } from "chat/reader";
import { adopt, articlesOf, idOf, offerCopying } from "chat/turns";

/** Pixels from the end that still count as being at the end. */
const NEAR = 60;
/** Milliseconds that a connection may be gone before the page speaks of it. */
const PATIENCE = 2000;
/** Milliseconds before the server is asked again for what it did not give, at first. */
const PAUSE = 1000;
/** Milliseconds before the server is asked again at most: a page shall be right within seconds once the site is back. */
const LONGEST_PAUSE = 5000;
/** Events that tell something of the messages. */
const HEARD = [
  "message.created", "message.delta", "message.finished", "message.continued", "message.deleted",
  "generation.stage", "stream-open", "stream-reset",
];

export class ChatLog extends HTMLElement {
  connectedCallback() {
    this.scroller = /** @type {HTMLElement} */ (this.querySelector(".log"));
    this.turns = /** @type {HTMLElement | null} */ (this.querySelector("[data-turns]"));
    /** What was heard; the turns follow it. */
    this.branch = new Branch();
    /** @type {Map<number, LiveAnswer>} answers that are being written */
    this.live = new Map();
    /** @type {Set<number>} messages whose turns are being fetched */
    this.fetching = new Set();
    this.syncedAt = -Infinity;
    this.lastEventId = "";
    this.follows = true;
    this.retryAfter = PAUSE;

    this.prepare(this);
    this.addEventListener("chat:grown", () => this.stick());
    for (const article of this.articles) {
      this.branch.put(idOf(article), this.branch.newest);
      this.read(article, this.branch.now);
    }
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
    return this.live.get(this.branch.newest ?? 0) ?? null;
  }

  get articles() {
    // Not by a selector, which would look into thousands of turns.
    return /** @type {HTMLElement[]} */ ([...this.turns?.children ?? []].filter((child) => child.matches(".turn")));
  }

  /** @param {number} id @returns {HTMLElement | null} */
  turn(id) {
    const article = document.getElementById(`message-${id}`);
    return article?.parentElement === this.turns ? article : null;
  }

  // ---------- the event stream ----------

  connect() {
    const url = new URL(this.dataset.events ?? "", location.href);
    if (this.lastEventId) url.searchParams.set("lastEventId", this.lastEventId);
    const source = this.source = new EventSource(url);
    this.branch.isOpen = false;
    source.onopen = () => {
      this.retryAfter = PAUSE;
      clearTimeout(this.patience);
      this.patience = undefined;
      this.tell(null);
    };
    source.onerror = () => this.disconnected(source);
    /** @type {Record<string, (data: any) => void>} */
    const handlers = {
      "conversation.updated": (data) => this.dispatch("chat:conversation", data),
      "conversation.restored": (data) => this.dispatch("chat:conversation", { ...data, restored: true }),
      "conversation.folders": () => this.dispatch("chat:folders"),
      "banner.changed": () => this.dispatch("chat:banners"),
      "conversation.deleted": (data) => this.dispatch("chat:deleted", data),
      "stream-error": (data) => data.condition === "forbidden" && this.askWhoWeAre(),
    };
    for (const name of HEARD) handlers[name] = (data) => this.hear(name, data);
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
    this.retryAfter = Math.min(this.retryAfter * 2, LONGEST_PAUSE);
  }

  /** The session ended, or it goes on by another key, because the password was changed in it. */
  async askWhoWeAre() {
    this.source?.close();
    this.branch.fail();
    // Another tab may be about to be given the new key.
    await sleep(PAUSE);
    await this.resync();
    if (!this.isOver) this.connect();
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
    this.syncing ??= this.catchUp().finally(() => {
      this.syncing = undefined;
    });
    return this.syncing;
  }

  async catchUp() {
    for (let pause = PAUSE; !this.isOver; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      // Not too often; and what is heard in the same moment shares the snapshot.
      await sleep(Math.max(0, this.syncedAt + pause - performance.now()));
      this.syncedAt = performance.now();
      if (await this.sync() && !this.branch.needsSnapshot) return;
    }
  }

  /** @returns {Promise<boolean>} whether there was an answer */
  async sync() {
    const url = this.dataset.messages ?? this.dataset.home ?? "";
    const askedAt = this.branch.ask();
    const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (response?.redirected || response?.status === 401 || response?.status === 403) this.signedOut();
    if (response?.status === 404) location.assign(this.dataset.home ?? "/");
    if (!response?.ok || this.isOver) {
      this.branch.fail();
      return false;
    }
    if (!this.isAtNewest) return true;
    const { messages } = await response.json().catch(() => ({ messages: null }));
    if (messages) this.take(messages, askedAt);
    else this.branch.fail();
    return Boolean(messages);
  }

  /** @param {any[]} messages @param {number} askedAt */
  take(messages, askedAt) {
    const { ids } = this.branch;
    // So much is new that the page would have a hole before it.
    if (ids.length && messages[0]?.parent && !messages.some(({ id }) => ids.includes(id))) return location.reload();
    this.branch.take(messages, askedAt);
    for (const { id, status, stage, position } of messages) {
      if (isUnfinished(status)) this.live.get(id)?.showStage({ stage: stage || "queued", position });
    }
    this.show();
  }

  // ---------- what happens to messages ----------

  /**
   * @param {string} kind
   * @param {any} data
   */
  hear(kind, data) {
    if (this.isAtNewest) this.branch.hear(kind, data);
    if (kind === "message.deleted") return void this.miss();
    if (kind === "generation.stage") this.live.get(data.message)?.showStage(data);
    else if (kind === "message.created") this.show();
    else this.showOne(data.message);
    if (kind === "stream-reset" || this.branch.isStale) this.resync();
  }

  /** Make the turns those of the branch that was heard. */
  show() {
    const ids = new Set(this.branch.ids);
    for (const article of this.articles) if (!ids.has(idOf(article))) this.drop(article);
    for (const id of ids) this.showOne(id);
  }

  /** @param {number} id  of a message that may be on the page */
  showOne(id) {
    const reader = this.branch.reader(id);
    const live = this.live.get(id);
    const turn = this.turn(id);
    if (!reader) return;
    live?.schedule();
    // One that ended while the server was away still looks unfinished.
    if (!turn || (!live && (!reader.isOver || isUnfinished(turn.dataset.status ?? "")))) this.bring(id);
    else if (!reader.isWhole) this.resync();
    else if (live && reader.isOver) this.finish(id, live);
  }

  /** @param {number} id  of a message whose turn is not here, or is one of an answer that was continued */
  async bring(id) {
    if (this.fetching.has(id)) return;
    this.fetching.add(id);
    const askedAt = this.branch.now;
    const article = await this.fetchTurn(id);
    this.fetching.delete(id);
    if (!this.branch.reader(id)) return;
    if (article) this.place(article, askedAt);
    else {
      this.branch.fail();
      setTimeout(() => this.resync(), PAUSE);
    }
  }

  /**
   * @param {HTMLElement} article  of a message on the branch
   * @param {number} askedAt
   */
  place(article, askedAt) {
    const id = idOf(article);
    const old = this.turn(id);
    const { ids } = this.branch;
    const after = ids.slice(ids.indexOf(id) + 1).map((next) => this.turn(next)).find(Boolean);
    this.forget(id);
    if (old) old.replaceWith(article);
    else if (after) after.before(article);
    else this.turns?.append(article);
    this.settle(article, askedAt);
  }

  /** @param {HTMLElement} article */
  drop(article) {
    this.forget(idOf(article));
    article.remove();
    this.dispatch("chat:running");
  }

  /** @param {number} id  of an answer that is not written any more, or not here */
  forget(id) {
    this.live.get(id)?.discard();
    this.live.delete(id);
  }

  /**
   * Give turns what only scripts can do.
   * @param {HTMLElement} root
   */
  prepare(root) {
    decorate(root);
    offerCopying(root);
  }

  /**
   * @param {HTMLElement} article  that has just come onto the page
   * @param {number} askedAt
   */
  settle(article, askedAt) {
    this.prepare(article);
    this.read(article, askedAt);
    if (this.live.has(idOf(article))) announce(say("answering"));
    this.stick();
  }

  /**
   * Take what a turn says of its message. The text of one that is not written any more is in the turn alone.
   * @param {HTMLElement} article
   * @param {number} askedAt
   */
  read(article, askedAt) {
    const id = idOf(article);
    const reader = /** @type {import("./reader.js").Reader} */ (this.branch.reader(id));
    const isBusy = article.getAttribute("aria-busy") === "true";
    const text = isBusy ? JSON.parse(article.querySelector("script[type='application/json']")?.textContent ?? '""') : "";
    // What is over, and here, can be compared with what is heard of it again.
    const isKnown = !isBusy && reader.text && reader.isOver && reader.isWhole;
    if (!isKnown && !reader.take(text, !isBusy, askedAt)) this.branch.fail();
    if (isBusy) this.live.set(id, new LiveAnswer(article, reader));
    this.dispatch("chat:running");
    this.showOne(id);
    if (this.branch.isStale) this.resync();
  }

  /**
   * Take the turns that the server made of what was just sent.
   * @param {string} html
   * @param {number | null} [after]  the message before them
   */
  append(html, after = this.branch.newest) {
    this.follows = true;
    // Events may have been quicker: this is older than all of them.
    this.putAfter(html, after, 0);
  }

  /**
   * Show another version of a message, with what follows it, in the place of the one that is shown.
   * @param {string} html
   * @param {number | null} after  the message before it
   * @param {number} askedAt
   * @returns {number[]} the messages that are shown instead
   */
  turnTo(html, after, askedAt) {
    this.follows = false;
    this.branch.turn();
    return this.putAfter(html, after, askedAt);
  }

  /**
   * @param {string} html
   * @param {number | null} after
   * @param {number} askedAt
   * @returns {number[]}
   */
  putAfter(html, after, askedAt) {
    // The branch took another way meanwhile: the snapshot says which.
    if (after !== null && !this.branch.reader(after)) {
      this.branch.fail();
      this.resync();
      return [];
    }
    const articles = articlesOf(html);
    for (const article of articles) {
      const id = idOf(article);
      if (!this.branch.reader(id)) this.branch.put(id, after);
      if (!this.turn(id)) this.place(article, askedAt);
      after = id;
    }
    this.show();
    return articles.map(idOf);
  }

  /** @param {HTMLElement} article @returns {number | null} the message before it on the page */
  before(article) {
    const { articles } = this;
    const before = articles[articles.indexOf(article) - 1];
    return before ? idOf(before) : null;
  }

  /** A message is gone, with what followed it: show what is left, and how many versions there are of it. */
  async miss() {
    // What an earlier part of the conversation begins with may be gone.
    if (!this.isAtNewest) return location.assign(location.pathname);
    this.branch.fail();
    await this.resync();
    const last = this.articles.at(-1);
    for (const article of this.articles) {
      if (article.querySelector("[data-pager]") || (article === last && article.dataset.role === "user")) this.renew(article);
    }
  }

  /** Take from the server what is around the text of a message. @param {HTMLElement} article */
  async renew(article) {
    const fresh = await this.fetchTurn(idOf(article));
    const isWritten = this.live.has(idOf(article)) || fresh?.getAttribute("aria-busy") === "true";
    if (!fresh || !article.isConnected || isWritten) return;
    adopt(article, fresh);
    offerCopying(article);
  }

  /**
   * Give an answer whose text is whole what a finished turn has.
   * @param {number} id
   * @param {LiveAnswer} live
   */
  async finish(id, live) {
    if (live.isEnding) return;
    live.isEnding = true;
    const isWhole = await live.finish();
    const askedAt = this.branch.now;
    const fresh = await this.fetchTurn(id);
    if (this.live.get(id) !== live) return;
    this.forget(id);
    const old = live.article;
    if (!fresh) {
      // Offline at this very moment: leave what is there, without its tools until the server is back.
      old.removeAttribute("aria-busy");
      this.branch.fail();
      setTimeout(() => this.resync(), PAUSE);
    } else if (isWhole && live.reader.isOver && fresh.getAttribute("aria-busy") !== "true") {
      // The text stays as it is, and with it what the reader has selected.
      old.removeAttribute("aria-busy");
      old.dataset.status = fresh.dataset.status;
      adopt(old, fresh);
      this.settle(old, askedAt);
    } else {
      this.place(fresh, askedAt);
    }
    this.dispatch("chat:running");
    const status = fresh?.dataset.status ?? "";
    if (!this.live.has(id)) announce(say({ cancelled: "answer_cancelled", failed: "answer_failed" }[status] ?? "answer_ready"));
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

  // ---------- the reader ----------

  /** Follow the text to its end unless the reader scrolled away from it. */
  keepToTheEnd() {
    const { scroller } = this;
    const main = document.getElementById("main");
    const jump = /** @type {HTMLElement | null} */ (document.querySelector("[data-jump]"));
    let written = -1;
    const left = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const offer = () => {
      if (jump) jump.hidden = left() < 200;
    };
    scroller.addEventListener("scroll", () => {
      // A position that we did not write is the reader's.
      if (left() < NEAR) this.follows = this.isAtNewest;
      else if (Math.abs(scroller.scrollTop - written) > 2) this.follows = false;
      offer();
      main?.classList.toggle("scrolled", scroller.scrollTop > 4);
    }, { passive: true });
    jump?.addEventListener("click", () => {
      this.follows = true;
      scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" });
    });
    this.stick = () => {
      // A branch that is shorter than the one before moves without being scrolled.
      offer();
      if (!this.follows || !this.turns) return;
      scroller.scrollTop = scroller.scrollHeight;
      written = scroller.scrollTop;
    };
    new ResizeObserver(() => this.stick()).observe(scroller);
    if (this.turns) new ResizeObserver(() => this.stick()).observe(this.turns);
    if (location.hash.startsWith("#message-") && this.turn(Number(location.hash.slice(9)))) this.follows = false;
    this.stick();
    if (!this.isAtNewest) this.follows = false;
  }

  stick() {}

  /** @param {number} pixels  by which what the reader looks at has moved */
  scrollBy(pixels) {
    const { scroller } = this;
    scroller.scrollTop += pixels;
    this.follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  }

  /** @param {string} name @param {unknown} [detail] */
  dispatch(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  }
}

/** @param {number} milliseconds @returns {Promise<void>} */
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

customElements.define("chat-log", ChatLog);
