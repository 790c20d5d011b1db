/**
 * Finds everybody in a photo, and their landmarks: tf_hmr/detection/finder.py
 * and windows.py.
 *
 * @typedef {import("./squares.js").Square} Square
 * @typedef {import("./landmarks.js").Landmarks} Landmarks
 */

import {FaceDetector, PeopleDetector} from "./detectors.js";
import {LandmarkNetwork} from "./landmarks.js";
import * as merging from "./merging.js";
import {Pyramid} from "./squares.js";

/** Share of the photo's longer side; people from whom on there may be more;
 * the size below which others may be too small. */
const WINDOWS = [[0.6, 2, 0.7], [0.4, 3, 0.35]];
const OVERLAP = 0.5;
const SAME_PLACE = 0.1;
const SAME_SIDE = 1.25;

/** Middles of evenly spread intervals that cover `length`. */
function middles(length, side) {
  if (side >= length) return [length / 2];
  const steps = Math.ceil((length - side) / (side * (1 - OVERLAP)) - 1e-6);
  return Array.from(
    {length: steps + 1}, (_, n) => side / 2 + ((length - side) * n) / steps);
}

/** Windows of a side that cover a photo. */
function cover([width, height], side) {
  const columns = middles(width, side);
  return middles(height, side).flatMap((y) =>
    columns.map((x) => [x, y, side, 0]));
}

/** Whether a square shows some of the photo, and is no speck. */
function isPossible(square, [width, height]) {
  const [x, y, side] = square;
  return (
    square.every(Number.isFinite) &&
    side >= 8 && side <= 8 * Math.max(width, height) &&
    -side < x && x < width + side &&
    -side < y && y < height + side);
}

/** Whether two squares show the same. */
function isAlike(square, reference) {
  const distance = Math.hypot(
    square[0] - reference[0], square[1] - reference[1]);
  const ratio = square[2] / reference[2];
  const full = 2 * Math.PI;
  const difference = square[3] - reference[3];
  const turn = difference - full * Math.round(difference / full);
  return (
    distance < SAME_PLACE * reference[2] &&
    1 / SAME_SIDE < ratio && ratio < SAME_SIDE &&
    Math.abs(turn) < SAME_PLACE * Math.PI);
}

/** Looks for people: detectors, then landmarks of what they find. */
export class Finder {
  /**
   * @param {Object<string, import("./landmarks.js").ImageNetwork>} networks
   *   `people`, `faces` and `landmarks`
   */
  constructor({people, faces, landmarks}) {
    this.landmarks = new LandmarkNetwork(landmarks);
    this.detectors = [new PeopleDetector(people), new FaceDetector(faces)];
  }

  /**
   * Finds people, the surest first.
   * @param {import("./pixels.js").Picture} picture
   * @returns {Promise<Landmarks[]>}
   */
  async find(picture) {
    const photo = new Pyramid(picture);
    const longer = Math.max(...photo.size);
    const [width, height] = photo.size;
    const answers = await this.#look(
      photo, [[width / 2, height / 2, longer, 0]], []);
    let people = merging.select(answers);
    for (const [share, crowd, small] of WINDOWS) {
      const sizes = people.map(merging.size);
      const areLarge = Math.min(...sizes) > small * longer;
      if (people.length && people.length < crowd && areLarge) break;
      const closer = cover(photo.size, share * longer);
      answers.push(...(await this.#look(photo, closer, answers)));
      people = merging.select(answers);
    }
    return people;
  }

  /**
   * The likeliest person of the whole picture at once, for a live one.
   * @param {import("./pixels.js").Picture} picture
   * @returns {Promise<Landmarks[]>} as `find`, of people who are large
   */
  async glance(picture) {
    const photo = new Pyramid(picture);
    const [width, height] = photo.size;
    const window = [width / 2, height / 2, Math.max(width, height), 0];
    return merging.select(await this.#look(photo, [window], []));
  }

  /** Answers about squares that detectors see in windows of the photo. */
  async #look(photo, views, answers) {
    const looked = answers.flatMap(({square, nextSquare}) =>
      [square, nextSquare]);
    const fresh = [];
    for (const detector of this.detectors) {
      for (const square of await detector.candidates(photo, views)) {
        if (!isPossible(square, photo.size)) continue;
        if (looked.some((other) => isAlike(square, other))) continue;
        const answer = await this.landmarks.lookTwice(photo, square);
        looked.push(square, answer.square, answer.nextSquare);
        fresh.push(answer);
      }
    }
    return fresh;
  }
}
