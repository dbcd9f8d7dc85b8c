// <live-board>: keeps the board as it is, from what the server says of it once a second.

/** Milliseconds without a word after which the board is not live any more. */
const PATIENCE = 5000;

/** @type {Record<string, string>} */
const words = JSON.parse(document.getElementById("live-words")?.textContent ?? "{}");

/**
 * @typedef {{ id: number, person: string, assistant: string, backend: string, is_queued: boolean, stage: string,
 *   position: number | null, age: number, tokens: number, rate: number | null, cost: string, worker: string,
 *   conversation: string, title: string }} Answer
 * @typedef {{ alias: string, running: number, queued: number, level: string, is_drained: boolean, message: string }} Line
 * @typedef {{ running: number, queued: number, hidden: number, is_drained: boolean, answers: Answer[],
 *   backends: Line[] }} Board
 */

/** @param {number} seconds */
function clock(seconds) {
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** @param {Answer} answer */
function stageOf(answer) {
  if (answer.stage !== "queued") return words[answer.stage] ?? words.waiting;
  return answer.position ? words.waiting_at.replace("%(number)s", String(answer.position)) : words.waiting;
}

/**
 * Change a text only where it is another one: a selection stays, and nothing is painted anew.
 * @param {ParentNode} within
 * @param {string} selector
 * @param {string | number} text
 */
function put(within, selector, text) {
  const element = within.querySelector(selector);
  if (element && element.textContent !== String(text)) element.textContent = String(text);
}

class LiveBoard extends HTMLElement {
  connectedCallback() {
    this.rows = /** @type {HTMLElement} */ (this.querySelector("[data-rows]"));
    this.template = /** @type {HTMLTemplateElement} */ (this.querySelector("template[data-row]"));
    this.pill = /** @type {HTMLElement} */ (document.querySelector("[data-live]"));
    this.addEventListener("submit", (event) => this.send(event));
    this.source = new EventSource(this.dataset.events ?? "");
    this.source.addEventListener("live.snapshot", (event) => this.show(JSON.parse(event.data)));
    this.source.addEventListener("stream-error", () => this.end());
    this.timer = setInterval(() => this.look(), 1000);
    this.heardAt = performance.now();
  }

  disconnectedCallback() {
    this.source?.close();
    clearInterval(this.timer);
  }

  /** @param {Board} board */
  show(board) {
    this.heardAt = performance.now();
    this.tell("live", words.live);
    put(this, "[data-total-running]", board.running);
    put(this, "[data-total-queued]", board.queued);
    put(this, "[data-hidden-number]", board.hidden);
    this.hide("[data-none]", board.answers.length > 0);
    this.hide("[data-hidden-rows]", !board.hidden);
    for (const line of board.backends) this.showBackend(line);
    const everything = this.querySelector("[data-everything]");
    if (everything) this.showDrained(everything, board.is_drained);
    this.showAnswers(board.answers);
  }

  /** @param {Line} line */
  showBackend(line) {
    const row = this.querySelector(`[data-alias="${CSS.escape(line.alias)}"]`);
    if (!row) return;
    put(row, "[data-running]", line.running);
    put(row, "[data-queued]", line.queued);
    put(row, "[data-message]", line.message);
    const light = /** @type {HTMLElement} */ (row.querySelector("[data-light]"));
    if (!light.classList.contains(`light-${line.level}`)) {
      light.className = `light light-${line.level}`;
      put(row, "[data-level]", words[`level_${line.level}`]);
    }
    this.showDrained(row, line.is_drained);
    const busy = /** @type {HTMLElement | null} */ (row.querySelector("[data-busy]"));
    if (busy) busy.hidden = !(line.running || line.queued);
  }

  /** @param {Element} row @param {boolean} isDrained */
  showDrained(row, isDrained) {
    for (const element of row.querySelectorAll("[data-drained]")) /** @type {HTMLElement} */ (element).hidden = !isDrained;
    for (const element of row.querySelectorAll("[data-undrained]")) /** @type {HTMLElement} */ (element).hidden = isDrained;
  }

  /** @param {Answer[]} answers */
  showAnswers(answers) {
    const rows = new Map([...this.rows.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.answer, row]));
    const ids = new Set(answers.map((answer) => String(answer.id)));
    for (const [id, row] of rows) if (!ids.has(id ?? "")) this.leave(row);
    answers.forEach((answer, index) => {
      const row = /** @type {HTMLElement} */ (rows.get(String(answer.id)) ?? this.newRow(answer));
      this.showAnswer(row, answer);
      // Moved only where it must be: a button that has the focus keeps it.
      const there = this.rows.children[index] ?? null;
      if (there !== row) this.rows.insertBefore(row, there);
    });
  }

  /** Take a row away; where its button had the focus, the next one has it. @param {Element} row */
  leave(row) {
    const hadFocus = row.contains(document.activeElement);
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    if (hadFocus) /** @type {HTMLElement | null} */ (next?.querySelector("button") ?? this.querySelector("summary"))?.focus();
  }

  /** @param {Answer} answer */
  newRow(answer) {
    const row = /** @type {HTMLElement} */ (this.template.content.firstElementChild?.cloneNode(true));
    row.dataset.answer = String(answer.id);
    const form = row.querySelector("form");
    form?.setAttribute("action", (this.dataset.cancel ?? "").replace("/0/", `/${answer.id}/`));
    put(row, "[data-person]", answer.person);
    put(row, "[data-whose]", ` ${answer.person}`);
    put(row, "[data-assistant]", answer.assistant);
    put(row, "[data-backend]", answer.backend);
    return row;
  }

  /** @param {HTMLElement} row @param {Answer} answer */
  showAnswer(row, answer) {
    put(row, "[data-stage]", stageOf(answer));
    const pill = row.querySelector("[data-stage]");
    pill?.classList.toggle("pill-queued", answer.is_queued);
    pill?.classList.toggle("pill-in_progress", !answer.is_queued);
    put(row, "[data-worker]", answer.worker);
    put(row, "[data-age]", clock(answer.age));
    put(row, "[data-tokens]", answer.tokens || "–");
    put(row, "[data-rate]", answer.rate === null ? "–" : answer.rate.toFixed(1));
    put(row, "[data-cost]", answer.cost);
    put(row, "[data-title]", answer.title);
    const link = row.querySelector("[data-title]");
    if (link && answer.conversation && !link.hasAttribute("href")) {
      const address = (this.dataset.conversation ?? "").replace("00000000-0000-0000-0000-000000000000", answer.conversation);
      link.setAttribute("href", address);
    }
  }

  /** @param {string} selector @param {boolean} isHidden */
  hide(selector, isHidden) {
    const element = /** @type {HTMLElement | null} */ (this.querySelector(selector));
    if (element) element.hidden = isHidden;
  }

  /** @param {string} state @param {string} text */
  tell(state, text) {
    this.pill.hidden = false;
    if (this.pill.dataset.live !== state) {
      this.pill.dataset.live = state;
      this.pill.className = state === "live" ? "pill pill-live" : "pill pill-warn";
      this.pill.textContent = text;
      if (state !== "live") this.say(text);
    }
  }

  look() {
    if (this.source?.readyState === EventSource.CLOSED) this.end();
    else if (performance.now() - this.heardAt > PATIENCE) this.tell("away", words.away);
  }

  end() {
    this.source?.close();
    clearInterval(this.timer);
    this.tell("ended", words.ended);
  }

  /** @param {string} text */
  say(text) {
    put(this, "[data-said]", text);
  }

  /** Send a form without leaving the page; what came of it is said, and seen on the board. @param {SubmitEvent} event */
  async send(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    event.preventDefault();
    const body = new FormData(form, button);
    if (button) button.disabled = true;
    try {
      const response = await fetch(form.getAttribute("action") ?? "", { method: "POST", body, headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      this.say((await response.json()).said);
      form.closest("details")?.removeAttribute("open");
      form.reset();
    } catch {
      this.say(words.failed);
      this.tell("failed", words.failed);
    } finally {
      if (button) button.disabled = false;
    }
  }
}

customElements.define("live-board", LiveBoard);
