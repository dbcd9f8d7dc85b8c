{% load chat_page %}// The service worker: a page for when the site cannot be reached, and hashed files that never change.
// It keeps no page of a person and no answer: those come from the site or not at all.
const site = {{ site|as_script }};
const cacheName = `site-${site.version}`;
/** A name with a hash of what is in it, as collectstatic makes them. */
const HASHED = /\.[0-9a-f]{12}\.\w+$/;

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

async function install() {
  const cache = await caches.open(cacheName);
  await cache.addAll([new Request(site.offline, { cache: "reload" }), ...site.shell]);
  // Nothing that an open page uses is changed by it: files have other names when they are others.
  await self.skipWaiting();
}

self.addEventListener("activate", (event) => {
  event.waitUntil(activate());
});

async function activate() {
  for (const name of await caches.keys()) if (name !== cacheName) await caches.delete(name);
  // The page is asked for while this script is still starting.
  await self.registration.navigationPreload?.enable();
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(event));
  else if (site.shell.includes(url.pathname) || (url.pathname.startsWith(site.static) && HASHED.test(url.pathname))) {
    event.respondWith(file(request));
  }
});

/** @param {FetchEvent} event */
async function page(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match(site.offline)) ?? Response.error();
  }
}

/** @param {Request} request */
async function file(request) {
  const cache = await caches.open(cacheName);
  // A file whose name does not say what is in it is asked for anew, and kept for when nobody answers.
  if (!HASHED.test(new URL(request.url).pathname)) return fetch(request).catch(() => cache.match(request));
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok && response.type === "basic") await cache.put(request, response.clone());
  return response;
}
