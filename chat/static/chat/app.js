// What the chat page runs: its elements, the theme button, the menus, the shortcuts.
import "chat/conversation";
import "chat/composer";
import "chat/edit";
import "chat/actions";
import "chat/branches";
import "chat/feedback";
import "chat/menu";
import "chat/parameters";
import "chat/shortcuts";
import "chat/sidebar";
import "chat/theme";
import "chat/waiting";
import { loadMarkdown } from "chat/answer";

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
}, { capture: true });

// Searching: its dialog, and the way to the message that was found.
/** @param {string} page  that does the same, where the module does not come */
const search = (page) => import("chat/search").then((module) => module.open()).catch(() => location.assign(page));
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-search]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  search(link.href);
});
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
  const link = /** @type {HTMLAnchorElement | null} */ (document.querySelector("a[data-search]"));
  if (!link) return;
  event.preventDefault();
  search(link.href);
});
if (/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const keys of document.querySelectorAll("[data-search-keys]")) keys.textContent = "⌘ K";
}
if (new URLSearchParams(location.search).has("message")) import("chat/search").then((module) => module.arrive());
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
idle(() => {
  loadMarkdown();
  // What does not come now is asked for again by who wants it.
  import("chat/options").catch(() => {});
  import("chat/worker").catch(() => {});
});
if ("readsAloud" in document.documentElement.dataset) import("chat/speech");

// Most conversations are on the page whole.
if (document.querySelector("[data-past]") || /^#message-/.test(location.hash)) import("chat/past");
