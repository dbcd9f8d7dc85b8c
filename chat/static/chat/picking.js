// Selecting several conversations, and what is done to all of them.
import { say } from "chat/page";

export class Picking {
  /** @param {import("./sidebar.js").ChatSidebar} sidebar */
  constructor(sidebar) {
    this.sidebar = sidebar;
    this.rows = sidebar.rows;
    this.bar = /** @type {HTMLElement} */ (sidebar.querySelector("[data-picking]"));
    this.button = /** @type {HTMLElement} */ (sidebar.querySelector("[data-pick=open]"));
    /** @type {HTMLElement | null} the row that was ticked last, from where Shift goes on */
    this.last = null;
    this.rows.list.addEventListener("click", (event) => this.onRow(event), { capture: true });
    this.rows.list.addEventListener("change", () => this.count());
    document.addEventListener("chat:rows", () => this.count());
    document.addEventListener("chat:view", () => this.toggle(false));
    // A row that is gone is not selected any more.
    new MutationObserver(() => this.isOn && this.count()).observe(this.rows.list, { childList: true, subtree: true });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.isOn || document.querySelector("dialog[open], .pop[open]")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.toggle(false);
      this.button.focus();
    }, { capture: true });
  }

  get isOn() {
    return this.rows.side.classList.contains("chat-picking");
  }

  /** @returns {HTMLInputElement[]} */
  get boxes() {
    return [...this.rows.list.querySelectorAll(/** @type {"input"} */ ("[name=conversation]"))];
  }

  get picked() {
    return this.boxes.filter((box) => box.checked).map((box) => box.value);
  }

  /** @param {HTMLElement} control */
  onClick(control) {
    const { pick, do: action } = control.dataset;
    if (pick === "open") {
      this.toggle(!this.isOn);
      if (this.isOn) this.boxes[0]?.focus();
    } else if (pick === "close") {
      this.toggle(false);
      this.button.focus();
    } else if (pick === "all") {
      const isWhole = this.boxes.every((box) => box.checked);
      for (const box of this.boxes) box.checked = !isWhole;
      this.count();
    } else if (action) this.act(action);
  }

  /** @param {boolean} isOn */
  toggle(isOn) {
    this.rows.side.classList.toggle("chat-picking", isOn);
    this.rows.list.classList.toggle("picks", isOn);
    this.button.setAttribute("aria-pressed", String(isOn));
    this.bar.hidden = !isOn;
    this.bar.dataset.view = this.rows.view;
    this.last = null;
    if (!isOn) for (const box of this.boxes) box.checked = false;
    this.count();
  }

  /** @param {MouseEvent} event  on a row, which ticks it and does not open it */
  onRow(event) {
    if (!this.isOn || !(event.target instanceof Element)) return;
    const row = /** @type {HTMLElement | null} */ (event.target.closest(".row"));
    const box = /** @type {HTMLInputElement | null} */ (row?.querySelector("[name=conversation]") ?? null);
    if (!row || !box) return;
    event.stopPropagation();
    if (event.target !== box) {
      event.preventDefault();
      box.checked = !box.checked;
      box.focus();
    }
    if (event.shiftKey && this.last?.isConnected) this.tickBetween(this.last, row, box.checked);
    this.last = row;
    this.count();
  }

  /** @param {HTMLElement} one @param {HTMLElement} other @param {boolean} isOn */
  tickBetween(one, other, isOn) {
    const { all } = this.rows;
    const [from, to] = [all.indexOf(one), all.indexOf(other)].sort((a, b) => a - b);
    for (const row of all.slice(from, to + 1)) {
      /** @type {HTMLInputElement} */ (row.querySelector("[name=conversation]")).checked = isOn;
    }
  }

  count() {
    const { length } = this.picked;
    const text = say("chosen", length);
    const line = /** @type {HTMLElement} */ (this.bar.querySelector("[data-picked]"));
    if (line.textContent !== text) line.textContent = text;
    for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (this.bar.querySelectorAll("[data-do]"))) {
      button.disabled = !length;
    }
  }

  /** @param {string} action */
  act(action) {
    const { picked } = this;
    this.sidebar.options(async (options) => {
      options.opener = this.button;
      if (action === "move") return options.openMove(picked);
      if (!(await options.act(action, picked))) this.toggle(false);
    });
  }
}
