// An import or its undoing, a step after the other until it is done; without a script, each step is a press of a button.
import { post, say } from "chat/page";

/** @param {HTMLFormElement} form */
async function steps(form) {
  const bar = /** @type {HTMLProgressElement} */ (document.querySelector("[data-progress]"));
  const error = /** @type {HTMLElement} */ (document.querySelector("[data-step-error]"));
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll(".buttons button"));
  const data = new FormData(form);
  error.textContent = "";
  for (const button of buttons) button.disabled = true;
  for (;;) {
    const answer = await post(form.action, data);
    if (!answer.ok) {
      error.textContent = answer.reason;
      for (const button of buttons) button.disabled = false;
      return;
    }
    bar.hidden = false;
    bar.max = answer.data.todo || 1;
    bar.value = answer.data.done;
    if (answer.data.over) return location.reload();
  }
}

/** Begin to listen to the forms of the page. */
export function start() {
  document.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if ("steps" in form.dataset) {
      event.preventDefault();
      steps(form);
    } else if ("upload" in form.dataset) {
      // It may take a while, and the browser says little of it.
      /** @type {HTMLElement} */ (form.querySelector("[data-reading]")).textContent = say("reading_file");
    }
  });
  // The way back leads to the page as it was left.
  addEventListener("pageshow", () => {
    for (const line of document.querySelectorAll("[data-reading]")) line.textContent = "";
  });
}
