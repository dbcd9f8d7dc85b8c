// <chat-sidebar>: the drawer on phones, the list's view, and what waits until it is wanted: options, selecting, undo.
import { say } from "chat/page";
import { Rows } from "chat/rows";

/** What is clicked and is ours to do something about. */
const CONTROLS = [
  "[data-side]", "[data-more]", "#row-menu [data-do]", ".head [data-do]", "[data-picking] [data-do]", "[data-list]",
  "[data-folder-dialog]", "[data-pick]", "[data-restore]", "[data-more-rows]", "[data-close]",
].join();
const isPhone = matchMedia("(max-width: 800px)");

export class ChatSidebar extends HTMLElement {
  connectedCallback() {
    this.app = /** @type {HTMLElement} */ (document.querySelector(".app"));
    this.side = /** @type {HTMLElement} */ (this.querySelector(".side"));
    this.rows = new Rows(this.side);

    document.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("chat:conversation", (event) => this.updated(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("chat:deleted", (event) => this.deleted(/** @type {CustomEvent} */ (event).detail.conversation));
    document.addEventListener("chat:folders", () => this.rows.refresh());
    isPhone.addEventListener("change", () => this.toggleDrawer(false));
    if (/Mac|iPhone|iPad/.test(navigator.platform)) {
      for (const keys of this.querySelectorAll("[data-shortcut]")) keys.textContent = "⌘ ⇧ O";
    }
    // By which days the server makes the headings.
    document.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax`;
    this.offerUndo();
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey) return;
    const control = /** @type {HTMLElement | null} */ (event.target.closest(CONTROLS));
    if (!control) {
      // Outside of the drawer, which has the focus for itself while it is open.
      const isElsewhere = !this.side.contains(event.target) && !event.target.closest("dialog, [popover], .toasts");
      if (this.isDrawerOpen && isElsewhere) this.toggleDrawer(false);
      return;
    }
    event.preventDefault();
    const { side, list } = control.dataset;
    if (side) this.toggle(side === "open");
    else if (list !== undefined) this.showView(/** @type {HTMLAnchorElement} */ (control));
    else if ("moreRows" in control.dataset) this.rows.more();
    else if ("close" in control.dataset) control.closest("dialog")?.close();
    else if ("pick" in control.dataset || control.closest("[data-picking]")) this.picking((picking) => picking.onClick(control));
    else this.options((options) => options.onClick(control, event.detail === 0));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.isComposing) return;
    const isTaken = event.defaultPrevented || document.querySelector(":popover-open, dialog[open]");
    if (event.key === "Escape" && this.isDrawerOpen && !isTaken) {
      event.preventDefault();
      this.toggleDrawer(false);
    }
    // Links that act as buttons answer to the space bar as well.
    if (event.key === " " && event.target instanceof HTMLAnchorElement && event.target.role === "button") {
      event.preventDefault();
      event.target.click();
    }
  }

  // ---------- what waits until it is wanted ----------

  /** @param {(options: import("./options.js").Options) => void} use */
  async options(use) {
    const { Options } = await import("chat/options");
    use(this.optionsOfRows ??= new Options(this));
  }

  /** @param {(picking: import("./picking.js").Picking) => void} use */
  async picking(use) {
    const { Picking } = await import("chat/picking");
    use(this.pickingOfRows ??= new Picking(this));
  }

  /** Offer to undo what was done just before this page came. */
  async offerUndo() {
    if (!sessionStorage.getItem("undo")) return;
    const { offerStored } = await import("chat/toast");
    offerStored();
  }

  // ---------- the drawer ----------

  get isDrawerOpen() {
    return this.app.classList.contains("side-open");
  }

  /** @param {boolean} open */
  toggle(open) {
    if (isPhone.matches) return this.toggleDrawer(open);
    this.app.classList.toggle("side-closed", !open);
    document.cookie = `sidebar=${open ? "open" : "closed"}; path=/; max-age=31536000; samesite=lax`;
    /** @type {HTMLElement | null} */ (document.querySelector(`[data-side="${open ? "close" : "open"}"]`))?.focus();
  }

  /** @param {boolean} open */
  toggleDrawer(open) {
    const was = this.isDrawerOpen;
    this.app.classList.toggle("side-open", open);
    // All else is inert meanwhile, which is what a modal dialog is.
    this.role = open ? "dialog" : null;
    this.ariaModal = open ? "true" : null;
    this.ariaLabel = open ? this.side.ariaLabel : null;
    /** @type {HTMLElement} */ (document.getElementById("main")).inert = open;
    if (open !== was) /** @type {HTMLElement | null} */ (document.querySelector(`[data-side="${open ? "close" : "open"}"]`))?.focus();
  }

  // ---------- the list ----------

  /** @param {HTMLAnchorElement} link */
  async showView(link) {
    this.rows.views.removeAttribute("open");
    if (await this.rows.show(link.href)) this.rows.views.querySelector("summary")?.focus();
    else location.assign(link.href);
  }

  /** @param {import("./rows.js").News} news */
  updated(news) {
    this.rows.update(news);
    if (news.conversation !== this.rows.current || this.rows.gone.has(news.conversation)) return;
    document.title = `${news.title} · ${say("site")}`;
    const heading = document.querySelector("h1[data-title]");
    if (heading) heading.textContent = news.title;
    for (const menu of document.querySelectorAll(`.menu[data-conversation="${CSS.escape(news.conversation)}"]`)) {
      if (news.pinned !== undefined) menu.toggleAttribute("data-pinned", news.pinned);
      if (news.archived !== undefined) menu.toggleAttribute("data-archived", news.archived);
    }
  }

  /** @param {string} conversation */
  deleted(conversation) {
    this.rows.remove(conversation);
    // Where it is this tab that deletes it, the way back is kept for the next page first.
    if (conversation === this.rows.current && !this.isDeleting) location.assign(this.side.dataset.home ?? "/");
  }
}

customElements.define("chat-sidebar", ChatSidebar);
