/** Crops, smoothing and tracks of the page are those of edge/run.py. */

import assert from "node:assert/strict";
import test from "node:test";

import {FOCAL_OVER_SIDE, Track, cropImage, inputsOf} from "../core.js";
import {
  CropDifference, difference, load, picture, read, readAll,
} from "./vectors.js";

test("crops are run.py's to a grey level", () => {
  const total = new CropDifference();
  for (const {image, square, size, crop} of load("crops").crops) {
    const found = cropImage(picture("crops", image), square, size);
    total.add(found, read("crops", crop));
  }
  assert.ok(total.levels <= 1, `${total.levels} levels`);
  assert.ok(total.share <= 1e-3, `${100 * total.share} % of bytes`);
});

test("an RGBA picture is cropped as the RGB one", () => {
  const {image, square, size} = load("crops").crops[4];
  const rgb = picture("crops", image);
  const data = new Uint8ClampedArray((rgb.data.length / 3) * 4).fill(255);
  rgb.data.forEach((value, at) => {
    data[4 * Math.floor(at / 3) + (at % 3)] = value;
  });
  const rgba = {...rgb, data, channels: 4};
  assert.deepEqual(
    cropImage(rgba, square, size), cropImage(rgb, square, size));
});

test("inputs of a crop are run.py's", () => {
  for (const expected of load("crops").inputs) {
    const {square, size, focal} = expected;
    const inputs = inputsOf(new Uint8Array(0), square, size, focal);
    for (const name of ["box", "image_size", "intrinsics"])
      assert.ok(difference(inputs[name], expected[name]) <= 1e-4, name);
  }
});

/** Rotation vectors as matrices: near pi two vectors are one rotation. */
function matrix([x, y, z]) {
  const angle = Math.hypot(x, y, z);
  if (angle < 1e-12) return [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const [a, b, c] = [x, y, z].map((value) => value / angle);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const rest = 1 - cos;
  return [
    cos + a * a * rest, a * b * rest - c * sin, a * c * rest + b * sin,
    a * b * rest + c * sin, cos + b * b * rest, b * c * rest - a * sin,
    a * c * rest - b * sin, b * c * rest + a * sin, cos + c * c * rest,
  ];
}

function rotationDifference(found, expected) {
  const nearHalfTurn = Math.hypot(...expected) > 3.1;
  return nearHalfTurn
    ? difference(matrix(found), matrix(expected))
    : difference(found, expected);
}

const {tracks} = load("tracks");

for (const scene of tracks) {
  test(`track: ${scene.name}`, () => {
    const model = {
      size: scene.model.size,
      cropScale: scene.model.crop_scale,
      focalPx: (size) => FOCAL_OVER_SIDE * Math.max(...size),
    };
    const track = new Track(scene.start_box, scene.smooth);
    const crops = new CropDifference();
    for (const frame of scene.frames) {
      const image = picture("tracks", frame.image);
      const size = [image.width, image.height];
      const square = track.square(model, size);
      assert.ok(difference(square, frame.square) <= 1e-3, "square");
      const crop = cropImage(image, square, model.size);
      const expectedCrop = read("tracks", frame.crop);
      crops.add(crop, expectedCrop);
      const outputs = readAll("tracks", frame.outputs);
      const record = track.update(
        model, outputs, expectedCrop, size, frame.time_s);
      compare(record, frame.record);
      if (!frame.next_box) assert.equal(track.box, null);
      else assert.ok(difference(track.box, frame.next_box) <= 1e-3, "box");
      if (!frame.mesh) {
        assert.equal(track.mesh, null);
        continue;
      }
      const mesh = readAll("tracks", {
        vertices: frame.mesh.vertices,
        pixels: frame.mesh.pixels,
      });
      assert.ok(difference(track.mesh.pixels, mesh.pixels) <= 1e-3, "pixels");
      assert.ok(difference(track.mesh.vertices, mesh.vertices) <= 1e-6);
      const depth = track.mesh.translation[2] / frame.mesh.depth;
      assert.ok(Math.abs(depth - 1) <= 1e-6, "depth");
    }
    assert.ok(crops.levels <= 1, `${crops.levels} levels`);
    assert.ok(crops.share <= 1e-3, `${100 * crops.share} % of bytes`);
  });
}

function compare(record, expected) {
  assert.deepEqual(Object.keys(record).sort(), Object.keys(expected).sort());
  assert.equal(record.state, expected.state);
  assert.equal(record.reason, expected.reason);
  const near = (name, most) => {
    const [found, wanted] = [record, expected].map((r) => [r[name]].flat(3));
    assert.ok(difference(found, wanted) <= most, name);
  };
  near("box_px", 1e-3);
  near("crop_box_px", 1e-3);
  near("image_size_px", 0);
  if (record.state === "lost") return;
  near("keypoints_px", 1e-3);
  near("focal_px", 1e-3);
  near("principal_point_px", 0);
  // A millionth of a metre, and the rounding of both to six decimals.
  near("joints_m", 1.5e-6);
  near("betas", 2e-6);
  const depth = record.translation_m[2] / expected.translation_m[2];
  assert.ok(Math.abs(depth - 1) <= 2e-6, "translation");
  record.pose_rotvec.forEach((vector, row) => {
    const worst = rotationDifference(vector, expected.pose_rotvec[row]);
    assert.ok(worst <= 1e-4, `rotation ${row}: ${worst}`);
  });
}

test("a square outside the frame is refused", () => {
  const track = new Track([500, 10, 20, 20]);
  const model = {size: 64, cropScale: 1.2, focalPx: () => 1};
  assert.throws(() => track.square(model, [300, 200]), /lies outside/);
});
