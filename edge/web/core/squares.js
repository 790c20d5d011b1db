/**
 * Turned squares of a photo, and their pictures: tf_hmr/detection/squares.py.
 *
 * A square is [x, y, side, angle]: its centre and side in pixel edges, and
 * radians, clockwise as seen.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {[number, number, number, number]} Square
 */

import {blockMeans, shrink, warp} from "./pixels.js";

/** Side of a square over the diameter of its circle. */
const ROOM = 1.25;
/** Above this shrinkage bilinear interpolation would skip pixels. */
const SHARP = 1.25;
/** Of `rounded`. */
const STEPS_A_PIXEL = 4;
const STEPS_A_TURN = 2048;

/**
 * The map from edges of the square's picture of `size` to the photo's.
 * @param {Square} square
 * @param {number} size
 * @returns {number[]} a, b, c, d, e, f of a x + b y + c, d x + e y + f
 */
export function toPhoto([x, y, side, angle], size) {
  const scale = side / size;
  const cos = scale * Math.cos(angle);
  const sin = scale * Math.sin(angle);
  const half = size / 2;
  return [
    cos, -sin, x - (cos - sin) * half,
    sin, cos, y - (sin + cos) * half,
  ];
}

/**
 * A point through a map.
 * @param {number[]} map
 * @param {number} x
 * @param {number} y
 */
export const apply = ([a, b, c, d, e, f], x, y) => [
  a * x + b * y + c, d * x + e * y + f,
];

/**
 * The inverse of a map.
 * @param {number[]} map
 * @returns {number[]}
 */
export function inverse([a, b, c, d, e, f]) {
  const determinant = a * e - b * d;
  const [p, q, r, s] = [e, -b, -d, a].map((value) => value / determinant);
  return [p, q, -(p * c + q * f), r, s, -(r * c + s * f)];
}

/**
 * The square around a circle, turned so that `rim` is above `middle`.
 * @param {number[]} middle x, y in pixel edges
 * @param {number[]} rim x, y of a point of the circle
 * @returns {Square}
 */
export function ofCircle(middle, rim) {
  const [dx, dy] = [rim[0] - middle[0], rim[1] - middle[1]];
  return [...middle, 2 * ROOM * Math.hypot(dx, dy), Math.atan2(dx, -dy)];
}

/**
 * The nearest square of a grid: one and the same for answers that differ in
 * their last digits.
 * @param {Square} square
 * @returns {Square}
 */
export function rounded([x, y, side, angle]) {
  const pixels = [x, y, side].map(
    (number) => Math.floor(STEPS_A_PIXEL * number + 0.5) / STEPS_A_PIXEL);
  pixels[2] = Math.max(pixels[2], 1 / STEPS_A_PIXEL);
  const full = 2 * Math.PI;
  const turn = Math.floor((angle / full) * STEPS_A_TURN + 0.5);
  return [...pixels, (turn * full) / STEPS_A_TURN];
}

/** A photo and its halves: squares of any size are cut from it quickly. */
export class Pyramid {
  /** @param {Picture} picture */
  constructor(picture) {
    this.levels = [picture];
    this.size = [picture.width, picture.height];
  }

  #level(number) {
    while (this.levels.length <= number) {
      const last = this.levels[this.levels.length - 1];
      const width = Math.max(1, Math.floor(last.width / 2));
      const height = Math.max(1, Math.floor(last.height / 2));
      this.levels.push(shrink(last, width, height));
    }
    return this.levels[number];
  }

  /**
   * Cuts a square out, antialiased; black outside the photo.
   * @param {Square} square in the photo's pixels
   * @param {number} size of the result
   * @returns {Uint8Array} (size, size, 3) RGB
   */
  crop(square, size) {
    const side = square[2];
    const level = this.#level(
      Math.floor(Math.log2(Math.max(side / size, 1))));
    // Sides of odd length end within a pixel: the factor is not 2 ** level.
    const across = level.width / this.size[0];
    const down = level.height / this.size[1];
    const shrinkage = (side / size) * Math.max(across, down);
    const blocks = shrinkage <= SHARP ? 1 : Math.ceil(shrinkage);
    const fine = size * blocks;
    const [a, b, c, d, e, f] = toPhoto(square, fine);
    // From edges to the centres of pixels.
    const map = [
      a * across, b * across, (c + (a + b) / 2) * across - 0.5,
      d * down, e * down, (f + (d + e) / 2) * down - 0.5,
    ];
    const sharp = warp(level, map, fine, true);
    return (blocks === 1 ? sharp : blockMeans(sharp, blocks)).data;
  }
}
