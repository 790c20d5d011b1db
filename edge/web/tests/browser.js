/** Chromium with the page, served at localhost. */

import fs from "node:fs";
import http from "node:http";
import path from "node:path";

import {chromium} from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".css": "text/css",
  ".wasm": "application/wasm", ".svg": "image/svg+xml",
  ".json": "application/json", ".webmanifest": "application/manifest+json",
};

/** The site that edge.site wrote, and the folder of inputs. */
export const {SITE, INPUTS} = process.env;

const QUIET = [
  "--no-sandbox", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-domain-reliability",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
];
const SOFTWARE_GL = [
  "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
];
const WEBGPU = [
  "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
];

/**
 * Serves folders by the first part of an address; the site is "".
 * @param {import("node:test").TestContext} t which ends it
 * @param {Object<string, string>} folders
 */
export async function serve(t, folders = {}) {
  const server = http.createServer((request, response) => {
    const address = decodeURIComponent(request.url.split("?")[0]);
    const [, first, ...rest] = address.split("/");
    const file = folders[first]
      ? path.join(folders[first], ...rest)
      : path.join(SITE, address.endsWith("/") ? "index.html" : address);
    if (!fs.existsSync(file)) {
      response.writeHead(404);
      response.end();
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[path.extname(file)] ?? "application/octet-stream",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    fs.createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {url: `http://localhost:${server.address().port}/`, server};
}

/**
 * Starts Chromium.
 * @param {import("node:test").TestContext} t which ends it
 * @param {{webgpu?: boolean, camera?: string}} options camera: an .mjpeg that
 *   plays the camera
 */
export async function launch(t, {webgpu = false, camera = ""} = {}) {
  const flags = [...QUIET, ...SOFTWARE_GL];
  if (webgpu) flags.push(...WEBGPU);
  if (camera)
    flags.push(
      "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
      `--use-file-for-fake-video-capture=${camera}`);
  const browser = await chromium.launch(
    {executablePath: CHROMIUM, args: flags});
  t.after(() => browser.close());
  return browser;
}

/**
 * Opens the page in a context, until it is ready.
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} url
 */
export async function open(context, url) {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error("page:", error.message));
  await page.goto(url);
  await ready(page);
  return page;
}

/** Waits until networks are loaded. */
export const ready = (page) =>
  page.waitForSelector("#device[data-ready]", {timeout: 120_000});

/** Waits for what the page says. */
export const says = (page, pattern) =>
  page.waitForFunction(
    ([source]) =>
      new RegExp(source).test(document.getElementById("state").textContent),
    [pattern.source], {timeout: 120_000});

/** Waits until the page is busy with nothing. */
export const finished = (page) =>
  page.waitForFunction(
    () => document.getElementById("busy").hidden, null, {timeout: 120_000});
