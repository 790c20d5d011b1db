/**
 * The crop that a network reads, and its other inputs: as edge/run.py.
 *
 * Boxes are x, y, w, h in pixel edges; points count from the first pixel's
 * centre.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {number[]} Box
 */

import {blockMeans, warp} from "./pixels.js";

/** Inputs that cards may list, of those that a crop has. */
export const CROP_INPUTS = ["image", "box", "image_size", "intrinsics"];

/**
 * The square around a box's centre, its longer side times `scale`.
 * @param {Box} box
 * @param {number} scale
 * @returns {Box}
 */
export function squareBox([x, y, w, h], scale = 1) {
  const side = Math.max(w, h) * scale;
  return [x + (w - side) / 2, y + (h - side) / 2, side, side];
}

/**
 * Halves the pixels around a square, the border repeated to even sides.
 * @param {Picture} picture
 * @param {number[]} square x, y, side
 * @returns {[Picture, number[]]} the half, and the square in it
 */
function halved(picture, [x, y, side]) {
  const {data, channels} = picture;
  const reach = side / 16 + 2;
  const left = Math.max(0, Math.floor(x - reach));
  const top = Math.max(0, Math.floor(y - reach));
  const right = Math.min(picture.width, Math.ceil(x + side + reach));
  const bottom = Math.min(picture.height, Math.ceil(y + side + reach));
  const width = (right - left + 1) >> 1;
  const height = (bottom - top + 1) >> 1;
  const half = new Uint8Array(width * height * 3);
  for (let row = 0, at = 0; row < height; row++) {
    const upper = (top + 2 * row) * picture.width;
    const lower = Math.min(top + 2 * row + 1, bottom - 1) * picture.width;
    for (let column = 0; column < width; column++, at += 3) {
      const first = left + 2 * column;
      const second = Math.min(first + 1, right - 1);
      for (let k = 0; k < 3; k++) {
        half[at + k] =
          (data[(upper + first) * channels + k] +
            data[(upper + second) * channels + k] +
            data[(lower + first) * channels + k] +
            data[(lower + second) * channels + k] +
            2) >>
          2;
      }
    }
  }
  const square = [(x - left) / 2, (y - top) / 2, side / 2];
  return [{data: half, width, height, channels: 3}, square];
}

/**
 * Cuts a square box out, antialiased; outside, the border is repeated.
 *
 * @param {Picture} picture
 * @param {Box} box square, in pixel edges
 * @param {number} size of the result
 * @returns {Uint8Array} (size, size, 3) RGB
 */
export function cropImage(picture, box, size) {
  let square = box.slice(0, 3);
  while (square[2] > 4 * size) [picture, square] = halved(picture, square);
  const [x, y, side] = square;
  const blocks = Math.ceil(side / size - 1e-6) || 1;
  const fine = size * blocks;
  const step = side / fine;
  const map = [
    step, 0, x - 0.5 + step / 2,
    0, step, y - 0.5 + step / 2,
  ];
  const sharp = warp(picture, map, fine, false);
  return (blocks === 1 ? sharp : blockMeans(sharp, blocks)).data;
}

/**
 * All inputs that a card may list, by name, without the batch axis.
 *
 * @param {Uint8Array} crop
 * @param {Box} square in a frame
 * @param {number[]} size width and height of the frame
 * @param {number} focal length in pixels; 0 is unknown: the longer side
 * @returns {Object<string, Uint8Array | Float32Array>}
 */
export function inputsOf(crop, square, size, focal = 0) {
  const [x, y, width, height] = square;
  const f = 2 * (focal || Math.max(...size));
  return {
    image: crop,
    box: Float32Array.from(square),
    image_size: Float32Array.from(size),
    intrinsics: Float32Array.from([
      f / width,
      f / height,
      (size[0] - 2 * x) / width - 1,
      (size[1] - 2 * y) / height - 1,
    ]),
  };
}
