// Registers the service worker, which shows a page of ours when the site cannot be reached.

const manifest = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[rel=manifest]"));

// Browsers offer none to pages that came by plain http from another machine.
if (manifest && "serviceWorker" in navigator) {
  navigator.serviceWorker.register(new URL("sw.js", manifest.href)).catch(() => {
    // Storage is full or forbidden: the site works without.
  });
}
