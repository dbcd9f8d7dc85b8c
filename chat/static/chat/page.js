// What every part of the chat page uses: words, symbols, requests, the clipboard, the status line.

/** @type {Record<string, string>} */
const strings = JSON.parse(document.getElementById("strings")?.textContent ?? "{}");

/**
 * @param {string} name  a key of script_strings in chat/templatetags/chat_page.py
 * @param {string | number} [number]
 */
export function say(name, number = "") {
  return (strings[name] ?? name).replace("%(number)s", String(number)).replace("%%", "%");
}

/** @param {string} name of a symbol in templates/_icons.html */
export function icon(name, css = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `i ${css}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let repeating;
let saidAt = -Infinity;

/**
 * Say something to a screen reader, once.
 * @param {string} text
 */
export function announce(text) {
  const line = document.querySelector("[data-status-line]");
  if (!line) return;
  const isRepeated = line.textContent === text;
  // A turn that comes twice is one piece of news.
  if (isRepeated && performance.now() - saidAt < 2000) return;
  saidAt = performance.now();
  clearTimeout(repeating);
  if (!isRepeated) {
    line.textContent = text;
    return;
  }
  // The same words again are no change, and would not be spoken.
  line.textContent = "";
  repeating = setTimeout(() => {
    line.textContent = text;
  }, 100);
}

/** @typedef {{ok: boolean, status: number, data: any, reason: string}} Answer */

/**
 * Send a form. Never throws: `reason` says in words what went wrong.
 * @param {string} url
 * @param {FormData} data
 * @returns {Promise<Answer>}
 */
export async function post(url, data) {
  let response;
  try {
    response = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
  } catch {
    return { ok: false, status: 0, data: null, reason: say("not_done") };
  }
  const isJson = response.headers.get("Content-Type")?.includes("json");
  const body = isJson ? await response.json().catch(() => null) : null;
  // Somebody who is signed out is sent to the log-in page, which is no answer to us.
  const status = response.redirected ? 401 : response.status;
  const ok = response.ok && status !== 401;
  return { ok, status, data: body, reason: ok ? "" : reasonOf(status, body) };
}

/** @param {number} status @param {any} body */
function reasonOf(status, body) {
  const errors = Object.values(body?.errors ?? {}).flat();
  if (errors.length) return errors.join(" ");
  /** @type {Record<number, string>} */
  const known = { 401: "signed_out", 403: "forbidden", 409: "busy", 429: "too_many" };
  return say(known[status] ?? "server_error");
}

/**
 * A random UUID, also where the page came by plain http and crypto.randomUUID is missing.
 * @returns {string}
 */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard on pages that came by plain http: the old way.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
