/** The page draws a body where edge/run.py draws it. */

import assert from "node:assert/strict";
import test from "node:test";

import {launch, open, serve} from "./browser.js";
import {FOLDER, load, picture} from "./vectors.js";

/** In the page: the alpha of each pixel, rows from the top. */
async function drawn({frame, faces}) {
  const {Drawing, fetchShaders} = await import("./draw.js");
  const array = async (entry, Type) =>
    new Type(await (await fetch(`vectors/tracks/${entry.file}`)).arrayBuffer());
  const canvas = document.createElement("canvas");
  const [width, height] = frame.record.image_size_px;
  Object.assign(canvas, {width, height});
  const drawing = new Drawing(canvas, await fetchShaders("shaders/"));
  drawing.setFaces(Uint32Array.from(await array(faces, Int32Array)));
  const mesh = {
    vertices: await array(frame.mesh.vertices, Float64Array),
    translation: frame.record.translation_m,
    focal: frame.record.focal_px,
  };
  drawing.overlay(null, [width, height], [mesh]);
  const pixels = new Uint8Array(4 * width * height);
  const {gl} = drawing;
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  const alpha = [];
  for (let row = height - 1; row >= 0; row--)
    for (let column = 0; column < width; column++)
      alpha.push(pixels[4 * (row * width + column) + 3]);
  return alpha;
}

/** Whether each pixel, or one beside it, is in a mask. */
function grown(mask, width) {
  return mask.map((_, at) => {
    for (const row of [-width, 0, width])
      for (const column of [-1, 0, 1])
        if (mask[at + row + column]) return true;
    return false;
  });
}

test("silhouettes are run.py's", async (t) => {
  const site = await serve(t, {vectors: FOLDER});
  const browser = await launch(t);
  const page = await open(await browser.newContext(), site.url);
  const [walk] = load("tracks").tracks;
  const frames = walk.frames.filter((frame) => frame.drawn);
  assert.equal(frames.length, 3);
  for (const frame of frames) {
    const {data, width} = picture("tracks", frame.drawn);
    const expected = Array.from(
      {length: data.length / 3}, (_, at) => data[3 * at] > 0);
    const alpha = await page.evaluate(drawn, {frame, faces: walk.faces});
    assert.equal(alpha.length, expected.length);
    let common = 0;
    let union = 0;
    expected.forEach((isDrawn, at) => {
      const isFound = alpha[at] > 127;
      common += isDrawn && isFound;
      union += isDrawn || isFound;
    });
    const overlap = common / union;
    t.diagnostic(`overlap ${overlap.toFixed(4)} of ${union} pixels`);
    assert.ok(union > 1000);
    assert.ok(overlap >= 0.9, `overlap ${overlap}`);
    const around = grown(expected, width);
    const beyond = alpha.filter((value, at) => value > 0 && !around[at]);
    assert.equal(beyond.length, 0);
  }
});
