/** Reads the vectors of tests/support/phone_vectors. */

import fs from "node:fs";
import path from "node:path";

const TYPES = {
  uint8: Uint8Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** The folder of all parts, from the environment. */
export const FOLDER = process.env.PHONE_VECTORS;

/**
 * A part's content; arrays stay entries.
 * @param {string} part
 * @returns {any}
 */
export function load(part) {
  const file = path.join(FOLDER, part, "vectors.json");
  return JSON.parse(fs.readFileSync(file, "utf8"));
}

/**
 * An array of a part by its entry.
 * @param {string} part
 * @param {{file: string, dtype: string}} entry
 * @returns {Uint8Array | Int32Array | Float32Array | Float64Array}
 */
export function read(part, entry) {
  const bytes = fs.readFileSync(path.join(FOLDER, part, entry.file));
  const start = bytes.byteOffset;
  return new TYPES[entry.dtype](
    bytes.buffer.slice(start, start + bytes.length));
}

/**
 * Arrays of a part by name.
 * @param {string} part
 * @param {Object<string, any>} entries
 */
export function readAll(part, entries) {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => [name, read(part, entry)]));
}

/**
 * A picture of a part by its entry.
 * @param {string} part
 * @param {{shape: number[], file: string, dtype: string}} entry
 */
export function picture(part, entry) {
  const [height, width, channels] = entry.shape;
  return {data: read(part, entry), width, height, channels};
}

/**
 * The largest absolute difference of two lists of numbers.
 * @param {ArrayLike<number>} found
 * @param {ArrayLike<number>} expected
 */
export function difference(found, expected) {
  if (found.length !== expected.length) return Infinity;
  let largest = 0;
  for (let at = 0; at < found.length; at++)
    largest = Math.max(largest, Math.abs(found[at] - expected[at]));
  return largest;
}

/**
 * How crops differ: at most by how many levels, and the share of bytes.
 */
export class CropDifference {
  levels = 0;
  differing = 0;
  bytes = 0;

  /**
   * @param {ArrayLike<number>} found
   * @param {ArrayLike<number>} expected
   */
  add(found, expected) {
    if (found.length !== expected.length) this.levels = Infinity;
    for (let at = 0; at < found.length; at++) {
      const levels = Math.abs(found[at] - expected[at]);
      this.levels = Math.max(this.levels, levels);
      this.differing += levels > 0;
    }
    this.bytes += found.length;
  }

  get share() {
    return this.differing / this.bytes;
  }
}
