// What the chat page runs: its elements, the theme button, the menus, the short cut.
import "chat/conversation";
import "chat/composer";
import "chat/edit";
import "chat/actions";
import "chat/branches";
import "chat/feedback";
import "chat/menu";
import "chat/parameters";
import "chat/sidebar";
import "chat/waiting";
import { loadMarkdown } from "chat/answer";

const root = document.documentElement;
const isDark = matchMedia("(prefers-color-scheme: dark)");

for (const button of document.querySelectorAll("[data-theme-button]")) {
  /** @type {HTMLElement} */ (button).hidden = false;
  button.addEventListener("click", () => {
    const now = root.dataset.theme ?? (isDark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    // The theme of the system is no choice: it stays in step when the system changes.
    const isSystem = next === (isDark.matches ? "dark" : "light");
    if (isSystem) delete root.dataset.theme;
    else root.dataset.theme = next;
    document.querySelector("meta[name=color-scheme]")?.setAttribute("content", isSystem ? "light dark" : next);
    document.cookie = `theme=${isSystem ? "" : next}; path=/; max-age=${isSystem ? 0 : 31536000}; samesite=lax`;
  });
}

// Menus close when something else is clicked, and by Escape.
document.addEventListener("click", (event) => {
  for (const details of document.querySelectorAll("details.pop[open]")) {
    if (!(event.target instanceof Node) || !details.contains(event.target)) details.removeAttribute("open");
  }
});
document.addEventListener("keydown", (event) => {
  const open = document.querySelector("details.pop[open]");
  if (event.key === "Escape" && open && !event.isComposing) {
    event.preventDefault();
    open.removeAttribute("open");
    /** @type {HTMLElement | null} */ (open.querySelector("summary"))?.focus();
  }
  if (event.key.toLowerCase() === "o" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    /** @type {HTMLElement | null} */ (document.querySelector("a[data-new]"))?.click();
  }
}, { capture: true });

// Searching: its dialog, and the way to the message that was found.
const search = () => import("chat/search");
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-search]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  search().then((module) => module.open());
});
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  event.preventDefault();
  search().then((module) => module.open());
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const keys of document.querySelectorAll("[data-search-keys]")) keys.textContent = "⌘ K";
}
if (new URLSearchParams(location.search).has("message")) search().then((module) => module.arrive());
// The dialog of shared links comes when it is wanted; its link leads to the page that does the same.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-share]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  link.closest("details")?.removeAttribute("open");
  import("chat/share").then(({ openShare }) => openShare(link)).catch(() => location.assign(link.href));
});

// The renderer, and the options of conversations, come when there is nothing else to do, so that they are there in time.
const idle = globalThis.requestIdleCallback ?? ((/** @type {() => void} */ run) => setTimeout(run, 1500));
idle(() => loadMarkdown());
idle(() => import("chat/options"));

// Most conversations are on the page whole.
if (document.querySelector("[data-past]") || /^#message-/.test(location.hash)) import("chat/past");
