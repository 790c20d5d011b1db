/**
 * BlazePose's landmarks of the person in a turned square:
 * tf_hmr/detection/landmarks.py.
 *
 * @typedef {import("./squares.js").Square} Square
 *
 * @typedef {Object} Landmarks
 * @property {Float32Array} points (33, 7): x, y in pixels; x, y, z in metres
 *   about the hips; probabilities of being visible and of being inside
 * @property {number} presence probability that the square holds a person
 * @property {Square} square where the network looked
 * @property {Square} nextSquare where it would look for this person
 * @property {Float32Array} mask (256, 256) logits of the person's pixels
 *
 * @typedef {Object} ImageNetwork
 * @property {number} size of its picture
 * @property {(image: Float32Array) => Promise<Float32Array[]>} run outputs in
 *   any order: they are told apart by their length
 */

import {BLAZEPOSE33} from "./landmark_names.js";
import {asFloats} from "./pixels.js";
import {apply, ofCircle, rounded, toPhoto} from "./squares.js";

/** Below this probability the square holds no person. */
export const MIN_PRESENCE = 0.5;
export const COLUMNS = 7;

/** A second look that knows less of a person was led astray. */
const LOSS_OF_PRESENCE = 0.1;
const POINTS = 39;
const MIDDLE = BLAZEPOSE33.length;
const RIM = MIDDLE + 1;
const NUMBERS = 5;

/** The logistic function. */
export const expit = (value) => 1 / (1 + Math.exp(-value));

/**
 * The output of a length.
 * @param {Float32Array[]} outputs
 * @param {number} length
 */
export function ofLength(outputs, length) {
  const output = outputs.find((values) => values.length === length);
  if (!output) throw new Error(`the network has no output of ${length}`);
  return output;
}

/** Looks at people by the landmark network. */
export class LandmarkNetwork {
  /** @param {ImageNetwork} network */
  constructor(network) {
    this.network = network;
  }

  /**
   * The landmarks of one square.
   * @param {import("./squares.js").Pyramid} photo
   * @param {Square} requested around the person
   * @returns {Promise<Landmarks>}
   */
  async look(photo, requested) {
    const {size} = this.network;
    const square = rounded(requested);
    const crop = photo.crop(square, size);
    const outputs = await this.network.run(asFloats(crop, 255, 0));
    const rows = ofLength(outputs, POINTS * NUMBERS);
    const metres = ofLength(outputs, POINTS * 3);
    const map = toPhoto(square, size);
    const edges = (row) =>
      apply(map, rows[NUMBERS * row], rows[NUMBERS * row + 1]);
    const [cos, sin] = [Math.cos(square[3]), Math.sin(square[3])];
    const points = new Float32Array(BLAZEPOSE33.length * COLUMNS);
    for (let row = 0; row < BLAZEPOSE33.length; row++) {
      const [x, y] = edges(row);
      const [across, down, depth] = metres.subarray(3 * row, 3 * row + 3);
      points.set(
        [
          x - 0.5, y - 0.5,
          cos * across - sin * down, sin * across + cos * down, depth,
          expit(rows[NUMBERS * row + 3]), expit(rows[NUMBERS * row + 4]),
        ],
        COLUMNS * row);
    }
    return {
      points,
      presence: ofLength(outputs, 1)[0],
      square,
      nextSquare: ofCircle(edges(MIDDLE), edges(RIM)),
      mask: ofLength(outputs, size * size),
    };
  }

  /**
   * The landmarks of the square that a first look asks for.
   *
   * The first look stays where it saw nobody, or where the second is less
   * sure of a person. Arguments are those of `look`.
   * @returns {Promise<Landmarks>}
   */
  async lookTwice(photo, square) {
    const answer = await this.look(photo, square);
    const next = answer.nextSquare;
    const canLook = next.every(Number.isFinite) && next[2] >= 1;
    if (answer.presence < MIN_PRESENCE || !canLook) return answer;
    const closer = await this.look(photo, next);
    return closer.presence >= answer.presence - LOSS_OF_PRESENCE
      ? closer
      : answer;
  }
}
