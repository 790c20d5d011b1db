/**
 * Starts the page once its service worker serves it: what is fetched from then
 * on is there without a network too.
 */

const PATIENCE_MS = 4000;

async function serviceWorker() {
  const {serviceWorker: container} = navigator;
  if (!container) return; // Neither https nor localhost.
  const controlled = new Promise((resolve) => {
    if (container.controller) resolve();
    container.addEventListener("controllerchange", () => resolve());
  });
  await container.register("sw.js");
  await Promise.race([
    controlled, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS)),
  ]);
}

await serviceWorker().catch((error) => console.warn(error.message));
await import("./app.js");
