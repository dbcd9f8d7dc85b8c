// A rehearsal while it runs: how far it is, answers as they come, votes without a new page.

const panel = /** @type {HTMLElement | null} */ (document.querySelector("[data-rehearsal]"));
const EVERY = 2000;

/** Put what the server shows now in the place of what is shown. @param {string[]} questions */
async function refresh(questions) {
  const response = await fetch(location.href).catch(() => null);
  if (!response?.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const question of questions) {
    const [old, now] = [document, fresh].map((page) => page.getElementById(`question-${question}`));
    // Who is about to vote keeps the place.
    if (old && now && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(now));
  }
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.querySelector(`[data-live="${old.getAttribute("data-live")}"]`);
    if (now && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(now));
  }
}

async function look() {
  if (!panel) return;
  const response = await fetch(panel.dataset.rehearsal ?? "", { headers: { Accept: "application/json" } }).catch(() => null);
  if (response?.redirected || response?.status === 404) return;
  if (!response?.ok) {
    setTimeout(look, 5 * EVERY);
    return;
  }
  const told = await response.json();
  /** @type {HTMLProgressElement} */ (panel.querySelector("progress")).value = told.percent;
  const words = /** @type {HTMLElement} */ (panel.querySelector("[data-words]"));
  if (words.textContent !== told.words) words.textContent = told.words;
  const rows = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-question]"));
  const changed = [...rows].filter((row) => told.states[row.dataset.question ?? ""] !== row.dataset.states);
  if (changed.length || !told.to_come) await refresh(changed.map((row) => row.dataset.question ?? ""));
  if (told.to_come) setTimeout(look, EVERY);
}

/** @param {SubmitEvent} event */
async function vote(event) {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (!form.matches("[data-vote]") || !button) return;
  event.preventDefault();
  const body = new FormData(form, button);
  const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
  if (!response?.ok || response.redirected) {
    location.reload();
    return;
  }
  const told = await response.json();
  for (const one of /** @type {NodeListOf<HTMLButtonElement>} */ (form.querySelectorAll("[data-choice]"))) {
    const isChosen = one.dataset.choice === told.choice;
    one.ariaPressed = String(isChosen);
    one.value = isChosen ? "" : (one.dataset.choice ?? "");
  }
  for (const [choice, number] of Object.entries(told.votes)) {
    const shown = panel?.querySelector(`[data-votes="${choice}"]`);
    if (shown) shown.textContent = String(number);
  }
}

if (panel) {
  document.addEventListener("submit", vote);
  if (Number(panel.dataset.toCome)) setTimeout(look, EVERY / 2);
}
