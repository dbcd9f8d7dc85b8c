// <chat-menu>: who answers. The radio buttons belong to the composer's form, so choosing needs no more than this.

export class ChatMenu extends HTMLElement {
  connectedCallback() {
    const details = /** @type {HTMLDetailsElement} */ (this.querySelector("details"));
    const summary = /** @type {HTMLElement} */ (this.querySelector("summary"));
    this.addEventListener("change", (event) => this.choose(/** @type {HTMLInputElement} */ (event.target)));
    details.addEventListener("toggle", () => {
      if (details.open) /** @type {HTMLElement | null} */ (this.querySelector(":checked"))?.focus();
    });
    // The arrow keys go through the choices; a click or Enter is the end of choosing.
    const close = () => {
      details.open = false;
      summary.focus();
    };
    this.addEventListener("click", (event) => {
      const isPointer = /** @type {MouseEvent} */ (event).detail > 0;
      if (isPointer && event.target instanceof Element && event.target.closest(".option")) close();
    });
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
      event.preventDefault();
      close();
    });
    // A browser that brings the page back brings the choice back as well.
    const checked = /** @type {HTMLInputElement | null} */ (this.querySelector(":checked"));
    if (checked && !checked.defaultChecked) this.choose(checked);
  }

  /** @param {HTMLInputElement} radio */
  choose(radio) {
    const { name = "", label = "", ask = "", away } = radio.dataset;
    /** @type {HTMLElement} */ (this.querySelector("summary [data-name]")).textContent = name;
    /** @type {HTMLElement} */ (this.querySelector("summary [data-label]")).textContent = label;
    for (const intro of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-intro]"))) {
      intro.hidden = intro.dataset.intro !== radio.value;
    }
    const detail = { name, ask, away: away !== undefined };
    this.dispatchEvent(new CustomEvent("chat:assistant", { bubbles: true, detail }));
  }
}

customElements.define("chat-menu", ChatMenu);
