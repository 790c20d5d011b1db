/**
 * Serves the page from the cache: opened once, it starts without a network.
 * `python -m edge.site` writes the version, so that a new site has a new cache.
 */

const VERSION = "development";
const CACHE = `body-mesh-${VERSION}`;

async function install() {
  const response = await fetch("site.json", {cache: "no-cache"});
  const {page} = await response.clone().json();
  const cache = await caches.open(CACHE);
  await cache.put("site.json", response);
  await cache.addAll(page.map((name) => new Request(name, {cache: "no-cache"})));
  await self.skipWaiting();
}

async function activate() {
  for (const name of await caches.keys())
    if (name !== CACHE) await caches.delete(name);
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const cached = await cache.match(request, {ignoreSearch: true});
  if (cached) return cached;
  const response = await fetch(request);
  if (response.status === 200) await cache.put(request, response.clone());
  return response;
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const {request} = event;
  const isOurs = new URL(request.url).origin === self.location.origin;
  if (request.method === "GET" && isOurs) event.respondWith(answer(request));
});
