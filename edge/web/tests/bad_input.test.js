/** Bad input is one line on the page, and the page goes on. */

import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";

import {INPUTS, finished, launch, open, says, serve} from "./browser.js";

const input = (name) => path.join(INPUTS, name);
const PERSON = input("person.png");
const BAD_MODELS = {
  cut: /^cut cannot be used: not the \d+ bytes that it was$/,
  flipped: /^flipped cannot be used: damaged, its sha256 is not that of its/,
  lacking: /^lacking cannot be used: its card lacks crop\.scale$/,
  other_body: /^other_body cannot be used: its \.mesh\.npz is of another body$/,
  no_zip: /^no_zip cannot be used: its \.mesh\.npz is damaged$/,
};

async function refused(page, pattern) {
  await says(page, pattern);
  await finished(page);
  assert.ok(await page.evaluate(() =>
    document.getElementById("state").classList.contains("error")));
}

async function photoWorks(page) {
  await page.setInputFiles("#photo", PERSON);
  await says(page, /^1 person$/);
  await finished(page);
}

test("bad files", async (t) => {
  const site = await serve(t);
  const browser = await launch(t);
  const page = await open(await browser.newContext(), site.url);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));

  for (const [name, pattern] of Object.entries(BAD_MODELS))
    await t.test(`model: ${name}`, async () => {
      await page.setInputFiles("#model-files",
        [".tflite", ".card.json", ".mesh.npz"].map((e) => input(name + e)));
      await refused(page, pattern);
    });

  await t.test("model: a file is missing", async () => {
    await page.setInputFiles("#model-files", input("cut.tflite"));
    await refused(page, /^cut\.card\.json is missing: choose/);
  });

  await t.test("after which the last model is used", () => photoWorks(page));

  await t.test("no picture, no video", async () => {
    await page.setInputFiles("#photo", input("no_picture.jpg"));
    await refused(page, /^no_picture\.jpg is no picture/);
    await page.setInputFiles("#video", input("no_picture.jpg"));
    await refused(page, /^no_picture\.jpg is no video/);
  });

  await t.test("nobody", async () => {
    await page.setInputFiles("#photo", input("nobody.png"));
    await refused(page, /^Nobody found\. Draw a box around a person\.$/);
    assert.ok(await page.isEnabled("#choose"));
    assert.ok(await page.isDisabled("#save-body"));
  });

  await t.test("no camera", async () => {
    await page.click("#camera");
    await refused(page, /camera/);
    await photoWorks(page);
  });
  assert.deepEqual(errors, []);
});

test("cameras that are refused, or unplugged", async (t) => {
  const site = await serve(t);
  const camera = input("camera.mjpeg");

  await t.test("refused", async (t) => {
    const browser = await launch(t, {camera});
    const context = await browser.newContext();
    await context.addInitScript(() => {
      navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("no", "NotAllowedError");
      };
    });
    const page = await open(context, site.url);
    await page.click("#camera");
    await refused(page, /^the camera is not allowed/);
  });

  await t.test("unplugged", async (t) => {
    const browser = await launch(t, {camera});
    const context = await browser.newContext({permissions: ["camera"]});
    await context.addInitScript(() => {
      const {mediaDevices} = navigator;
      const getUserMedia = mediaDevices.getUserMedia.bind(mediaDevices);
      mediaDevices.getUserMedia = async (wanted) => {
        window.stream = await getUserMedia(wanted);
        return window.stream;
      };
    });
    const page = await open(context, site.url);
    await page.click("#camera");
    await page.waitForFunction(() =>
      Number(document.getElementById("figures").dataset.frames) > 0);
    await page.evaluate(() =>
      window.stream.getVideoTracks()[0].dispatchEvent(new Event("ended")));
    await refused(page, /^the camera is gone/);
    await photoWorks(page);
  });
});

test("a GPU that is lost while running", async (t) => {
  const site = await serve(t);
  const browser = await launch(t, {webgpu: true});
  const page = await open(await browser.newContext(), site.url);
  await photoWorks(page);
  await page.waitForFunction(
    () => document.getElementById("device").textContent === "GPU",
    null, {timeout: 240_000});
  await finished(page);
  await page.evaluate(async () => {
    const {getWebGpuDevice} = await import("./vendor/litert/index.js");
    getWebGpuDevice().destroy();
  });
  await photoWorks(page);
  assert.match(
    await page.textContent("#device"), /^CPU: the GPU was lost \(destroyed\)$/);
});
