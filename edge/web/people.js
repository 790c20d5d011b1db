/**
 * Everybody in the pictures of one source: finds them, follows them, keeps the
 * lines of run.py's .jsonl.
 *
 * @typedef {import("./core.js").Picture} Picture
 * @typedef {import("./core.js").Box} Box
 */

import {Track, boxOf, cropImage} from "./core.js";
import {NobodySeen} from "./models.js";

/** People that are followed at once. */
const MOST_LIVE = 3;
/** Between two looks for people who came in. */
const GLANCE_S = 2;
/** Lines beyond this are no longer kept: an hour of one person. */
const MOST_LINES = 100_000;
/** Intersection over union from which a box is somebody who is followed. */
const SAME = 0.3;

const now = () => performance.now();
const rounded = (ms) => Math.round(1000 * ms) / 1000;

function overlap(a, b) {
  const common = [0, 1].map((k) =>
    Math.max(0, Math.min(a[k] + a[k + 2], b[k] + b[k + 2]) -
      Math.max(a[k], b[k])));
  const shared = common[0] * common[1];
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

/** Tracks of one source. */
export class People {
  /**
   * @param {any} model of models.js
   * @param {import("./core.js").Finder} finder
   * @param {boolean} isLive whether more pictures follow
   */
  constructor(model, finder, isLive) {
    this.model = model;
    this.finder = finder;
    this.isLive = isLive;
    /** @type {Track[]} */
    this.tracks = [];
    this.lines = [];
    this.frame = 0;
    this.numbers = 0;
    this.glancedS = -Infinity;
    /** The last view in which the model saw somebody. */
    this.last = null;
    /** @type {Box | null} the box that a person gave */
    this.box = null;
  }

  /**
   * Follows the person in a box, and nobody else.
   * @param {Box} box
   */
  follow(box) {
    this.box = box;
    this.tracks = [this.#track(box)];
  }

  #track(box) {
    const track = new Track(box, this.isLive);
    track.number = this.numbers++;
    return track;
  }

  /**
   * Takes a picture.
   * @param {Picture} picture
   * @param {number} seconds since the source's start
   * @param {(count: number) => Promise<void>} pause lets the page be painted
   * @returns {Promise<{records: any[], ms: Object<string, number>}>}
   */
  async update(picture, seconds, pause) {
    const size = [picture.width, picture.height];
    const ms = {find: 0, crop: 0, model: 0, smooth: 0};
    const start = now();
    const known = await this.#look(picture, seconds);
    ms.find = now() - start;
    const records = [];
    for (const track of [...this.tracks]) {
      await pause(records.length);
      const record = await this.#step(
        track, {picture, size, points: known.get(track)}, seconds, ms);
      records.push(record);
      // Somebody who was found is looked for again; a box stays.
      if (record.state === "lost" && !this.box)
        this.tracks = this.tracks.filter((other) => other !== track);
    }
    this.frame += 1;
    return {records, ms};
  }

  /** Looks for people; returns the landmarks of those that are new. */
  async #look(picture, seconds) {
    const known = new Map();
    const isDue =
      !this.tracks.length || (this.isLive && seconds - this.glancedS > GLANCE_S);
    if (this.box || !isDue) return known;
    this.glancedS = seconds;
    const people = this.isLive
      ? await this.finder.glance(picture)
      : await this.finder.find(picture);
    for (const {points} of people) {
      const box = boxOf(points);
      const isNew = box && this.tracks.every((track) =>
        overlap(track.box ?? track.startBox, box) < SAME);
      if (!isNew || (this.isLive && this.tracks.length >= MOST_LIVE)) continue;
      const track = this.#track(box);
      this.tracks.push(track);
      known.set(track, points);
    }
    return known;
  }

  async #step(track, view, seconds, ms) {
    const {model} = this;
    const {picture, size} = view;
    const times = [now()];
    const square = track.square(model, size);
    const crop = cropImage(picture, square, model.size);
    times.push(now());
    let record;
    try {
      const seen = {...view, crop, square};
      const outputs = await model.answer(seen);
      times.push(now());
      record = track.update(model, outputs, crop, size, seconds);
      if (record.state !== "lost") this.last = seen;
    } catch (error) {
      if (!(error instanceof NobodySeen)) throw error;
      times.push(now());
      record = track.lose(model, size, error.message);
    }
    times.push(now());
    record.ms = {};
    ["crop", "model", "smooth"].forEach((stage, n) => {
      ms[stage] += times[n + 1] - times[n];
      record.ms[stage] = rounded(times[n + 1] - times[n]);
    });
    const line = {
      frame: this.frame, time_s: seconds, ...record, track: track.number,
      topology: model.topology,
    };
    if (this.lines.length < MOST_LINES) this.lines.push(line);
    return line;
  }

  /** Meshes of everybody who is there now. */
  get meshes() {
    return this.tracks.map(({mesh}) => mesh).filter(Boolean);
  }

  /**
   * Notes how long the drawing took, in the lines of the last picture.
   * @param {any[]} records
   * @param {number} ms
   */
  noteDrawing(records, ms) {
    for (const record of records) record.ms.draw = rounded(ms);
  }
}
