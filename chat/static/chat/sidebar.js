// <chat-sidebar>: the list of conversations, the drawer on phones, renaming and deleting.
import { post, say } from "chat/page";

const isPhone = matchMedia("(max-width: 800px)");

export class ChatSidebar extends HTMLElement {
  connectedCallback() {
    this.app = /** @type {HTMLElement} */ (document.querySelector(".app"));
    this.side = /** @type {HTMLElement} */ (this.querySelector(".side"));
    this.menu = /** @type {HTMLElement} */ (document.getElementById("row-menu"));
    this.current = this.side.dataset.current ?? "";
    /** @type {Set<string>} conversations of which an event may still be on its way */
    this.gone = new Set();

    document.addEventListener("click", (event) => this.onClick(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("chat:conversation", (event) => this.updated(/** @type {CustomEvent} */ (event).detail));
    document.addEventListener("chat:deleted", (event) => this.deleted(/** @type {CustomEvent} */ (event).detail.conversation));
    for (const form of document.querySelectorAll("form[data-form]")) {
      form.addEventListener("submit", (event) => this.onDialog(/** @type {SubmitEvent} */ (event)));
    }
    this.menu.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.opener?.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) /** @type {HTMLElement} */ (this.menu.firstElementChild).focus();
    });
    isPhone.addEventListener("change", () => this.toggleDrawer(false));
    if (/Mac|iPhone|iPad/.test(navigator.platform)) {
      for (const keys of this.querySelectorAll("[data-shortcut]")) keys.textContent = "⌘ ⇧ O";
    }
    this.querySelector("[data-row][data-current]")?.scrollIntoView({ block: "nearest" });
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    if (!(event.target instanceof Element) || event.ctrlKey || event.metaKey) return;
    const link = /** @type {HTMLElement | null} */ (event.target.closest("[data-side], [data-more], [data-dialog], [data-close]"));
    if (!link) {
      // Outside of the drawer, which has the focus for itself while it is open.
      if (this.isDrawerOpen && !this.side.contains(event.target) && !event.target.closest("dialog, [popover]")) this.toggleDrawer(false);
      return;
    }
    event.preventDefault();
    if (link.dataset.side) this.toggle(link.dataset.side === "open");
    else if ("more" in link.dataset) this.openMenu(link);
    else if ("close" in link.dataset) link.closest("dialog")?.close();
    else this.openDialog(/** @type {HTMLAnchorElement} */ (link));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Escape" && this.isDrawerOpen && !document.querySelector(":popover-open, dialog[open]")) {
      event.preventDefault();
      this.toggleDrawer(false);
    }
    // Links that act as buttons answer to the space bar as well.
    if (event.key === " " && event.target instanceof HTMLAnchorElement && event.target.role === "button") {
      event.preventDefault();
      event.target.click();
    }
    if (event.key.startsWith("Arrow") && this.menu.matches(":popover-open")) {
      event.preventDefault();
      const items = /** @type {HTMLElement[]} */ ([...this.menu.children]);
      const step = event.key === "ArrowDown" || event.key === "ArrowRight" ? 1 : -1;
      const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      items[(at + step + items.length) % items.length].focus();
    }
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

  // ---------- options of a conversation ----------

  /** @param {HTMLElement} opener */
  openMenu(opener) {
    const row = /** @type {HTMLElement} */ (opener.closest("[data-row]"));
    const url = /** @type {HTMLAnchorElement} */ (row.querySelector("[data-title]")).href;
    for (const item of /** @type {HTMLCollectionOf<HTMLAnchorElement>} */ (this.menu.children)) {
      item.href = `${url}${item.dataset.dialog ?? "export"}/`;
      item.dataset.conversation = row.dataset.row;
    }
    this.opener = opener;
    this.menu.showPopover();
    const place = opener.getBoundingClientRect();
    const { width, height } = this.menu.getBoundingClientRect();
    this.menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
    this.menu.style.top = `${Math.max(8, Math.min(place.bottom + 4, innerHeight - height - 8))}px`;
  }

  /** @param {HTMLAnchorElement} link  to the page that does the same without a script */
  openDialog(link) {
    const kind = /** @type {string} */ (link.dataset.dialog);
    const dialog = /** @type {HTMLDialogElement} */ (document.getElementById(`${kind}-dialog`));
    const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
    const title = this.row(link.dataset.conversation ?? "")?.querySelector("[data-title]")?.textContent ?? "";
    this.menu.hidePopover();
    link.closest("details")?.removeAttribute("open");
    form.action = link.href;
    form.dataset.conversation = link.dataset.conversation;
    /** @type {HTMLElement} */ (form.querySelector("[data-error]")).textContent = "";
    const field = /** @type {HTMLInputElement | null} */ (form.querySelector("[name=title]"));
    if (field) field.value = title || (document.querySelector("h1[data-title]")?.textContent ?? "");
    const quoted = form.querySelector("[data-title]");
    if (quoted) quoted.textContent = title;
    dialog.showModal();
    field?.select();
  }

  /** @param {SubmitEvent} event */
  async onDialog(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const answer = await post(form.action, new FormData(form));
    if (!answer.ok) {
      /** @type {HTMLElement} */ (form.querySelector("[data-error]")).textContent = answer.reason;
      return;
    }
    form.closest("dialog")?.close();
    const conversation = form.dataset.conversation ?? "";
    if (form.dataset.form === "rename") this.updated({ conversation, title: answer.data.title });
    else this.deleted(conversation);
  }

  // ---------- the list ----------

  /** @param {string} conversation @returns {HTMLElement | null} */
  row(conversation) {
    return this.querySelector(`.conversations [data-row="${CSS.escape(conversation)}"]`);
  }

  /** @param {{conversation: string, title: string, running?: boolean}} news */
  updated({ conversation, title, running }) {
    if (this.gone.has(conversation)) return;
    const row = this.row(conversation) ?? this.addRow(conversation);
    /** @type {HTMLElement} */ (row.querySelector("[data-title]")).textContent = title;
    if (running !== undefined) /** @type {HTMLElement} */ (row.querySelector("[data-dot]")).hidden = !running;
    if (conversation !== this.current) return;
    document.title = `${title} · ${say("site")}`;
    const heading = document.querySelector("h1[data-title]");
    if (heading) heading.textContent = title;
  }

  /** @param {string} conversation  that was begun in another tab */
  addRow(conversation) {
    const template = /** @type {HTMLTemplateElement} */ (this.querySelector("template[data-row]"));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    const url = `${this.dataset.home ?? "/"}c/${conversation}/`;
    row.dataset.row = conversation;
    /** @type {HTMLAnchorElement} */ (row.querySelector("[data-title]")).href = url;
    /** @type {HTMLAnchorElement} */ (row.querySelector("[data-more]")).href = `${url}rename/`;
    this.today().prepend(row);
    return row;
  }

  /** @returns {HTMLElement} the list under “Today”, made if need be */
  today() {
    const list = /** @type {HTMLElement} */ (this.querySelector("[data-conversations]"));
    const headings = [...list.querySelectorAll("h2")];
    const heading = headings.find((item) => item.textContent === say("today"));
    if (heading) return /** @type {HTMLElement} */ (heading.nextElementSibling);
    const section = document.createElement("section");
    section.append(document.createElement("h2"), document.createElement("ul"));
    /** @type {HTMLElement} */ (section.firstElementChild).textContent = say("today");
    list.querySelector(".none")?.remove();
    const pinned = list.querySelector("section:has(.row > .i)");
    if (pinned) pinned.after(section);
    else list.prepend(section);
    return /** @type {HTMLElement} */ (section.lastElementChild);
  }

  /** @param {string} conversation */
  deleted(conversation) {
    this.gone.add(conversation);
    const row = this.row(conversation);
    const section = row?.closest("section");
    row?.remove();
    if (section && !section.querySelector("li")) section.remove();
    if (conversation === this.current) location.assign(this.dataset.home ?? "/");
  }
}

customElements.define("chat-sidebar", ChatSidebar);
