// <chat-parameters>: the panel with what people may change of the chosen assistant's parameters.
import { say } from "chat/page";

/** @typedef {{min: number, max: number | null, own: number | null}} Allowed */

/**
 * Add what is chosen for the whole page, the assistant and the parameters, to a form that asks for an answer.
 * @param {FormData} data
 */
export function addChoices(data) {
  addParameters(data);
  const chosen = new FormData(composer()).get("assistant");
  if (chosen) data.set("assistant", chosen);
}

/**
 * Add the parameters alone, to a form that asks an assistant of its own.
 * @param {FormData} data
 */
export function addParameters(data) {
  for (const [name, value] of new FormData(composer())) {
    if (!["assistant", "content", "key", "csrfmiddlewaretoken"].includes(name)) data.set(name, value);
  }
}

const composer = () => /** @type {HTMLFormElement} */ (document.getElementById("composer"));

export class ChatParameters extends HTMLElement {
  connectedCallback() {
    this.details = /** @type {HTMLDetailsElement} */ (this.querySelector("details"));
    this.rows = /** @type {HTMLElement[]} */ ([...this.querySelectorAll("[data-parameter]")]);
    this.name = `parameters:${this.dataset.person}:${this.dataset.place}`;
    const reset = /** @type {HTMLElement} */ (this.querySelector("[data-reset]"));
    reset.addEventListener("click", () => this.reset());
    this.addEventListener("input", (event) => this.onInput(/** @type {HTMLInputElement} */ (event.target)));
    this.addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("chat:assistant", (event) => this.adapt(/** @type {CustomEvent} */ (event).detail.panel));
    document.addEventListener("chat:sent", () => sessionStorage.removeItem(this.name));
    for (const row of this.rows) this.addSlider(row);
    this.restore();
    const checked = /** @type {HTMLInputElement | null} */ (document.querySelector("input[name=assistant]:checked"));
    this.adapt(JSON.parse(checked?.dataset.panel ?? "{}"));
  }

  /** @param {HTMLElement} row @returns {HTMLInputElement} */
  fieldOf(row) {
    return /** @type {HTMLInputElement} */ (row.querySelector("[name]"));
  }

  /** @param {HTMLElement} row @returns {HTMLInputElement | null} */
  sliderOf(row) {
    return row.querySelector("[type=range]");
  }

  /** Without a script the number alone is enough. @param {HTMLElement} row */
  addSlider(row) {
    if (!("slider" in row.dataset)) return;
    const slider = document.createElement("input");
    slider.type = "range";
    slider.step = "0.01";
    slider.setAttribute("aria-label", row.querySelector("label")?.textContent ?? "");
    this.fieldOf(row).after(slider);
  }

  /** Show what this assistant allows. @param {Record<string, Allowed>} allowed */
  adapt(allowed) {
    this.hidden = Object.keys(allowed).length === 0;
    if (this.hidden) this.details.open = false;
    for (const row of this.rows) {
      const field = this.fieldOf(row);
      const bounds = allowed[field.name];
      row.hidden = field.disabled = !bounds;
      if (!bounds) continue;
      row.dataset.own = String(bounds.own ?? "");
      field.placeholder = String(bounds.own ?? say("own_value"));
      for (const input of [field, this.sliderOf(row)]) {
        if (!input) continue;
        input.min = String(bounds.min);
        input.max = String(bounds.max ?? "");
      }
      this.placeSlider(row);
    }
    this.count();
  }

  /** @param {HTMLElement} row */
  placeSlider(row) {
    const slider = this.sliderOf(row);
    const { value } = this.fieldOf(row);
    if (!slider) return;
    // What the backend takes, nobody knows; 1 is what models are trained with.
    slider.value = value || row.dataset.own || "1";
    slider.classList.toggle("unset", !value);
  }

  /** @param {HTMLInputElement} input */
  onInput(input) {
    const row = /** @type {HTMLElement} */ (input.closest("[data-parameter]"));
    if (input.type === "range") this.fieldOf(row).value = input.value;
    this.placeSlider(row);
    this.fieldOf(row).removeAttribute("aria-invalid");
    const values = this.rows.map((each) => [this.fieldOf(each).name, this.fieldOf(each).value]);
    sessionStorage.setItem(this.name, JSON.stringify(Object.fromEntries(values)));
    this.count();
  }

  /** What was changed and not sent before the page was reloaded. */
  restore() {
    try {
      const values = JSON.parse(sessionStorage.getItem(this.name) ?? "{}");
      for (const row of this.rows) this.fieldOf(row).value = values[this.fieldOf(row).name] ?? this.fieldOf(row).value;
    } catch {
      sessionStorage.removeItem(this.name);
    }
  }

  reset() {
    const shown = this.rows.filter((row) => !row.hidden);
    for (const row of shown) {
      this.fieldOf(row).value = "";
      this.onInput(this.fieldOf(row));
    }
    this.fieldOf(shown[0])?.focus();
  }

  /** Say how many are changed, also while the panel is closed. */
  count() {
    const changed = this.rows.filter((row) => !row.hidden && this.fieldOf(row).value.trim()).length;
    const badge = /** @type {HTMLElement} */ (this.querySelector("[data-count]"));
    badge.hidden = changed === 0;
    badge.textContent = String(changed);
    /** @type {HTMLElement} */ (this.querySelector("[data-count-words]")).textContent = changed ? say("changed", changed) : "";
    /** @type {HTMLButtonElement} */ (this.querySelector("[data-reset]")).hidden = changed === 0;
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    // In a number, Enter would send the message.
    const isDone = event.key === "Enter" && event.target instanceof HTMLInputElement;
    if (!isDone || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.details.open = false;
    document.getElementById("content")?.focus();
  }

  /**
   * Open the panel at the first value that cannot be sent.
   * @param {string[]} [names]  of those that the server refused
   * @returns {boolean} whether there is one
   */
  showWrong(names = []) {
    const isWrong = (/** @type {HTMLElement} */ row) =>
      !row.hidden && (names.includes(this.fieldOf(row).name) || !this.fieldOf(row).checkValidity());
    const wrong = this.rows.filter(isWrong);
    if (!wrong.length) return false;
    for (const row of wrong) this.fieldOf(row).setAttribute("aria-invalid", "true");
    this.details.open = true;
    const field = this.fieldOf(wrong[0]);
    field.focus();
    field.reportValidity();
    return true;
  }
}

customElements.define("chat-parameters", ChatParameters);
