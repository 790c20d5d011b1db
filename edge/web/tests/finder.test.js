/** The page finds whom tf_hmr/detection finds, by the same looks. */

import assert from "node:assert/strict";
import test from "node:test";

import {
  Finder, boxOf, inSquare, quality, seenCount, squareBox,
} from "../core.js";
import {Pyramid} from "../core/squares.js";
import {CropDifference, difference, load, picture, read} from "./vectors.js";

const SIZES = {people: 224, faces: 192, landmarks: 256};
/** The lifter's card. */
const CROP_SCALE = 1.2;

/** Squares as numbers: half a turn either way is the same. */
function squareDifference(found, expected) {
  const turn = Math.abs(found[3] - expected[3]);
  return [
    difference(found.slice(0, 3), expected.slice(0, 3)),
    Math.min(turn, 2 * Math.PI - turn),
  ];
}

for (const photo of load("finder").photos) {
  test(`finder: ${photo.name}`, async () => {
    const image = picture("finder", photo.image);
    const crops = new CropDifference();
    let count = 0;
    const squares = [];
    const crop = Pyramid.prototype.crop;
    Pyramid.prototype.crop = function noted(square, size) {
      squares.push(square);
      const result = crop.call(this, square, size);
      crops.add(result, read("finder", photo.calls[squares.length - 1].crop));
      return result;
    };
    const recorded = (name) => ({
      size: SIZES[name],
      async run() {
        const call = photo.calls[count];
        assert.equal(name, call.network, `call ${count}`);
        const [pixels, turn] = squareDifference(squares[count], call.square);
        assert.ok(pixels <= 1e-3, `call ${count}: ${pixels} px`);
        assert.ok(turn <= 1e-6, `call ${count}: ${turn} rad`);
        count += 1;
        return call.outputs.map((entry) => read("finder", entry));
      },
    });
    const finder = new Finder({
      people: recorded("people"),
      faces: recorded("faces"),
      landmarks: recorded("landmarks"),
    });
    const people = await finder.find(image);
    Pyramid.prototype.crop = crop;
    assert.equal(count, photo.calls.length);
    assert.equal(people.length, photo.people.length);
    people.forEach((person, n) => compare(person, photo.people[n]));
    assert.ok(crops.levels <= 1, `${crops.levels} levels`);
    assert.ok(crops.share <= 1e-3, `${100 * crops.share} % of bytes`);
  });
}

function compare(person, expected) {
  assert.ok(difference(person.points, read("finder", expected.points)) <= 1e-3);
  assert.ok(Math.abs(person.presence - expected.presence) <= 1e-6);
  assert.ok(Math.abs(quality(person) - expected.quality) <= 1e-5);
  for (const [found, wanted] of [
    [person.square, expected.square],
    [person.nextSquare, expected.next_square],
  ]) {
    const [pixels, turn] = squareDifference(found, wanted);
    assert.ok(pixels <= 1e-3 && turn <= 1e-6);
  }
  assert.equal(seenCount(person.points), expected.seen);
  const box = boxOf(person.points);
  if (!expected.box) {
    assert.equal(box, null);
    return;
  }
  assert.ok(difference(box, expected.box) <= 1e-3, "box");
  const square = squareBox(box, CROP_SCALE);
  assert.ok(difference(square, expected.crop_box) <= 1e-3, "crop box");
  const rows = inSquare(person.points, square);
  const lifterInput = read("finder", expected.lifter_input);
  assert.ok(difference(rows, lifterInput) <= 1e-5, "lifter's input");
}
