/** Without a network, without strangers, for everybody. */

import assert from "node:assert/strict";
import {createRequire} from "node:module";
import fs from "node:fs";
import path from "node:path";
import test from "node:test";

import {INPUTS, finished, launch, open, ready, says, serve} from "./browser.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PERSON = path.join(INPUTS, "person.png");

test("opened once, it starts without a network", async (t) => {
  const site = await serve(t);
  const browser = await launch(t);
  const context = await browser.newContext();
  const hosts = new Set();
  context.on("request", (request) => {
    const {protocol, hostname} = new URL(request.url());
    if (protocol.startsWith("http")) hosts.add(hostname);
  });
  const page = await open(context, site.url);
  await page.setInputFiles("#photo", PERSON);
  await says(page, /^1 person$/);
  await finished(page);
  const gone = new Promise((resolve) => site.server.close(resolve));
  site.server.closeAllConnections();
  await gone;
  await page.reload();
  await ready(page);
  await page.setInputFiles("#photo", PERSON);
  await says(page, /^1 person$/);
  assert.deepEqual([...hosts], ["localhost"]);
});

test("axe finds no serious fault", async (t) => {
  const site = await serve(t);
  const browser = await launch(t);
  const source = fs.readFileSync(AXE, "utf8");
  const faults = async (page) => {
    const {violations} = await page.evaluate(() => window.axe.run());
    return violations
      .filter(({impact}) => ["serious", "critical"].includes(impact))
      .map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html).join(" ")}`);
  };
  for (const colorScheme of ["light", "dark"])
    await t.test(colorScheme, async () => {
      const context = await browser.newContext({
        colorScheme, viewport: {width: 390, height: 844},
      });
      const page = await open(context, site.url);
      await page.evaluate(source);
      assert.deepEqual(await faults(page), [], "at the start");
      await page.setInputFiles("#photo", PERSON);
      await says(page, /^1 person$/);
      await finished(page);
      await page.click("summary");
      assert.deepEqual(await faults(page), [], "with a person, settings open");
      await page.keyboard.press("Escape");
      for (const view of ["#turn", "#choose"]) {
        await page.click(view);
        assert.deepEqual(await faults(page), [], view);
      }
      await context.close();
    });
});
