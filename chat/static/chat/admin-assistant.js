// The form of an assistant: what belongs to the chosen backend, how long the prompt is, and a question to try it out.

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("#assistant_form"));
const backend = /** @type {HTMLSelectElement | null} */ (form?.querySelector("[name=backend]"));

/** Show the models and the settings of the backend that is chosen now. */
function showBackend() {
  const alias = backend?.value ?? "";
  form?.querySelector("[name=model]")?.setAttribute("list", `models-${alias}`);
  for (const facts of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-backend]"))) {
    facts.hidden = facts.dataset.backend !== alias;
  }
}

/** @param {string} words @param {Record<string, string>} values */
function fill(words, values) {
  return words.replace(/%\((\w+)\)s/g, (_whole, name) => values[name] ?? "");
}

/** About as many tokens as chat/usage.py counts: four bytes of UTF-8 each. */
function countPrompt() {
  const text = /** @type {HTMLTextAreaElement} */ (form?.querySelector("[name=system_prompt]"))?.value ?? "";
  const told = /** @type {HTMLElement | null} */ (form?.querySelector("[data-count]"));
  if (!told) return;
  const tokens = Math.ceil(new TextEncoder().encode(text).length / 4);
  const values = { characters: [...text].length.toLocaleString("en"), tokens: tokens.toLocaleString("en") };
  told.textContent = fill(told.dataset.count ?? "", values);
}

function showAvatar() {
  const avatar = form?.querySelector("[data-avatar]");
  if (avatar) avatar.textContent = /** @type {HTMLInputElement} */ (form?.querySelector("[name=avatar]")).value.trim();
}

if (form && backend) {
  showBackend();
  backend.addEventListener("change", showBackend);
  form.querySelector("[name=system_prompt]")?.addEventListener("input", countPrompt);
  form.querySelector("[name=avatar]")?.addEventListener("input", showAvatar);
}

/** One question after another, answered beside the form. */
class TryOut {
  /** @param {HTMLElement} panel */
  constructor(panel) {
    this.address = panel.dataset.try ?? "";
    this.part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (panel.querySelector(`[data-${name}]`));
    this.words = this.part("words").dataset;
    this.answer = this.part("answer");
    this.prompt = /** @type {HTMLTextAreaElement} */ (panel.querySelector("[name=try_prompt]"));
    /** @type {AbortController | null} */
    this.running = null;
    this.part("ask").addEventListener("click", () => this.ask());
    this.part("stop").addEventListener("click", () => this.running?.abort());
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.ask();
    });
    /** @type {HTMLElement} */ (panel.querySelector(".try-body")).hidden = false;
  }

  async ask() {
    if (this.running) return;
    this.running = new AbortController();
    this.begin();
    try {
      const body = new FormData(/** @type {HTMLFormElement} */ (form));
      const response = await fetch(this.address, { method: "POST", body, signal: this.running.signal });
      if (response.redirected || (!response.ok && !response.headers.get("Content-Type")?.includes("json"))) {
        throw new TypeError("no answer");
      }
      if (response.ok) await this.read(response);
      else this.complain((await response.json()).errors);
    } catch (error) {
      const isStopped = error instanceof DOMException && error.name === "AbortError";
      if (isStopped) this.say(this.words.stopped);
      else this.complain({ "": [this.words.lost ?? ""] });
    } finally {
      this.running = null;
      this.part("ask").hidden = false;
      this.part("stop").hidden = true;
    }
  }

  begin() {
    this.answer.textContent = "";
    this.answer.hidden = false;
    this.part("figures").hidden = true;
    this.part("errors").hidden = true;
    this.part("ask").hidden = true;
    this.part("stop").hidden = false;
    this.part("stop").focus();
    this.say(this.words.answering);
  }

  /** @param {Response} response */
  async read(response) {
    let rest = "";
    let isOver = false;
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const told = JSON.parse(line);
        isOver ||= Boolean(told.end);
        this.take(told);
      }
    }
    if (!isOver) throw new TypeError("cut off");
  }

  /** @param {{text?: string, stage?: string, end?: Record<string, any>}} told */
  take({ text, stage, end }) {
    if (text !== undefined) this.answer.append(text);
    if (stage) this.say(stage);
    if (end) this.finish(end);
  }

  /** @param {Record<string, any>} end */
  finish(end) {
    for (const figure of /** @type {NodeListOf<HTMLElement>} */ (this.part("figures").querySelectorAll("[data-figure]"))) {
      const isGuess = end.is_estimated && figure.dataset.figure !== "first_text" && figure.dataset.figure !== "duration";
      figure.textContent = `${end[figure.dataset.figure ?? ""] || "–"}${isGuess ? ` (${this.words.estimated})` : ""}`;
    }
    this.part("figures").hidden = false;
    if (end.status === "failed") this.complain({ "": [[end.words, end.detail].filter(Boolean).join(" ")] });
    else if (!this.answer.textContent) this.say(this.words.nothing);
    else this.say(end.words || this.words.ready);
  }

  /** @param {Record<string, string[]>} errors */
  complain(errors) {
    const list = this.part("errors");
    const rows = Object.entries(errors).flatMap(([name, found]) => found.map((one) => this.row(name, one)));
    list.replaceChildren(...rows);
    list.hidden = false;
    if (!this.answer.textContent) this.answer.hidden = true;
    this.say("");
    this.part("ask").hidden = false;
    this.part("ask").focus();
  }

  /** @param {string} name @param {string} reason */
  row(name, reason) {
    const row = document.createElement("li");
    const label = document.querySelector(`label[for="id_${name}"]`)?.textContent?.trim() ?? "";
    row.textContent = name && label ? `${label} ${reason}` : reason;
    return row;
  }

  /** @param {string | undefined} words */
  say(words) {
    this.part("state").textContent = words ?? "";
  }
}

const panel = /** @type {HTMLElement | null} */ (document.querySelector("[data-try]"));
if (panel && form) new TryOut(panel);
