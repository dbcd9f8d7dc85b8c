// <chat-menu>: who answers. The radio buttons belong to the composer's form, so choosing needs no more than this.

/** Milliseconds after which what the menu says of the assistants is looked up again. */
const FRESH_FOR = 10_000;

export class ChatMenu extends HTMLElement {
  connectedCallback() {
    const details = /** @type {HTMLDetailsElement} */ (this.querySelector("details"));
    const summary = /** @type {HTMLElement} */ (this.querySelector("summary"));
    this.addEventListener("change", (event) => this.choose(/** @type {HTMLInputElement} */ (event.target)));
    this.lookedAt = performance.now();
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      /** @type {HTMLElement | null} */ (this.querySelector(":checked"))?.focus();
      this.look();
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

  /** Bring up to date how the assistants fare; a page may have been open for hours. */
  async look() {
    if (performance.now() - (this.lookedAt ?? 0) < FRESH_FOR) return;
    this.lookedAt = performance.now();
    const response = await fetch(this.dataset.health ?? "", { headers: { Accept: "application/json" } }).catch(() => null);
    const found = response?.ok && !response.redirected ? await response.json().catch(() => null) : null;
    for (const [slug, health] of Object.entries(found?.assistants ?? {})) this.showHealth(slug, health);
  }

  /** @param {string} slug @param {{level: string, words: string}} health */
  showHealth(slug, { level, words }) {
    const radio = /** @type {HTMLInputElement | null} */ (this.querySelector(`input[value="${CSS.escape(slug)}"]`));
    if (!radio) return;
    Object.assign(radio.dataset, { level, words });
    setHealth(radio.closest(".option")?.querySelector("[data-health]"), level, words);
    if (radio.checked) setHealth(this.querySelector("summary [data-health]"), level, words);
    setHealth(document.querySelector(`[data-intro="${CSS.escape(slug)}"] [data-health]`), level, words);
  }

  /** @param {HTMLInputElement} radio */
  choose(radio) {
    const { name = "", label = "", ask = "", away, panel = "{}", level = "", words = "" } = radio.dataset;
    /** @type {HTMLElement} */ (this.querySelector("summary [data-name]")).textContent = name;
    /** @type {HTMLElement} */ (this.querySelector("summary [data-label]")).textContent = label;
    setHealth(this.querySelector("summary [data-health]"), level, words);
    for (const intro of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-intro]"))) {
      intro.hidden = intro.dataset.intro !== radio.value;
    }
    const detail = { name, ask, away: away !== undefined, panel: JSON.parse(panel) };
    this.dispatchEvent(new CustomEvent("chat:assistant", { bubbles: true, detail }));
  }
}

/** @param {Element | null | undefined} element @param {string} level @param {string} words */
function setHealth(element, level, words) {
  if (!element) return;
  element.setAttribute("data-health", level);
  /** @type {HTMLElement} */ (element.querySelector("[data-words]")).textContent = words;
}

customElements.define("chat-menu", ChatMenu);
