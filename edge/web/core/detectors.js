/**
 * Squares of a photo in which a person may be: tf_hmr/detection/detectors.py
 * and anchors.py.
 *
 * @typedef {import("./squares.js").Square} Square
 * @typedef {{box: number[], points: number[][], score: number}} Answer in
 *   edges of a photo; the box is x1, y1, x2, y2
 */

import {expit, ofLength} from "./landmarks.js";
import {asFloats} from "./pixels.js";
import {ofCircle} from "./squares.js";

/** Middles of the cells of a map, in 0..1, each `count` times. */
function grid(side, count = 1) {
  const cells = [];
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++)
      for (let n = 0; n < count; n++)
        cells.push([(column + 0.5) / side, (row + 0.5) / side]);
  return cells;
}

function overlap(a, b) {
  const common = [0, 1].map((k) =>
    Math.max(Math.min(a[k + 2], b[k + 2]) - Math.max(a[k], b[k]), 0));
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  const shared = common[0] * common[1];
  return shared / Math.max(area(a) + area(b) - shared, 1e-9);
}

/**
 * Groups answers by what overlaps: the best first, in each and of all.
 * @param {Answer[]} answers
 * @param {number} most intersection over union of two groups
 * @returns {Answer[][]}
 */
export function suppress(answers, most) {
  let rest = [...answers].sort((a, b) => b.score - a.score);
  const groups = [];
  while (rest.length) {
    const [best, ...others] = rest;
    const isOne = others.map((other) => overlap(best.box, other.box) > most);
    groups.push([best, ...others.filter((_, n) => isOne[n])]);
    rest = others.filter((_, n) => !isOne[n]);
  }
  return groups;
}

class Detector {
  /**
   * @param {import("./landmarks.js").ImageNetwork} network
   * @param {number[][]} anchors middles, in 0..1
   * @param {number} points of an answer
   * @param {number} minScore
   */
  constructor(network, anchors, points, minScore) {
    this.network = network;
    this.anchors = anchors;
    this.points = points;
    this.minScore = minScore;
  }

  /**
   * The squares of candidates in windows of a photo, the best first.
   * @param {import("./squares.js").Pyramid} photo
   * @param {Square[]} windows
   * @returns {Promise<Square[]>}
   */
  async candidates(photo, windows) {
    const answers = [];
    for (const window of windows)
      answers.push(...(await this.#look(photo, window)));
    return suppress(answers, 0.3).map((group) => this.square(group));
  }

  /** @returns {Promise<Answer[]>} the likely answers of one window */
  async #look(photo, window) {
    const {size} = this.network;
    const crop = photo.crop(window, size);
    const outputs = await this.network.run(asFloats(crop, 127.5, 1));
    const count = this.anchors.length;
    const columns = 4 + 2 * this.points;
    const logits = ofLength(outputs, count);
    const rows = ofLength(outputs, count * columns);
    const [x, y, side] = window;
    const corner = [x - side / 2, y - side / 2];
    const answers = [];
    for (let row = 0; row < count; row++) {
      const score = Math.fround(expit(logits[row]));
      if (!(score > this.minScore)) continue;
      // x, y of the middle; width, height; further points.
      const pairs = [];
      for (let at = row * columns; at < (row + 1) * columns; at += 2)
        pairs.push([0, 1].map((k) => Math.fround(rows[at + k] / size)));
      const anchor = this.anchors[row];
      const inPhoto = (pair) =>
        [0, 1].map((k) => (pair[k] + anchor[k]) * side + corner[k]);
      const middle = inPhoto(pairs[0]);
      const half = pairs[1].map((length) => (length * side) / 2);
      answers.push({
        box: [
          middle[0] - half[0], middle[1] - half[1],
          middle[0] + half[0], middle[1] + half[1],
        ],
        points: pairs.slice(2).map(inPhoto),
        score,
      });
    }
    return answers;
  }
}

/** BlazePose's own detector: circles about the hips of people. */
export class PeopleDetector extends Detector {
  /** @param {import("./landmarks.js").ImageNetwork} network */
  constructor(network) {
    super(network, [...grid(28, 2), ...grid(14, 2), ...grid(7, 6)], 4, 0.5);
  }

  /** MediaPipe's weighted suppression: the mean by score. */
  square(group) {
    const total = group.reduce((sum, {score}) => sum + score, 0);
    const [middle, rim] = [0, 1].map((point) =>
      [0, 1].map((k) =>
        group.reduce(
          (sum, {score, points}) => sum + (score / total) * points[point][k],
          0)));
    return ofCircle(middle, rim);
  }
}

/** Faces, below which a body is expected. */
export class FaceDetector extends Detector {
  /** @param {import("./landmarks.js").ImageNetwork} network */
  constructor(network) {
    super(network, grid(48), 6, 0.6);
  }

  /** A standing body's square, in heights of its face. */
  square([{box: [x1, y1, x2, y2]}]) {
    const height = Math.max(x2 - x1, y2 - y1);
    return [(x1 + x2) / 2, (y1 + y2) / 2 + 2.6 * height, 8.2 * height, 0];
  }
}
