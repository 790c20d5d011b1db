/**
 * LiteRT.js gives the answers of ai-edge-litert: on the CPU, and on a GPU of
 * software.
 */

import assert from "node:assert/strict";
import test from "node:test";

import {launch, open, serve} from "./browser.js";
import {FOLDER} from "./vectors.js";

/** Largest difference of any output, by network and where it runs. */
const BARS = {
  wasm: {
    image_float32: 1e-5, image_float16: 1e-5, image_w8: 1e-5, boxed: 1e-5,
    lifter: 1e-5, image_int8: 1e-5,
  },
  webgpu: {
    image_float32: 1e-4, image_float16: 1e-4, image_w8: 2e-3, boxed: 1e-4,
  },
};

/** In the page: the largest difference of a network's outputs, by name. */
async function differences({name, accelerator}) {
  const {Network} = await import("./network.js");
  const folder = "vectors/networks/";
  const {networks} = await (await fetch(folder + "vectors.json")).json();
  const entry = networks.find((network) => network.name === name);
  const buffer = async (file) => (await fetch(folder + file)).arrayBuffer();
  const array = async ({file, dtype}) =>
    dtype === "uint8"
      ? new Uint8Array(await buffer(file))
      : new Float32Array(await buffer(file));
  const network = await Network.load(new Uint8Array(await buffer(entry.tflite)));
  if (accelerator === "webgpu") {
    await network.compileForGpu("fp32");
    network.useGpu();
  }
  const largest = {};
  for (const person of entry.people) {
    const inputs = {};
    for (const [key, value] of Object.entries(person.inputs))
      inputs[key] = await array(value);
    const outputs = await network.run(inputs);
    for (const [key, value] of Object.entries(person.outputs)) {
      const expected = await array(value);
      const found = outputs[key];
      let worst = found.length === expected.length ? 0 : Infinity;
      for (let at = 0; at < found.length; at++)
        worst = Math.max(worst, Math.abs(found[at] - expected[at]));
      largest[key] = Math.max(largest[key] ?? 0, worst);
    }
  }
  const {failure} = network;
  network.delete();
  if (failure) throw new Error(failure);
  return {largest, people: entry.people.length};
}

for (const [accelerator, bars] of Object.entries(BARS)) {
  test(`on ${accelerator}`, async (t) => {
    const site = await serve(t, {vectors: FOLDER});
    const browser = await launch(t, {webgpu: accelerator === "webgpu"});
    const page = await open(await browser.newContext(), site.url);
    for (const [name, bar] of Object.entries(bars))
      await t.test(name, async () => {
        const {largest, people} = await page.evaluate(
          differences, {name, accelerator});
        t.diagnostic(`${name}: ${JSON.stringify(largest)}`);
        assert.equal(people, 12);
        assert.equal(Object.keys(largest).length, 6);
        for (const [key, value] of Object.entries(largest))
          assert.ok(value <= bar, `${key}: ${value}, at most ${bar}`);
      });
  });
}
