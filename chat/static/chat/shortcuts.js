// The shortcuts of the page: declared here, bound here, and shown in the sheet that ? opens.
import { say } from "chat/page";

/**
 * @typedef {object} Shortcut
 * @property {string} name  "shortcut_" and it is a key of script_strings
 * @property {string[]} keys  such as "Mod+Shift+O"; Mod is ⌘ on a Mac and Ctrl elsewhere. A key alone is one for readers,
 *   never while somebody types, and can be switched off
 * @property {() => void} [run]  left out where another module listens
 * @property {boolean} [keepsField]  whether it leaves alone a field that somebody has typed into
 * @property {() => boolean} [isThere]  whether the page has what it is for
 */

const root = document.documentElement;
const isMac = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");
/** @param {string} selector @returns {HTMLElement | null} */
const find = (selector) => document.querySelector(selector);

/** @type {Record<string, Shortcut[]>} by the heading in the sheet */
const SHORTCUTS = {
  page: [
    { name: "new", keys: ["Mod+Shift+O"], run: () => find("a[data-new]")?.click() },
    { name: "search", keys: ["Mod+K"], isThere: () => Boolean(find("[data-search]")) },
    { name: "sidebar", keys: ["Mod+Shift+S"], run: toggleSidebar },
    { name: "theme", keys: ["Mod+Shift+L"], run: () => find("[data-theme-button]")?.click() },
    { name: "sheet", keys: ["Mod+/", "?"], run: toggleSheet },
  ],
  conversation: [
    { name: "previous", keys: ["Alt+ArrowUp", "K"], keepsField: true, run: () => move(-1) },
    { name: "next", keys: ["Alt+ArrowDown", "J"], keepsField: true, run: () => move(1) },
    { name: "copy", keys: ["Mod+Shift+C"], run: copyLastAnswer },
    { name: "cancel", keys: ["Escape"] },
  ],
  message: [
    { name: "field", keys: ["/"], run: () => document.getElementById("content")?.focus() },
    { name: "send", keys: ["Enter"], isThere: () => root.dataset.enter !== "newline" },
    { name: "line", keys: ["Shift+Enter"], isThere: () => root.dataset.enter !== "newline" },
    { name: "send", keys: ["Mod+Enter"], isThere: () => root.dataset.enter === "newline" },
    { name: "line", keys: ["Enter"], isThere: () => root.dataset.enter === "newline" },
  ],
};

// ---------- what they do ----------

function toggleSidebar() {
  const opener = find('[data-side="open"]');
  const isOpen = Boolean(find(".side-open")) || !opener?.checkVisibility();
  find(`[data-side="${isOpen ? "close" : "open"}"]`)?.click();
}

function copyLastAnswer() {
  const buttons = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".turn [data-copy=rich]"));
  buttons[buttons.length - 1]?.click();
}

/** @param {number} step  to the message before or after the one with the focus, or that is in view */
function move(step) {
  const turns = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-turns] > .turn")]);
  const focused = turns.indexOf(/** @type {HTMLElement} */ (document.activeElement?.closest(".turn")));
  const top = find(".log")?.getBoundingClientRect().top ?? 0;
  const inView = turns.findIndex((turn) => turn.getBoundingClientRect().bottom > top + 40);
  const at = focused >= 0 ? focused + step : step > 0 ? inView : turns.length - 1;
  const turn = turns[Math.max(0, Math.min(at, turns.length - 1))];
  if (!turn) return;
  turn.tabIndex = -1;
  turn.focus({ preventScroll: true });
  turn.scrollIntoView({ block: turn.offsetHeight > innerHeight / 2 ? "start" : "nearest" });
}

// ---------- the sheet ----------

function toggleSheet() {
  const sheet = /** @type {HTMLDialogElement} */ (document.getElementById("shortcuts"));
  if (sheet.open) return sheet.close();
  find("details.pop[open]")?.removeAttribute("open");
  for (const [group, shortcuts] of Object.entries(SHORTCUTS)) {
    const rows = shortcuts.filter(({ isThere }) => isThere?.() ?? true).map(row).filter((item) => item !== null);
    /** @type {HTMLElement} */ (sheet.querySelector(`[data-group="${group}"]`)).replaceChildren(...rows);
  }
  sheet.showModal();
}

/** @param {Shortcut} shortcut */
function row({ name, keys }) {
  const shown = keys.filter((keyNames) => !isSingle(keyNames) || isSingleAllowed());
  if (!shown.length) return null;
  const line = document.createElement("div");
  const label = document.createElement("dt");
  const list = document.createElement("dd");
  label.textContent = say(`shortcut_${name}`);
  for (const keyNames of shown) {
    const combination = document.createElement("span");
    for (const key of keyNames.split("+")) {
      const element = document.createElement("kbd");
      element.textContent = nameOf(key);
      combination.append(element);
    }
    list.append(combination);
  }
  line.append(label, list);
  return line;
}

/** @param {string} key  a part of a combination @returns {string} what is printed on the key */
export function nameOf(key) {
  /** @type {Record<string, string>} */
  const everywhere = { ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
  /** @type {Record<string, string>} */
  const here = isMac ? { Mod: "⌘", Alt: "⌥", Shift: "⇧", Enter: "↩" } : { Mod: "Ctrl" };
  return here[key] ?? everywhere[key] ?? key;
}

// ---------- the keys ----------

/** @param {string} keyNames */
const isSingle = (keyNames) => keyNames.length === 1;
const isSingleAllowed = () => !("noSingleKeys" in root.dataset);

/**
 * Whether an event is the combination. Letters count by the place of their key where the layout has other letters.
 * @param {string} keyNames
 * @param {{key: string, code: string, ctrlKey: boolean, metaKey: boolean, altKey: boolean, shiftKey: boolean}} event
 * @param {boolean} [onMac]
 */
export function isPressed(keyNames, event, onMac = isMac) {
  const parts = keyNames.split("+");
  const key = /** @type {string} */ (parts.pop());
  const isLetter = /^[A-Z]$/.test(key);
  const pressed = isLetter && !/^[a-z]$/i.test(event.key) ? event.code.replace(/^Key/, "") : event.key.toUpperCase();
  if (pressed !== key.toUpperCase()) return false;
  const mod = parts.includes("Mod");
  if (event.ctrlKey !== (mod && !onMac) || event.metaKey !== (mod && onMac)) return false;
  if (event.altKey !== parts.includes("Alt")) return false;
  // Whether a sign such as ? takes Shift is the layout's business.
  return !(isLetter || key.length > 1) || event.shiftKey === parts.includes("Shift");
}

/** @param {EventTarget | null} target @returns {HTMLElement | null} the field that somebody types into */
function fieldOf(target) {
  if (!(target instanceof HTMLElement)) return null;
  const isField = target.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=button], [type=submit])");
  return isField || target.isContentEditable ? target : null;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  // Half a Korean or Japanese character is being typed; Safari says so only by the key code.
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
  const field = fieldOf(event.target);
  const isBusy = Boolean(find("dialog[open], details.pop[open], :popover-open"));
  for (const { name, keys, run, keepsField, isThere } of Object.values(SHORTCUTS).flat()) {
    const pressed = keys.find((keyNames) => isPressed(keyNames, event));
    if (!run || !pressed || isThere?.() === false) continue;
    if (isSingle(pressed) && (field || isBusy || !isSingleAllowed())) continue;
    // What is open comes first; the sheet alone is closed by its own keys.
    if (isBusy && !(name === "sheet" && find("#shortcuts[open]")) && find("dialog[open]")) continue;
    if (keepsField && field && /** @type {HTMLInputElement} */ (field).value) continue;
    event.preventDefault();
    run();
    return;
  }
}

if (document.getElementById("shortcuts")) {
  document.addEventListener("keydown", onKey, { capture: true });
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-shortcut-sheet]"))) {
    button.hidden = false;
    button.addEventListener("click", toggleSheet);
  }
  document.getElementById("shortcuts")?.addEventListener("click", (event) => {
    // A click beside the sheet is one on the dialog itself.
    if (event.target === event.currentTarget) toggleSheet();
  });
}
