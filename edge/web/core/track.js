/**
 * Follows one person through frames: OneEuro and Track of edge/run.py.
 *
 * Steps that run.py takes in float32 and that decide something are rounded to
 * float32 here too.
 *
 * @typedef {import("./pixels.js").Picture} Picture
 * @typedef {number[]} Box
 * @typedef {Object<string, Float32Array>} Outputs of a network, by name
 *
 * @typedef {Object} TrackedModel what a track needs of a model
 * @property {number} size of its crop
 * @property {number} cropScale
 * @property {(size: number[]) => number} focalPx
 */

import {squareBox} from "./crop.js";
import {rint} from "./pixels.js";
import {rotationVector} from "./rotations.js";

/** What an exported network answers. */
export const OUTPUTS = [
  "vertices", "joints", "keypoints", "rotmats", "betas", "camera",
];
/** As in tf_hmr: 5000 px at 224 px. */
export const FOCAL_OVER_SIDE = 5000 / 224;
/** A person's box over that of HMR's 19 joints. */
const ROOM = 1.11;
/** Share of the joints' box in the next box; else the last box. */
const BOX_SHARE = 0.6;
/** Plausible scales of the camera: the crop shows 8 m to 0.5 m. */
const CAMERA_SCALES = [0.25, 4];
/** Bhattacharyya coefficient with a person's past colours. */
const MIN_LIKENESS = 0.65;
/** The colours of a person lost for longer are forgotten. */
const PATIENCE_S = 3;
/** Least cutoffs in Hz, rise with speed: of rotations, points, position. */
const FILTERS = [[1, 2, 9], [1, 2, 3], [1, 8, 3]];
const LEVELS = 6;

const f32 = Math.fround;

/** A low-pass filter whose cutoff rises with speed (Casiez et al. 2012). */
export class OneEuro {
  /**
   * @param {number} leastHz
   * @param {number} rise
   * @param {number} columns numbers of a row, which have one speed
   */
  constructor(leastHz, rise, columns) {
    this.leastHz = leastHz;
    this.rise = rise;
    this.columns = columns;
    this.value = null;
    this.speed = null;
  }

  /**
   * @param {ArrayLike<number>} value rows of `columns` numbers
   * @param {number} seconds since the last value
   * @returns {Float64Array}
   */
  filter(value, seconds) {
    this.value ??= Float64Array.from(value);
    this.speed ??= new Float64Array(value.length);
    const {columns, speed} = this;
    const last = this.value;
    const result = new Float64Array(value.length);
    const radians = 2 * Math.PI * seconds;
    for (let start = 0; start < value.length; start += columns) {
      let squared = 0;
      for (let at = start; at < start + columns; at++) {
        const change = (value[at] - last[at]) / seconds;
        // The speed has a fixed cutoff of 1 Hz.
        speed[at] += (change - speed[at]) / (1 + 1 / radians);
        squared += speed[at] * speed[at];
      }
      const cutoffHz = this.leastHz + this.rise * Math.sqrt(squared);
      const lag = 1 / (1 + radians * cutoffHz);
      for (let at = start; at < start + columns; at++)
        result[at] = value[at] - (value[at] - last[at]) * lag;
    }
    this.value = result;
    return result;
  }
}

const sixDecimals = (value) =>
  (Math.sign(value) * rint(Math.abs(value) * 1e6)) / 1e6 || 0;

/** Rows of rounded numbers, as a line of the .jsonl has them. */
function rows(values, columns) {
  const rounded = Array.from(values, sixDecimals);
  return Array.from({length: rounded.length / columns}, (_, row) =>
    rounded.slice(row * columns, (row + 1) * columns));
}

/** A number as Python prints it. */
const asPython = (value) =>
  Number.isInteger(value) && Math.abs(value) < 1e16
    ? value.toFixed(1)
    : String(value).replace("NaN", "nan").replace("Infinity", "inf");

/** Tracks one person, from `startBox` or else from the whole frame. */
export class Track {
  /**
   * @param {Box | null} startBox
   * @param {boolean} smooth
   */
  constructor(startBox = null, smooth = true) {
    this.startBox = startBox;
    this.smooth = smooth;
    this.colours = null;
    this.seenS = 0;
    this.start();
  }

  /** Forgets where the person was; not the colours. */
  start() {
    /** @type {Box | null} of the person in the next frame */
    this.box = null;
    /** Smoothed `vertices` (V, 3) in metres, `pixels` (V, 2), translation. */
    this.mesh = null;
    this.previousS = 0;
    this.filters = FILTERS.map((numbers) => new OneEuro(...numbers));
    this.betas = null;
    this.count = 0;
  }

  /**
   * The square that the network is to see in a frame.
   *
   * @param {TrackedModel} model
   * @param {number[]} size width and height of the frame
   * @returns {Box}
   * @throws {Error} the start box lies outside the frame
   */
  square(model, size) {
    const personBox = this.box ?? this.startBox;
    const box = personBox ?? [0, 0, ...size];
    const overlaps = [0, 1].every(
      (k) => -box[k + 2] < box[k] && box[k] < size[k]);
    if (!this.box && !overlaps)
      throw new Error(`box ${box} lies outside ${size}`);
    return squareBox(box, personBox ? model.cropScale : 1);
  }

  /**
   * Takes a network's answer; moves on to the next frame.
   *
   * @param {TrackedModel} model
   * @param {Outputs} outputs for the square of this frame
   * @param {Uint8Array} crop that the network saw
   * @param {number[]} size width and height of the frame
   * @param {number} seconds since the video's start
   * @returns {Object} the record for .jsonl
   */
  update(model, outputs, crop, size, seconds) {
    const personBox = this.box ?? this.startBox;
    const box = personBox ?? [0, 0, ...size];
    const square = this.square(model, size);
    const state = this.box ? "tracked" : "start";
    const record = {
      state, box_px: box, crop_box_px: square, image_size_px: size,
    };
    const seen = this.#keypoints(outputs.keypoints, square, size);
    const reason = this.#lostReason(model, outputs, crop, seen.share, seconds);
    if (reason) {
      this.start();
      return {...record, state: "lost", reason};
    }
    Object.assign(record, this.#placement(model, outputs, square, size, seconds));
    const share = personBox ? BOX_SHARE : 1;
    const next = [0, 0, 0, 0];
    for (const k of [0, 1]) {
      const low = seen.low[k] + 0.5;
      const high = seen.high[k] + 0.5;
      const side = Math.max(ROOM * (high - low), 1);
      next[k] = (share * (low + high - side)) / 2 + (1 - share) * box[k];
      next[k + 2] = share * side + (1 - share) * box[k + 2];
    }
    this.box = next;
    return record;
  }

  /**
   * Gives the person up in a frame without an answer to judge.
   *
   * @param {TrackedModel} model
   * @param {number[]} size width and height of the frame
   * @param {string} reason
   * @returns {Object} the record for .jsonl
   */
  lose(model, size, reason) {
    const record = {
      state: "lost",
      box_px: this.box ?? this.startBox ?? [0, 0, ...size],
      crop_box_px: this.square(model, size),
      image_size_px: size,
      reason,
    };
    this.start();
    return record;
  }

  /** Extent of the keypoints in the frame, and the share inside it. */
  #keypoints(keypoints, square, size) {
    const low = [Infinity, Infinity];
    const high = [-Infinity, -Infinity];
    let inside = 0;
    for (let at = 0; at < keypoints.length; at += 2) {
      let within = true;
      for (const k of [0, 1]) {
        const share = f32(f32(keypoints[at + k] + 1) * f32(square[2])) / 2;
        const pixel = f32(share) + square[k] - 0.5;
        within &&= pixel >= 0 && pixel < size[k];
        low[k] = Math.min(low[k], pixel);
        high[k] = Math.max(high[k], pixel);
      }
      inside += within;
    }
    return {low, high, share: (2 * inside) / keypoints.length};
  }

  /** Why the person is lost: no person, or another one; "" if tracked. */
  #lostReason(model, outputs, crop, share, seconds) {
    const notFinite = OUTPUTS.filter(
      (name) => !outputs[name].every(Number.isFinite));
    const scale = outputs.camera[0];
    if (notFinite.length || scale <= 0) {
      const names = notFinite.map((name) => `'${name}'`).join(", ");
      return (
        `[${names}] not finite, or a scale of 0 or less ` +
        `(${asPython(scale)})`);
    }
    const [low, high] = CAMERA_SCALES;
    const plausible = share >= 0.5 && low < scale && scale < high;
    if (!(this.box ? plausible : share))
      return (
        `${rint(100 * share)}% of joints in the frame, ` +
        `camera scale ${scale.toFixed(2)}`);
    const colours = coloursUnder(outputs, crop, model.size);
    if (!this.colours || seconds > this.seenS + PATIENCE_S)
      this.colours = colours;
    let likeness = 0;
    for (let bin = 0; bin < colours.length; bin++)
      likeness += Math.sqrt(colours[bin] * this.colours[bin]);
    if (likeness < MIN_LIKENESS)
      return `other colours (${likeness.toFixed(2)} alike)`;
    this.colours = this.colours.map((v, n) => 0.98 * v + 0.02 * colours[n]);
    this.seenS = seconds;
    return "";
  }

  /** Smoothed pose, shape and position in the frame, for the record. */
  #placement(model, outputs, square, size, seconds) {
    const focal = model.focalPx(size);
    const centre = [size[0] / 2, size[1] / 2];
    const [s, tx, ty] = outputs.camera;
    const pxPerM = (square[2] * s) / 2;
    let position = [0, 1].map(
      (k) => (square[k] + square[2] / 2 - centre[k]) / pxPerM + [tx, ty][k]);
    position.push(Math.log(focal / pxPerM));
    const count = outputs.joints.length;
    let points = new Float64Array(count + outputs.vertices.length);
    points.set(outputs.joints);
    points.set(outputs.vertices, count);
    let rotmats = outputs.rotmats;
    let betas = Float64Array.from(outputs.betas);
    if (this.smooth) {
      const elapsed = this.box ? Math.max(1e-3, seconds - this.previousS) : 1;
      rotmats = this.filters[0].filter(rotmats, elapsed);
      points = this.filters[1].filter(points, elapsed);
      position = this.filters[2].filter(position, elapsed);
      this.count += 1;
      const mean = this.betas ?? new Float64Array(betas.length);
      betas = betas.map((value, n) => mean[n] + (value - mean[n]) / this.count);
      this.betas = betas;
    }
    const depth = Math.exp(position[2]);
    const translation = [position[0], position[1], depth];
    const pixels = new Float64Array((points.length / 3) * 2);
    for (let row = 0; 3 * row < points.length; row++)
      for (const k of [0, 1])
        pixels[2 * row + k] =
          ((points[3 * row + k] + position[k]) * focal) / depth +
          centre[k] - 0.5;
    this.previousS = seconds;
    const joints = count / 3;
    this.mesh = {
      vertices: points.subarray(count),
      pixels: pixels.subarray(2 * joints),
      translation,
      focal,
    };
    const rotvecs = [];
    for (let at = 0; at < rotmats.length; at += 9)
      rotvecs.push(...rotationVector(rotmats.slice(at, at + 9)));
    return {
      pose_rotvec: rows(rotvecs, 3),
      betas: Array.from(betas, sixDecimals),
      joints_m: rows(points.subarray(0, count), 3),
      keypoints_px: rows(pixels.subarray(0, 2 * joints), 2),
      focal_px: sixDecimals(focal),
      principal_point_px: [centre[0] - 0.5, centre[1] - 0.5],
      translation_m: translation.map(sixDecimals),
    };
  }
}

/** Shares of colours under the vertices, six levels of each channel. */
function coloursUnder(outputs, crop, size) {
  const {vertices, camera} = outputs;
  const counts = new Float64Array(LEVELS ** 3);
  const cell = (value, shift) => {
    const ndc = f32(camera[0] * f32(value + shift));
    const inside = Math.min(Math.max(ndc, -1), f32(0.999));
    return Math.trunc(f32(f32(inside + 1) * size) / 2);
  };
  for (let at = 0; at < vertices.length; at += 3) {
    const x = cell(vertices[at], camera[1]);
    const y = cell(vertices[at + 1], camera[2]);
    const pixel = 3 * (y * size + x);
    const [red, green, blue] = [0, 1, 2].map(
      (k) => Math.floor(crop[pixel + k] / 43));
    counts[(red * LEVELS + green) * LEVELS + blue] += 1;
  }
  return counts.map((value) => (value * 3) / vertices.length);
}
