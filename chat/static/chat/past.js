// What was said before the turns on the page, and after them: it comes when the reader gets near its place.
import { announce, say } from "chat/page";
import { articlesOf, idOf } from "chat/turns";

/** How near the place of what is missing may come before it is fetched, in pixels. */
const NEAR = 1500;
/** Turns that come onto the page in one frame: so few that typing and scrolling do not wait for their layout. */
const SLICE = 3;
/** Frames after which the browser knows the height of a turn and may skip it when it is out of view. */
const MEASURED = 4;

/** @typedef {{html: string, has_earlier: boolean, has_newer: boolean, is_live: boolean}} Stretch */

/** Keeps what is being read where it is while the page grows above it. */
class Place {
  /** @param {import("./conversation.js").ChatLog} log */
  constructor(log) {
    this.log = log;
    /** Parts of a pixel that the browser rounded away. */
    this.owed = 0;
  }

  /** @returns {HTMLElement | undefined} the first turn of which something can be seen */
  get anchor() {
    const { top } = this.log.scroller.getBoundingClientRect();
    const { articles } = this.log;
    // Those are in order, and there may be thousands of them.
    let [low, high] = [0, articles.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (articles[middle].getBoundingClientRect().bottom > top) high = middle;
      else low = middle + 1;
    }
    return articles[low];
  }

  /** @param {() => void} change */
  keep(change) {
    const { scroller } = this.log;
    const { anchor } = this;
    const was = anchor?.getBoundingClientRect().top ?? 0;
    change();
    const moved = (anchor?.getBoundingClientRect().top ?? 0) - was + this.owed;
    const before = scroller.scrollTop;
    if (moved) scroller.scrollTop = before + moved;
    this.owed = moved - (scroller.scrollTop - before);
  }
}

/** One end of what is on the page, beyond which there is more. */
class Edge {
  /**
   * @param {import("./conversation.js").ChatLog} log
   * @param {HTMLElement} line  the paragraph with the links to it
   */
  constructor(log, line) {
    this.log = log;
    this.line = line;
    this.isEarlier = line.dataset.past === "earlier";
    this.more = /** @type {HTMLAnchorElement | null} */ (line.querySelector("[data-more-turns]"));
    this.whole = /** @type {HTMLAnchorElement | null} */ (line.querySelector("[data-whole]"));
    this.words = this.more?.textContent ?? "";
    this.isToldOf = false;
    this.goesOn = false;
    this.place = new Place(log);
    this.watch = new IntersectionObserver(
      (entries) => entries.at(-1)?.isIntersecting && this.load(),
      { root: log.scroller, rootMargin: `${NEAR}px 0px` },
    );
    if (this.more) this.watch.observe(line);
    line.addEventListener("click", (event) => this.onClick(event));
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link === this.more) this.load(true);
    else if (link === this.whole) this.loadAll();
    else return;
    event.preventDefault();
  }

  /** Fetch one page after the other, until there is no more or the link is used again. */
  async loadAll() {
    this.goesOn = !this.goesOn;
    if (!this.goesOn || !this.whole) return;
    const words = this.whole.textContent;
    while (this.goesOn) {
      this.whole.textContent = say("loading_all", this.log.articles.length);
      if (!(await this.load())) break;
      this.goesOn &&= this.line.isConnected;
    }
    this.goesOn = false;
    this.whole.textContent = words;
    if (!this.line.isConnected) announce(say("whole_loaded", this.log.articles.length));
  }

  /**
   * @param {boolean} [isAsked]  by the link: tell of it every time, and not only the first
   * @returns {Promise<boolean>} whether turns came
   */
  load(isAsked = false) {
    this.loading ??= this.fetch(isAsked).finally(() => {
      this.loading = undefined;
      // It may be in view still, which is no news to an observer.
      this.watch.unobserve(this.line);
      if (this.more && this.line.isConnected && !this.line.classList.contains("failed")) this.watch.observe(this.line);
    });
    return this.loading;
  }

  /** @param {boolean} isAsked */
  async fetch(isAsked) {
    const { log, more } = this;
    const next = this.last;
    if (!more || !next) return false;
    this.line.setAttribute("aria-busy", "true");
    const url = new URL(more.href);
    url.search = `?${this.isEarlier ? "before" : "after"}=${idOf(next)}`;
    const askedAt = log.branch.now;
    const stretch = await this.ask(url);
    this.line.removeAttribute("aria-busy");
    if (log.isOver) return false;
    if (stretch === null) return this.fail();
    this.place.keep(() => {
      this.line.classList.remove("failed");
      more.textContent = this.words;
    });
    // Another version is shown meanwhile, or these turns came by another way.
    if (next !== this.last) return true;
    await this.take(stretch, askedAt);
    if (isAsked || !this.isToldOf) announce(say(this.isEarlier ? "earlier_loaded" : "newer_loaded"));
    this.isToldOf = true;
    return true;
  }

  /** @param {URL} url @returns {Promise<Stretch | null>} */
  async ask(url) {
    const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
    if (response?.redirected || response?.status === 401 || response?.status === 403) this.log.signedOut();
    if (!response?.ok || response.redirected) return null;
    return response.json().catch(() => null);
  }

  fail() {
    this.goesOn = false;
    this.place.keep(() => {
      this.line.classList.add("failed");
      this.line.dataset.reason = say("not_loaded");
      if (this.more) this.more.textContent = say("try_again");
    });
    announce(say("not_loaded"));
    return false;
  }

  /** @param {Stretch} stretch @param {number} askedAt */
  async take(stretch, askedAt) {
    const { log } = this;
    const articles = articlesOf(stretch.html).filter((article) => !log.turn(idOf(article)));
    let last = this.last;
    for (const slice of this.slices(articles)) {
      // Another version is shown meanwhile: what is left belongs to the one before.
      if (last !== this.last) return;
      this.place.keep(() => this.insert(slice));
      for (const article of slice) log.read(article, askedAt);
      last = this.last;
      await frame();
    }
    this.letSkip(articles);
    if (!(this.isEarlier ? stretch.has_earlier : stretch.has_newer)) this.end(!this.isEarlier && stretch.is_live);
  }

  /** @param {HTMLElement[]} articles  a few at a time, those first that are next to what is here */
  slices(articles) {
    const slices = [];
    const rest = [...articles];
    while (rest.length) slices.push(this.isEarlier ? rest.splice(-SLICE) : rest.splice(0, SLICE));
    return slices;
  }

  /** The turn at this end. */
  get last() {
    const { articles } = this.log;
    return this.isEarlier ? articles[0] : articles.at(-1);
  }

  /** @param {HTMLElement[]} articles */
  insert(articles) {
    const { branch } = this.log;
    for (const article of articles) {
      article.classList.add("fresh");
      this.log.prepare(article);
    }
    if (this.isEarlier) {
      branch.putBefore(articles.map(idOf));
      this.line.after(...articles);
    } else {
      for (const article of articles) branch.put(idOf(article), branch.newest);
      this.line.before(...articles);
    }
  }

  /** @param {HTMLElement[]} articles */
  async letSkip(articles) {
    for (let count = 0; count < MEASURED; count += 1) await frame();
    for (const article of articles) article.classList.remove("fresh");
  }

  /** There is no more on this side. @param {boolean} isLive  but what happens next */
  end(isLive) {
    const { log } = this;
    this.watch.disconnect();
    if (this.isEarlier || isLive) {
      const hadFocus = this.line.contains(document.activeElement);
      this.place.keep(() => this.line.remove());
      if (hadFocus) log.scroller.focus({ preventScroll: true });
    } else {
      this.more?.remove();
    }
    if (!isLive) return;
    // From here on events are heard; what they told until now is in the snapshot.
    delete log.dataset.earlier;
    // A reload shall show what is shown now.
    history.replaceState(history.state, "", location.pathname + location.hash);
    log.branch.fail();
    log.resync();
  }
}

/** @returns {Promise<number>} */
const frame = () => new Promise((resolve) => {
  // In a tab that is not shown there are no frames.
  if (document.hidden) setTimeout(resolve, 16, 0);
  else requestAnimationFrame(resolve);
});

/** Go to the message that the address names; if its turn is not here, to the page that has it. */
async function goToMessage() {
  const log = /** @type {import("./conversation.js").ChatLog | null} */ (document.querySelector("chat-log"));
  const asked = new URLSearchParams(location.search).get("message");
  const id = Number(/^#message-(\d+)$/.exec(location.hash)?.[1] ?? asked);
  if (!log?.turns || !id) return;
  const article = log.turn(id);
  if (article) {
    log.follows = false;
    // The browser keeps to it, and marks it, only if the address says so.
    if (!location.hash) location.replace(`#message-${id}`);
    // Turns above it get their heights when they come near, frame by frame.
    for (let count = 0; count < 2 * MEASURED; count += 1) {
      article.scrollIntoView({ block: "start", behavior: "instant" });
      await frame();
    }
    return;
  }
  const url = `${location.pathname}?message=${id}`;
  const answer = await fetch(url, { method: "HEAD" }).catch(() => null);
  if (answer?.ok && !answer.redirected) location.replace(`${url}#message-${id}`);
}

/** To the end of the conversation, where the end of the page is not that. @param {MouseEvent} event */
function jump(event) {
  const newest = /** @type {HTMLAnchorElement | null} */ (document.querySelector("[data-newest]"));
  if (!newest) return;
  event.stopImmediatePropagation();
  newest.click();
}

const log = /** @type {import("./conversation.js").ChatLog | null} */ (document.querySelector("chat-log"));
if (log) {
  for (const line of document.querySelectorAll("[data-past]")) new Edge(log, /** @type {HTMLElement} */ (line));
  document.querySelector("[data-jump]")?.addEventListener("click", (event) => jump(/** @type {MouseEvent} */ (event)), { capture: true });
  addEventListener("hashchange", goToMessage);
  goToMessage();
}
