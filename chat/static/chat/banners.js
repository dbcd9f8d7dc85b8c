// Announcements on an open page: dismissed without leaving it, and fetched anew when the site says that they changed.

/** Milliseconds within which open pages come back after a change: not all at once. */
const SPREAD = 3000;

const area = /** @type {HTMLElement | null} */ (document.querySelector("[data-banners]"));

/**
 * Change what is announced without moving what somebody reads.
 * @param {() => void} change
 */
function change(change) {
  const log = document.querySelector("chat-log");
  const scroller = log?.querySelector(".log");
  const before = scroller?.getBoundingClientRect().top ?? 0;
  change();
  if (area) area.hidden = !area.querySelector("[data-banner]");
  if (!scroller) return;
  scroller.scrollTop += scroller.getBoundingClientRect().top - before;
  log?.dispatchEvent(new CustomEvent("chat:grown"));
}

async function refresh() {
  if (!area) return;
  const response = await fetch(area.dataset.banners ?? "", { headers: { Accept: "text/html" } }).catch(() => null);
  if (!response?.ok || response.redirected) return;
  // Made by our own template, in which what people wrote has been through the allowlist of chat/markdown.
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = [...page.querySelectorAll("[data-banner]")];
  const known = new Set([...area.querySelectorAll("[data-banner]")].map((one) => one.getAttribute("data-banner")));
  change(() => area.replaceChildren(...fresh));
  const status = document.querySelector("[data-status-line]");
  const news = fresh.filter((one) => !known.has(one.getAttribute("data-banner")));
  if (status && news.length) status.textContent = news.map((one) => one.querySelector("p")?.textContent ?? "").join(" ");
}

area?.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  event.preventDefault();
  const data = new FormData(form, event.submitter);
  const banner = form.closest("[data-banner]");
  const response = await fetch(form.action, { method: "POST", body: data, headers: { Accept: "application/json" } })
    .catch(() => null);
  // Where it cannot be remembered, it stays: it would be there again on the next page.
  if (!response?.ok) return;
  change(() => banner?.remove());
  document.getElementById("content")?.focus({ preventScroll: true });
});

document.addEventListener("chat:banners", () => setTimeout(refresh, Math.random() * SPREAD));
