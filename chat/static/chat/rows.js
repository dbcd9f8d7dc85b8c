// The list of conversations: what is in it, where a row belongs, and more rows when it is scrolled to its end.
import { say } from "chat/page";

/** @typedef {{key: string, heading: string, since: number}} Day  a heading, and from when on rows are under it */
/** @typedef {{conversation: string, title: string, running?: boolean, pinned?: boolean, archived?: boolean,
 *   folder?: number | null, folder_name?: string, colour?: string, updated?: string}} News  of one row, or a part of it */

const DAY = 86_400_000;
/** How far below the last row that is seen the next ones are fetched, in pixels. */
const AHEAD = "600px";
/** Conversations that are remembered to have an answer that was not looked at. */
const MOST_UNREAD = 200;

export class Rows {
  /** @param {HTMLElement} side  the sidebar */
  constructor(side) {
    this.side = side;
    this.list = /** @type {HTMLElement} */ (side.querySelector("[data-conversations]"));
    this.current = side.dataset.current ?? "";
    /** @type {Day[]} */
    this.days = JSON.parse(this.list.dataset.days ?? "[]");
    /** @type {Set<string>} conversations of which an event may still be on its way */
    this.gone = new Set();
    this.watcher = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) this.more();
    }, { root: this.list, rootMargin: AHEAD });
    this.watch();
    this.showUnread();
    this.row(this.current)?.scrollIntoView({ block: "nearest" });
    addEventListener("storage", ({ key }) => key === "unread" && this.showUnread());
    document.addEventListener("visibilitychange", () => {
      this.showUnread();
      this.turnDay();
    });
  }

  /** What is listed: "" for all, "folder-1", "archived", "deleted". */
  get view() {
    return this.views.dataset.view ?? "";
  }

  get views() {
    return /** @type {HTMLElement} */ (this.side.querySelector("[data-views]"));
  }

  /** @returns {HTMLElement[]} */
  get all() {
    return [...this.list.querySelectorAll(/** @type {"li"} */ (".row"))];
  }

  /** @param {string} conversation @returns {HTMLElement | null} */
  row(conversation) {
    return conversation ? this.list.querySelector(`[data-row="${CSS.escape(conversation)}"]`) : null;
  }

  // ---------- pages of the list ----------

  get link() {
    return /** @type {HTMLAnchorElement | null} */ (this.list.querySelector("[data-more-rows]"));
  }

  watch() {
    this.watcher.disconnect();
    if (this.link) this.watcher.observe(this.link);
  }

  /** Fetch the next page. Quiet where that fails: the link stays, and is tried when it is seen again or clicked. */
  async more() {
    const link = this.link;
    if (!link || this.list.ariaBusy === "true") return;
    this.list.ariaBusy = "true";
    const page = await fetchPage(link.href);
    this.list.ariaBusy = null;
    // Another view was chosen meanwhile.
    if (!page || !link.isConnected) return;
    const hadFocus = link === document.activeElement;
    const last = this.all.at(-1);
    link.parentElement?.remove();
    this.append(page.list);
    if (hadFocus) /** @type {HTMLElement | null} */ (last && this.all[this.all.indexOf(last) + 1]?.querySelector("a"))?.focus();
  }

  /** @param {HTMLElement} page  sections, of which the first may go on what the last one here began */
  append(page) {
    for (const section of /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll("section"))) {
      for (const row of /** @type {NodeListOf<HTMLElement>} */ (section.querySelectorAll(".row"))) {
        // Moved to the top since the page before was read.
        if (this.row(row.dataset.row ?? "")) row.remove();
      }
      const own = this.section(section.dataset.group ?? "");
      if (own) own.lastElementChild?.append(...(section.lastElementChild?.children ?? []));
      else if (section.querySelector(".row")) this.list.append(section);
    }
    const more = page.querySelector(".more-rows");
    if (more) this.list.append(more);
    this.mark();
    this.watch();
  }

  /**
   * Show another view, or the same one anew.
   * @param {string} url
   */
  async show(url) {
    this.asked = url;
    const page = await fetchPage(url);
    if (!page || this.asked !== url) return Boolean(page);
    const isOther = page.views.dataset.view !== this.view;
    const isOpen = this.views.hasAttribute("open");
    this.views.replaceWith(page.views);
    page.views.toggleAttribute("open", isOpen && !isOther);
    this.list.replaceChildren(...page.list.childNodes);
    if (isOther) {
      this.list.scrollTop = 0;
      const key = this.view === "deleted" ? "" : this.view;
      document.cookie = `list=${key}; path=/; max-age=${key ? 31536000 : 0}; samesite=lax`;
      this.list.dispatchEvent(new CustomEvent("chat:view", { bubbles: true }));
    }
    this.mark();
    this.watch();
    return true;
  }

  refresh() {
    clearTimeout(this.refreshing);
    const url = new URL(this.side.dataset.listUrl ?? "", location.href);
    if (this.view) url.searchParams.set("view", this.view);
    this.refreshing = setTimeout(() => this.show(url.href), 50);
  }

  /** Put the rows under the headings of the new day, if there is one. */
  turnDay() {
    const today = this.days.find(({ key }) => key === "today");
    if (document.hidden || !today || Date.now() < today.since + DAY) return;
    const passed = DAY * Math.floor((Date.now() - today.since) / DAY);
    for (const day of this.days) if (day.since) day.since += passed;
    this.refresh();
  }

  // ---------- what happens to rows ----------

  /** @param {News & {restored?: boolean}} news */
  update(news) {
    const { conversation, title, running, restored } = news;
    if (restored) this.gone.delete(conversation);
    if (this.gone.has(conversation)) return;
    if (this.view === "deleted") return restored ? this.drop(conversation) : undefined;
    this.turnDay();
    const old = this.row(conversation);
    if (!old && !news.updated) return;
    const row = old ?? this.make(conversation);
    part(row, "[data-title]").textContent = title;
    if (running !== undefined) {
      if (old && !running && !part(row, "[data-dot]").hidden) this.setUnread(conversation, true);
      part(row, "[data-dot]").hidden = !running;
    }
    if (news.pinned !== undefined) row.toggleAttribute("data-pinned", news.pinned);
    if (news.archived !== undefined) row.toggleAttribute("data-archived", news.archived);
    if (news.folder !== undefined) this.file(row, news);
    const was = row.dataset.updated;
    if (news.updated) row.dataset.updated = news.updated;
    const group = row.closest("section")?.dataset.group;
    if (!old || news.updated !== was || (group === "pinned") !== ("pinned" in row.dataset) || !this.belongs(row)) {
      this.place(row);
    }
    this.showUnread();
  }

  /** @param {HTMLElement} row @param {News} news */
  file(row, { folder, folder_name = "", colour = "" }) {
    row.dataset.folder = String(folder ?? "");
    const swatch = part(row, ".swatch");
    swatch.dataset.colour = folder ? colour : "";
    swatch.title = folder ? folder_name : "";
    part(row, "[data-folder-name]").textContent = folder ? folder_name : "";
  }

  /** @param {string} conversation  that was begun in another tab, or comes back */
  make(conversation) {
    const template = /** @type {HTMLTemplateElement} */ (this.side.querySelector("template[data-row]"));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    const url = `${this.side.dataset.home ?? "/"}c/${conversation}/`;
    row.dataset.row = conversation;
    const title = /** @type {HTMLAnchorElement} */ (row.querySelector("[data-title]"));
    title.href = url;
    title.id = `row-${conversation}`;
    /** @type {HTMLAnchorElement} */ (row.querySelector("[data-more]")).href = `${url}rename/`;
    const box = /** @type {HTMLInputElement} */ (row.querySelector("[name=conversation]"));
    box.value = conversation;
    box.setAttribute("aria-labelledby", title.id);
    row.toggleAttribute("data-current", conversation === this.current);
    if (conversation === this.current) title.setAttribute("aria-current", "page");
    return row;
  }

  /** @param {HTMLElement} row  @returns {boolean} whether it is one of what is listed */
  belongs(row) {
    if (this.view.startsWith("folder-") && this.view !== `folder-${row.dataset.folder}`) return false;
    return "archived" in row.dataset === (this.view === "archived");
  }

  /** Put a row where it belongs. @param {HTMLElement} row */
  place(row) {
    const focused = row.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
    const from = row.closest("section");
    row.remove();
    if (this.belongs(row)) {
      const at = time(row);
      const isPinned = "pinned" in row.dataset;
      const day = this.days.find(({ key, since }) => (isPinned ? key === "pinned" : key !== "pinned" && since <= at));
      const next = this.all.find((other) => "pinned" in other.dataset === isPinned && time(other) < at);
      // Where rows are still to come it may come with them; those that are pinned come before all others.
      const isHere = next || !this.link || (isPinned && this.all.some((other) => !("pinned" in other.dataset)));
      if (day && isHere) this.insert(row, day, next);
    }
    if (from && !from.querySelector(".row")) from.remove();
    focused?.focus({ preventScroll: true });
  }

  /** @param {HTMLElement} row @param {Day} day @param {HTMLElement | undefined} next */
  insert(row, day, next) {
    const section = this.section(day.key) ?? this.addSection(day);
    if (next && section.contains(next)) next.before(row);
    else section.lastElementChild?.append(row);
  }

  /** @param {string} key @returns {HTMLElement | null} */
  section(key) {
    return this.list.querySelector(`section[data-group="${key}"]`);
  }

  /** @param {Day} day */
  addSection(day) {
    const section = document.createElement("section");
    section.dataset.group = day.key;
    section.append(document.createElement("h2"), document.createElement("ul"));
    /** @type {HTMLElement} */ (section.firstElementChild).textContent = day.heading;
    this.list.querySelector("[data-none]")?.remove();
    const later = this.days.slice(this.days.indexOf(day) + 1).map(({ key }) => this.section(key)).find(Boolean);
    if (later) later.before(section);
    else if (this.link) this.link.parentElement?.before(section);
    else this.list.append(section);
    return section;
  }

  /** @param {string} conversation  that was deleted */
  remove(conversation) {
    this.gone.add(conversation);
    this.setUnread(conversation, false);
    this.drop(conversation);
    if (this.view === "deleted") this.refresh();
  }

  /** @param {string} conversation */
  drop(conversation) {
    const row = this.row(conversation);
    const section = row?.closest("section");
    row?.remove();
    if (section && !section.querySelector(".row")) section.remove();
  }

  /** What a row says of its conversation. @param {HTMLElement} row @returns {News} */
  read(row) {
    const { row: conversation = "", folder = "", updated } = row.dataset;
    const swatch = part(row, ".swatch");
    return {
      conversation,
      title: part(row, "[data-title]").textContent ?? "",
      pinned: "pinned" in row.dataset,
      archived: "archived" in row.dataset,
      folder: folder ? Number(folder) : null,
      folder_name: swatch.title,
      colour: swatch.dataset.colour,
      updated,
    };
  }

  /** Say that rows were added, to whom that matters. */
  mark() {
    this.showUnread();
    this.list.dispatchEvent(new CustomEvent("chat:rows", { bubbles: true }));
  }

  // ---------- answers that nobody has looked at ----------

  /** @returns {string[]} */
  get unread() {
    try {
      return JSON.parse(localStorage.getItem("unread") ?? "[]");
    } catch {
      return [];
    }
  }

  /** @param {string} conversation @param {boolean} isUnread */
  setUnread(conversation, isUnread) {
    const others = this.unread.filter((other) => other !== conversation);
    try {
      localStorage.setItem("unread", JSON.stringify(isUnread ? [...others, conversation].slice(-MOST_UNREAD) : others));
    } catch {
      // Nothing may be stored here: then nothing is marked.
    }
  }

  /** Mark the rows, but for what is on the screen of this tab. */
  showUnread() {
    if (!document.hidden && this.unread.includes(this.current)) this.setUnread(this.current, false);
    const unread = new Set(this.unread);
    for (const mark of /** @type {NodeListOf<HTMLElement>} */ (this.list.querySelectorAll("[data-unread]"))) {
      mark.hidden = !unread.has(mark.closest(/** @type {"li"} */ ("[data-row]"))?.dataset.row ?? "");
      mark.title = say("unread");
    }
  }
}

/** @param {string} url @returns {Promise<{list: HTMLElement, views: HTMLElement} | null>} */
async function fetchPage(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!response?.ok || response.redirected) return null;
  const { list, views } = await response.json().catch(() => ({}));
  const parse = (/** @type {string} */ html) => new DOMParser().parseFromString(html, "text/html").body;
  const menu = /** @type {HTMLElement | null} */ (parse(views ?? "").querySelector("[data-views]"));
  return list === undefined || !menu ? null : { list: parse(list), views: menu };
}

/** @param {HTMLElement} row */
function time(row) {
  return Date.parse(row.dataset.updated ?? "") || 0;
}

/** @param {HTMLElement} row @param {string} selector */
function part(row, selector) {
  return /** @type {HTMLElement} */ (row.querySelector(selector));
}
