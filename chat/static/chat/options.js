// What can be done to conversations: the menu of a row, the dialogs, and the actions with their undo.
import { post, say } from "chat/page";
import { change, complain, storeOffer, toast } from "chat/toast";

/** What undoes an action, where a line offers that; the others are undone where they were done. */
/** @type {Record<string, string>} */
const UNDO = { delete: "restore", archive: "unarchive" };
/** @type {Record<string, string>} */
const DONE = { delete: "deleted", archive: "archived", move: "moved" };
/** @type {Record<string, object>} what rows say then, before the server tells it */
const CHANGES = { pin: { pinned: true }, unpin: { pinned: false }, archive: { archived: true, pinned: false }, unarchive: { archived: false } };

export class Options {
  /** @param {import("./sidebar.js").ChatSidebar} sidebar */
  constructor(sidebar) {
    this.sidebar = sidebar;
    this.rows = sidebar.rows;
    this.menu = /** @type {HTMLElement} */ (document.getElementById("row-menu"));
    this.menu.addEventListener("toggle", (event) => {
      const isOpen = /** @type {ToggleEvent} */ (event).newState === "open";
      this.opener?.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) this.items[0]?.focus();
    });
    this.menu.addEventListener("keydown", (event) => this.onKey(event));
    this.rows.list.addEventListener("scroll", () => this.menu.hidePopover(), { passive: true });
    for (const form of document.querySelectorAll("form[data-form]")) {
      form.addEventListener("submit", (event) => this.onDialog(/** @type {SubmitEvent} */ (event)));
      form.closest("dialog")?.addEventListener("close", () => this.opener?.isConnected && this.opener.focus());
    }
  }

  get items() {
    const all = /** @type {HTMLElement[]} */ ([...this.menu.querySelectorAll("[role=menuitem]")]);
    return all.filter((item) => item.checkVisibility());
  }

  /**
   * @param {HTMLElement} control
   * @param {boolean} byKey
   */
  onClick(control, byKey) {
    const { folderDialog, do: action } = control.dataset;
    if ("more" in control.dataset) return this.openMenu(control);
    if ("restore" in control.dataset) return this.restore(/** @type {HTMLButtonElement} */ (control));
    if (folderDialog) return this.openFolder(folderDialog, /** @type {HTMLAnchorElement} */ (control));
    const conversation = /** @type {HTMLElement} */ (control.closest("[data-conversation]")).dataset.conversation ?? "";
    if (!this.menu.contains(control)) this.opener = control.closest("details")?.querySelector("summary") ?? control;
    this.menu.hidePopover();
    control.closest("details")?.removeAttribute("open");
    if (action === "rename") this.openRename(conversation);
    else if (action === "move") this.openMove([conversation]);
    else if (action) this.act(action, [conversation], byKey);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const { items } = this;
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 };
    if (event.key in next) {
      event.preventDefault();
      items[next[event.key] % items.length].focus();
    }
    if (event.key === "Tab") this.menu.hidePopover();
  }

  // ---------- the menu of a row ----------

  /** @param {HTMLElement} opener */
  openMenu(opener) {
    const row = /** @type {HTMLElement} */ (opener.closest("[data-row]"));
    const link = /** @type {HTMLAnchorElement} */ (row.querySelector("[data-title]"));
    const wasOpen = this.opener === opener && this.menu.matches(":popover-open");
    this.menu.hidePopover();
    if (wasOpen) return;
    this.menu.dataset.conversation = row.dataset.row;
    this.menu.toggleAttribute("data-pinned", "pinned" in row.dataset);
    this.menu.toggleAttribute("data-archived", "archived" in row.dataset);
    for (const item of /** @type {NodeListOf<HTMLAnchorElement>} */ (this.menu.querySelectorAll("[data-export]"))) {
      item.href = `${link.href}export/`;
    }
    this.opener = opener;
    this.menu.showPopover();
    const place = opener.getBoundingClientRect();
    const { width, height } = this.menu.getBoundingClientRect();
    const below = place.bottom + 4 + height < innerHeight - 8;
    this.menu.style.left = `${Math.max(8, Math.min(place.left, innerWidth - width - 8))}px`;
    this.menu.style.top = `${below ? place.bottom + 4 : Math.max(8, Math.min(place.top - height - 4, innerHeight - height - 8))}px`;
  }

  // ---------- actions ----------

  /**
   * @param {string} action
   * @param {string[]} conversations
   * @param {boolean} [byKey]
   * @param {FormData} [data]
   * @returns {Promise<string>} why it was not done, or nothing
   */
  async act(action, conversations, byKey = false, data) {
    this.sidebar.isDeleting = action === "delete";
    const answer = await change(action, conversations, data);
    this.sidebar.isDeleting = false;
    if (!answer.ok) {
      // A dialog says it itself.
      if (!data) complain(answer.status === 404 ? say("gone") : answer.reason);
      return answer.reason;
    }
    /** @type {string[]} */
    const changed = answer.data.changed;
    this.show(action, changed, byKey);
    return "";
  }

  /** @param {string} action @param {string[]} changed @param {boolean} byKey */
  show(action, changed, byKey) {
    const current = this.rows.current;
    const isCurrent = action === "delete" && changed.includes(current);
    for (const conversation of changed) {
      const row = this.rows.row(conversation);
      if (action === "delete" && conversation !== current) this.rows.remove(conversation);
      else if (row && CHANGES[action]) this.sidebar.updated({ ...this.rows.read(row), ...CHANGES[action] });
    }
    if (!(action in DONE)) return;
    const text = changed.length === 1 ? say(`${DONE[action]}_one`) : say(`${DONE[action]}_many`, changed.length);
    const offer = { text, action: UNDO[action], conversations: changed, back: isCurrent ? location.pathname : undefined };
    if (!isCurrent) return toast(offer, byKey || !this.opener?.isConnected);
    storeOffer(offer);
    this.sidebar.deleted(current);
  }

  /** @param {HTMLButtonElement} button */
  async restore(button) {
    const row = /** @type {HTMLElement} */ (button.closest("[data-row]"));
    const next = /** @type {HTMLElement | null} */ ((row.nextElementSibling ?? row.previousElementSibling)?.querySelector("button") ?? null);
    const answer = await change("restore", [button.value]);
    if (!answer.ok) return complain(answer.status === 404 ? say("gone") : answer.reason);
    this.rows.gone.delete(button.value);
    this.rows.drop(button.value);
    (next ?? /** @type {HTMLElement} */ (this.rows.views.querySelector("summary"))).focus();
    toast({ text: say("restored") });
  }

  // ---------- dialogs ----------

  /** @param {string} conversation */
  openRename(conversation) {
    const form = this.open("rename", [conversation]);
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("title"));
    const row = this.rows.row(conversation);
    form.action = `${this.rows.side.dataset.home ?? "/"}c/${conversation}/rename/`;
    field.value = (row?.querySelector("[data-title]") ?? document.querySelector("h1[data-title]"))?.textContent ?? "";
    field.select();
  }

  /** @param {string[]} conversations */
  openMove(conversations) {
    const form = this.open("move", conversations);
    const choices = /** @type {HTMLElement} */ (form.querySelector("[data-folders]"));
    const none = /** @type {HTMLElement} */ (choices.querySelector(".choice"));
    for (const old of choices.querySelectorAll(".choice ~ .choice")) old.remove();
    for (const folder of /** @type {NodeListOf<HTMLElement>} */ (this.rows.views.querySelectorAll("[data-folder-id]"))) {
      const choice = /** @type {HTMLElement} */ (none.cloneNode(true));
      const { folderId = "", colour = "" } = folder.dataset;
      /** @type {HTMLInputElement} */ (choice.querySelector("input")).value = folderId;
      /** @type {HTMLElement} */ (choice.querySelector(".swatch")).dataset.colour = colour;
      /** @type {HTMLElement} */ (choice.querySelector(".name")).textContent = folder.textContent?.trim() ?? "";
      choices.append(choice);
    }
    /** @type {HTMLInputElement} */ (form.elements.namedItem("new_folder")).value = "";
    const now = conversations.length === 1 ? this.rows.row(conversations[0])?.dataset.folder ?? "" : "";
    const radios = /** @type {HTMLInputElement[]} */ ([...choices.querySelectorAll("input")]);
    for (const radio of radios) radio.checked = radio.value === now;
    radios.find((radio) => radio.checked)?.focus();
  }

  /** @param {string} which  the id of a folder, or "new" @param {HTMLAnchorElement} link */
  openFolder(which, link) {
    this.opener = this.rows.views.querySelector("summary");
    this.rows.views.removeAttribute("open");
    const form = this.open("folder", []);
    form.action = link.href;
    const folder = /** @type {HTMLElement | null} */ (this.rows.views.querySelector(`[data-folder-id="${CSS.escape(which)}"]`));
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("name"));
    field.value = folder?.textContent?.trim() ?? "";
    for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[name=colour]"))) {
      radio.checked = radio.value === (folder?.dataset.colour ?? "grey");
    }
    const remove = /** @type {HTMLAnchorElement} */ (form.querySelector("[data-folder-delete]"));
    remove.hidden = !folder;
    remove.href = `${link.href}delete/`;
    field.select();
  }

  /** @param {string} kind @param {string[]} conversations */
  open(kind, conversations) {
    const dialog = /** @type {HTMLDialogElement} */ (document.getElementById(`${kind}-dialog`));
    const form = /** @type {HTMLFormElement} */ (dialog.querySelector("form"));
    form.dataset.conversation = conversations.join(",");
    /** @type {HTMLElement} */ (form.querySelector("[data-error]")).textContent = "";
    dialog.showModal();
    return form;
  }

  /** @param {SubmitEvent} event */
  async onDialog(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    const conversations = (form.dataset.conversation ?? "").split(",");
    const reason = await this.send(form, conversations);
    if (reason) /** @type {HTMLElement} */ (form.querySelector("[data-error]")).textContent = reason;
    else form.closest("dialog")?.close();
  }

  /** @param {HTMLFormElement} form @param {string[]} conversations @returns {Promise<string>} why it was not done */
  async send(form, conversations) {
    const data = new FormData(form);
    if (form.dataset.form === "move") return this.act("move", conversations, false, data);
    const answer = await post(form.action, data);
    if (answer.ok && form.dataset.form === "folder") this.rows.refresh();
    else if (answer.ok) this.sidebar.updated({ conversation: conversations[0], title: answer.data.title });
    return answer.reason;
  }
}
