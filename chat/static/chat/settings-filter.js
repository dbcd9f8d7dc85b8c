// The filter of the settings page: hides the settings in which the words that are typed are not.

const filter = /** @type {HTMLElement} */ (document.querySelector("[data-filter]"));
const field = /** @type {HTMLInputElement} */ (filter.querySelector("input"));
const found = /** @type {HTMLElement} */ (filter.querySelector("[data-found]"));
const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-setting]")]);
const texts = new Map(rows.map((row) => [row, (row.textContent ?? "").toLowerCase()]));

function apply() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every((word) => texts.get(row)?.includes(word));
  for (const section of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-section]"))) {
    section.hidden = !section.querySelector("[data-setting]:not([hidden])");
  }
  found.textContent = words.length ? `${rows.filter((row) => !row.hidden).length} / ${rows.length}` : "";
}

filter.hidden = false;
field.addEventListener("input", apply);
apply();
