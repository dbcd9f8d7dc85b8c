// The order of the assistants: rows are dragged by their grip, and moved by their buttons without a new page.

const state = /** @type {HTMLElement | null} */ (document.querySelector("[data-order]"));
const body = /** @type {HTMLTableSectionElement | null} */ (document.querySelector("#result_list tbody"));

/** @param {Element} row @returns {HTMLElement} */
const placeOf = (row) => /** @type {HTMLElement} */ (row.querySelector("[data-place]"));
/** @returns {HTMLTableRowElement[]} */
const rows = () => [...(body?.rows ?? [])].filter((row) => row.querySelector("[data-place]"));
const order = () => rows().map((row) => placeOf(row).dataset.place ?? "");

/** @param {Element} row */
function tell(row) {
  const values = { name: placeOf(row).dataset.name ?? "", place: String(rows().indexOf(/** @type {any} */ (row)) + 1), number: String(rows().length) };
  if (state) state.textContent = (state.dataset.moved ?? "").replace(/%\((\w+)\)s/g, (_all, name) => values[/** @type {"name"} */ (name)]);
}

/** Store what the list shows now; where that fails, show what is stored. @param {Element} row @param {string[]} before */
async function store(row, before) {
  const data = new FormData();
  data.set("order", order().join(","));
  data.set("csrfmiddlewaretoken", /** @type {HTMLInputElement} */ (document.querySelector("#changelist-form [name=csrfmiddlewaretoken]")).value);
  const response = await fetch(state?.dataset.order ?? "", { method: "POST", body: data, headers: { Accept: "application/json" } }).catch(() => null);
  if (response?.ok && !response.redirected) return tell(row);
  show(before);
  if (state) {
    state.textContent = state.dataset.lost ?? "";
    state.classList.remove("visually-hidden");
    state.classList.add("errornote");
  }
}

/** @param {string[]} wanted */
function show(wanted) {
  const byPlace = new Map(rows().map((row) => [placeOf(row).dataset.place ?? "", row]));
  body?.append(...wanted.map((place) => byPlace.get(place)).filter((row) => row !== undefined));
}

/** @param {MouseEvent} event */
function move(event) {
  const button = /** @type {HTMLElement} */ (event.target).closest("button[name=move]");
  const row = button?.closest("tr");
  if (!button || !row) return;
  event.preventDefault();
  const before = order();
  const isUp = /** @type {HTMLButtonElement} */ (button).value.endsWith(":up");
  const other = isUp ? row.previousElementSibling : row.nextElementSibling;
  if (!other) return;
  // The other one moves, so that the button keeps the focus.
  if (isUp) row.after(other);
  else row.before(other);
  store(row, before);
}

/** @param {Element} row */
function middle(row) {
  const { top, height } = row.getBoundingClientRect();
  return top + height / 2;
}

/** @param {PointerEvent} down */
function drag(down) {
  const grip = /** @type {HTMLElement} */ (down.target).closest(".grip");
  const row = grip?.closest("tr");
  if (!grip || !row || down.button !== 0) return;
  down.preventDefault();
  const before = order();
  grip.setPointerCapture(down.pointerId);
  row.classList.add("is-dragged");
  const follow = (/** @type {Event} */ event) => {
    const height = /** @type {PointerEvent} */ (event).clientY;
    const all = rows();
    const place = all.indexOf(row);
    // The others move: a row that leaves the document, even for a moment, loses the pointer.
    row.after(...all.slice(0, place).filter((other) => middle(other) > height));
    row.before(...all.slice(place + 1).filter((other) => middle(other) < height));
  };
  const drop = (/** @type {Event} */ event) => {
    grip.removeEventListener("pointermove", follow);
    row.classList.remove("is-dragged");
    if (event.type === "pointercancel") show(before);
    else if (order().join() !== before.join()) store(row, before);
  };
  grip.addEventListener("pointermove", follow);
  grip.addEventListener("pointerup", drop, { once: true });
  grip.addEventListener("pointercancel", drop, { once: true });
}

if (body && state) {
  for (const row of rows()) {
    const grip = document.createElement("span");
    grip.className = "grip";
    grip.title = state.dataset.drag ?? "";
    grip.ariaHidden = "true"; // the buttons beside it do the same
    grip.textContent = "⠿";
    placeOf(row).prepend(grip);
  }
  body.addEventListener("click", move);
  body.addEventListener("pointerdown", drag);
}
