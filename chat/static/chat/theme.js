// The button that switches between light and dark, and what browsers paint around the page.

const root = document.documentElement;
const isDark = matchMedia("(prefers-color-scheme: dark)");
/** @type {Record<string, string>} --bg-side of tokens.css */
const AROUND = { light: "#f6f7f6", dark: "#111315" };

/** @param {string} theme  light, dark, or empty for the one of the system */
function show(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  document.querySelector("meta[name=color-scheme]")?.setAttribute("content", theme || "light dark");
  for (const meta of /** @type {NodeListOf<HTMLMetaElement>} */ (document.querySelectorAll("meta[name=theme-color]"))) {
    meta.content = AROUND[theme || (meta.media.includes("dark") ? "dark" : "light")];
  }
}

for (const button of document.querySelectorAll("[data-theme-button]")) {
  /** @type {HTMLElement} */ (button).hidden = false;
  button.addEventListener("click", () => {
    const now = root.dataset.theme ?? (isDark.matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    // The theme of the system is no choice: it stays in step when the system changes.
    const chosen = next === (isDark.matches ? "dark" : "light") ? "" : next;
    show(chosen);
    document.cookie = `theme=${chosen}; path=/; max-age=${chosen ? 31536000 : 0}; samesite=lax`;
  });
}
