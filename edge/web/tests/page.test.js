/** What a person does with the page, and what comes out of it. */

import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";

import {INPUTS, finished, launch, open, says, serve} from "./browser.js";
import {difference} from "./vectors.js";

const {PYTHON, ROOT, SHOTS} = process.env;
const PERSON = path.join(INPUTS, "person.png");
const TRACKED_FRAMES = 40;
const VIDEO_FRAMES = 5;

async function saved(page, button) {
  const [download] = await Promise.all([
    page.waitForEvent("download"), page.click(button),
  ]);
  return {
    name: download.suggestedFilename(),
    content: fs.readFileSync(await download.path()),
  };
}

async function lines(page) {
  const {name, content} = await saved(page, "#save-lines");
  const rows = content.toString().trim().split("\n");
  return {name, lines: rows.map((line) => JSON.parse(line))};
}

function python(...words) {
  return execFileSync(PYTHON, words, {cwd: ROOT, encoding: "utf8"});
}

/** The line of run.py for a box of the photo. */
function ofRun(model, box) {
  const out = fs.mkdtempSync(path.join(os.tmpdir(), "run-"));
  python(
    "edge/run.py", model, PERSON, "--box", ...box.map(String), "--out", out);
  const text = fs.readFileSync(path.join(out, "person.jsonl"), "utf8");
  fs.rmSync(out, {recursive: true});
  return JSON.parse(text);
}

test("a photo gives what Python gives", async (t) => {
  const site = await serve(t);
  const browser = await launch(t);
  const page = await open(await browser.newContext(), site.url);

  await t.test("by an image network, as run.py", async () => {
    await page.setInputFiles("#photo", PERSON);
    await says(page, /^1 person$/);
    const {name, lines: [line, ...rest]} = await lines(page);
    assert.equal(name, "person.jsonl");
    assert.equal(rest.length, 0);
    const model = path.join(
      process.env.PHONE_VECTORS, "networks", "image_float32.tflite");
    const expected = ofRun(model, line.box_px);
    assert.deepEqual(Object.keys(line), Object.keys(expected).filter(
      (key) => key !== "ms").toSpliced(
      Object.keys(line).indexOf("ms"), 0, "ms"));
    assert.equal(line.state, expected.state);
    const worst = difference(line.joints_m.flat(), expected.joints_m.flat());
    t.diagnostic(`joints differ by ${(1000 * worst).toFixed(4)} mm`);
    assert.ok(worst <= 1e-3);
    const pixels = difference(
      line.keypoints_px.flat(), expected.keypoints_px.flat());
    assert.ok(pixels <= 0.1, `${pixels} px`);
    assert.deepEqual(Object.keys(line.ms), ["crop", "model", "smooth", "draw"]);
  });

  await t.test("by the lifter, as tf_hmr", async () => {
    await page.click("summary");
    await page.selectOption("#model", "lifter");
    await page.waitForFunction(() =>
      document.getElementById("licence").textContent.startsWith("lifter"));
    await finished(page);
    await says(page, /^1 person$/);
    const {lines: [line]} = await lines(page);
    const expected = JSON.parse(
      fs.readFileSync(path.join(INPUTS, "person.json"), "utf8"));
    const worst = difference(line.joints_m.flat(), expected.joints_m.flat());
    t.diagnostic(`joints differ by ${(1000 * worst).toFixed(4)} mm`);
    assert.ok(worst <= 1e-3);
    assert.ok(difference(
      line.keypoints_px.flat(), expected.keypoints_px.flat()) <= 0.1);
  });

  await t.test("a finger's box is another person's", async () => {
    await page.click("#choose");
    const {x, y, width, height} =
      await page.locator("#canvas").boundingBox();
    const side = Math.min(width, height);
    const [left, top] = [x + (width - side) / 2, y + (height - side) / 2];
    await page.mouse.move(left + 0.2 * side, top + 0.1 * side);
    await page.mouse.down();
    await page.mouse.move(left + 0.8 * side, top + 0.9 * side, {steps: 3});
    await page.mouse.up();
    await finished(page);
    const {lines: [line]} = await lines(page);
    assert.ok(difference(
      line.box_px, [51.2, 25.6, 153.6, 204.8]) <= 256 / side + 0.1);
  });

  await t.test("keys draw a box", async () => {
    await page.focus("#choose");
    await page.keyboard.press("Enter");
    for (const key of ["ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Enter"])
      await page.keyboard.press(key);
    await finished(page);
    const {lines: [line]} = await lines(page);
    const step = 0.02 * 256;
    assert.ok(difference(line.box_px, [
      0.3 * 256 - step, 0.1 * 256 - step, 0.4 * 256 + step, 0.8 * 256,
    ]) <= 0.5);
  });

  await t.test("the body and the picture are saved", async () => {
    const body = await saved(page, "#save-body");
    assert.equal(body.name, "person.glb");
    const file = path.join(os.tmpdir(), `body-${process.pid}.glb`);
    fs.writeFileSync(file, body.content);
    const [vertices, volume, height] = JSON.parse(python("-c", [
      "import trimesh, sys",
      "mesh = trimesh.load(sys.argv[1], force='mesh')",
      "print(list(map(float, (len(mesh.vertices), mesh.volume, mesh.extents[1]))))",
    ].join("\n"), file));
    fs.rmSync(file);
    assert.equal(vertices, 6890);
    // Of one whose triangles face outwards.
    assert.ok(volume > 0.03 && volume < 0.2, `${volume} cubic metres`);
    assert.ok(height > 0.8 && height < 2.2, `${height} m`);
    const picture = await saved(page, "#save-picture");
    assert.equal(picture.name, "person_overlay.png");
    assert.equal(picture.content.toString("latin1", 1, 4), "PNG");
    assert.equal(picture.content.readUInt32BE(16), 256);
  });

  await t.test("arrow keys turn the body", async () => {
    await page.click("#turn");
    const shown = () => page.locator("#canvas").screenshot();
    const before = await shown();
    await page.focus("#canvas");
    await page.keyboard.press("ArrowRight");
    assert.notDeepEqual(await shown(), before);
    await page.keyboard.press("Escape");
    assert.equal(
      await page.locator("#stage").getAttribute("data-view"), "picture");
  });
});

test("a video's person is followed to its end", async (t) => {
  const site = await serve(t);
  const browser = await launch(t);
  const page = await open(await browser.newContext(), site.url);
  await page.click("summary");
  await page.selectOption("#model", "lifter");
  await page.waitForFunction(() =>
    document.getElementById("licence").textContent.startsWith("lifter"));
  await finished(page);
  await page.setInputFiles("#video", path.join(INPUTS, "still.webm"));
  await page.waitForFunction(
    (count) => Number(
      document.getElementById("figures").dataset.frames) >= count,
    VIDEO_FRAMES, {timeout: 60_000});
  const {name, lines: rows} = await lines(page);
  assert.equal(name, "still.jsonl");
  const [first] = rows;
  const tracked = rows.filter(
    ({track, state}) => track === first.track && state === "tracked");
  assert.ok(tracked.length >= VIDEO_FRAMES - 2, `${tracked.length} frames`);
  assert.ok(difference(
    tracked.at(-1).keypoints_px.flat(), first.keypoints_px.flat()) < 20,
  "a still's person stays");
});

test("the camera's person is followed", async (t) => {
  const site = await serve(t);
  const browser = await launch(t, {camera: path.join(INPUTS, "camera.mjpeg")});
  const context = await browser.newContext({
    viewport: {width: 390, height: 844}, deviceScaleFactor: 2,
    permissions: ["camera"],
  });
  const page = await open(context, site.url);
  await page.click("summary");
  await page.selectOption("#model", "lifter");
  await page.waitForFunction(() =>
    document.getElementById("licence").textContent.startsWith("lifter"));
  await finished(page);
  await page.click("#camera");
  await page.waitForFunction(
    (count) => Number(
      document.getElementById("figures").dataset.frames) >= count,
    TRACKED_FRAMES + 2, {timeout: 240_000});
  await page.screenshot({path: path.join(SHOTS, "camera.png")});
  assert.match(await page.textContent("#figures"), /fps/);
  const {lines: rows} = await lines(page);
  const tracked = rows.filter(
    ({track, state}) => track === rows[0].track && state === "tracked");
  assert.ok(tracked.length >= TRACKED_FRAMES, `${tracked.length} frames`);
  const keypoints = tracked.at(-1).keypoints_px;
  const [first] = tracked;
  assert.ok(difference(keypoints.flat(), first.keypoints_px.flat()) < 20,
    "a still's person stays");
  await page.click("#camera");
  await says(page, /^Camera off$/);
});
