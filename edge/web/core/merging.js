/**
 * Which answers about squares are people, and which are one person:
 * tf_hmr/detection/merging.py, whose regression and limits these are.
 *
 * @typedef {import("./landmarks.js").Landmarks} Landmarks
 */

import {BONES, COMPARED, HIPS, SHOULDERS} from "./landmark_names.js";
import {COLUMNS, MIN_PRESENCE, expit} from "./landmarks.js";
import {apply, inverse, toPhoto} from "./squares.js";

/** An answer of less is left out. */
const MIN_QUALITY = 0.8;
/** Answers that place this share of their joints alike are one person's. */
const SHARED = 0.35;
/** An answer of which so much lies on another's mask is a part of that one. */
const ON_MASK = 0.65;
const ALIKE = 0.1;
const PART = 0.8;
const FEW = 3;
const CLEAREST = 6;
const WEIGHTS = [0.31, 0.48, -0.76, 1.08, 5.10, 1.37];
const BIAS = -7.67;
const MOST_PRESENCE = 0.999;
const LEAST_MOVE = 0.005;
const NEAR = 0.06;
const SAMPLES = 32;

const sum = (values) => values.reduce((total, value) => total + value, 0);
const column = ({points}, k) =>
  COMPARED.map((row) => points[COLUMNS * row + k]);
const xyAt = ({points}, row) =>
  [points[COLUMNS * row], points[COLUMNS * row + 1]];
const xyOf = (answer) => COMPARED.map((row) => xyAt(answer, row));

/** Diagonal of the box of points. */
function extent(points) {
  const spans = [0, 1].map((k) => {
    const values = points.map((point) => point[k]);
    return Math.max(...values) - Math.min(...values);
  });
  return Math.hypot(...spans);
}

/** Rows that count: those inside, or all where they are few. */
function counted(isInside) {
  return isInside.filter(Boolean).length < FEW
    ? isInside.map(() => true)
    : isInside;
}

/**
 * Diagonal in pixels of the box of the joints inside the photo.
 * @param {Landmarks} answer
 */
export function size(answer) {
  const inside = counted(column(answer, 6).map((value) => value > 0.5));
  return extent(xyOf(answer).filter((_, row) => inside[row]));
}

/** The share of an answer's visible joints on the mask of another. */
function shareOnMask(answer, owner) {
  const side = Math.sqrt(owner.mask.length);
  const toMask = inverse(toPhoto(owner.square, side));
  const [visible, inside] = [column(answer, 5), column(answer, 6)];
  let on = 0;
  let total = 0;
  xyOf(answer).forEach(([x, y], row) => {
    const weight = visible[row] * inside[row];
    const [u, v] = apply(toMask, x + 0.5, y + 0.5).map(Math.floor);
    total += weight;
    if (u >= 0 && v >= 0 && u < side && v < side)
      on += weight * expit(owner.mask[v * side + u]);
  });
  return on / (total + 1e-6);
}

/** Distance of a point from a line from one end to another. */
function distanceToBone([x, y], [[startX, startY], [endX, endY]]) {
  const [alongX, alongY] = [endX - startX, endY - startY];
  const squared = Math.max(alongX * alongX + alongY * alongY, 1e-6);
  const share = Math.min(Math.max(
    ((x - startX) * alongX + (y - startY) * alongY) / squared, 0), 1);
  return Math.hypot(x - startX - share * alongX, y - startY - share * alongY);
}

/** The share of an answer's mask that lies near its bones. */
function maskNearBones(answer) {
  const side = Math.sqrt(answer.mask.length);
  const step = Math.max(1, Math.floor(side / SAMPLES));
  const first = Math.floor(step / 2);
  const map = toPhoto(answer.square, side);
  const bones = BONES.map((ends) => ends.map((row) => xyAt(answer, row)));
  const most = NEAR * extent(xyOf(answer));
  let near = 0;
  let total = 0;
  for (let row = first; row < side; row += step)
    for (let column = first; column < side; column += step) {
      if (!(answer.mask[row * side + column] > 0)) continue; // A logit.
      const point = apply(map, column + 0.5, row + 0.5).map((v) => v - 0.5);
      const distances = bones.map((bone) => distanceToBone(point, bone));
      total += 1;
      if (Math.min(...distances) < most) near += 1;
    }
  return total ? near / total : 0;
}

/** Cosine of the trunk's turn in the photo: 1 upright, -1 head down. */
function uprightness(answer) {
  const [hips, shoulders] = [HIPS, SHOULDERS].map((rows) => {
    const [left, right] = rows.map((row) => xyAt(answer, row));
    return [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  });
  const [x, y] = [hips[0] - shoulders[0], hips[1] - shoulders[1]];
  return y / Math.max(Math.hypot(x, y), 1e-6);
}

/**
 * Estimates the probability that an answer is one person's.
 * @param {Landmarks} answer
 */
export function quality(answer) {
  if (!answer.points.every(Number.isFinite)) return 0;
  const presence = Math.min(
    Math.max(answer.presence, 1 - MOST_PRESENCE), MOST_PRESENCE);
  const clearest = column(answer, 5).sort((a, b) => b - a).slice(0, CLEAREST);
  const {square, nextSquare} = answer;
  const move = Math.hypot(nextSquare[0] - square[0], nextSquare[1] - square[1]);
  const signs = [
    Math.log(presence / (1 - presence)),
    sum(clearest) / CLEAREST,
    Math.log(move / square[2] + LEAST_MOVE),
    shareOnMask(answer, answer),
    maskNearBones(answer),
    uprightness(answer),
  ];
  const value = BIAS + sum(signs.map((sign, n) => WEIGHTS[n] * sign));
  return Number.isFinite(value) ? expit(value) : 0;
}

/** The share of joints that two answers place alike. */
function shared(answer, reference) {
  const [inside, insideReference] = [answer, reference].map((a) => column(a, 6));
  const rows = counted(inside.map(
    (value, row) => Math.min(value, insideReference[row]) > 0.5));
  const [xy, xyReference] = [xyOf(answer), xyOf(reference)];
  const most = ALIKE * Math.min(extent(xy), extent(xyReference));
  const alike = xy.map(([x, y], row) =>
    Math.hypot(x - xyReference[row][0], y - xyReference[row][1]) < most);
  const both = alike.filter((isAlike, row) => isAlike && rows[row]);
  return both.length / rows.filter(Boolean).length;
}

/** Whether an answer is a part of another person, or that person again. */
function isPart(answer, owner, isBetter) {
  const ratio = size(answer) / Math.max(size(owner), 1e-6);
  const isAgain = ratio < 1 / PART && !isBetter;
  return (ratio < PART || isAgain) && shareOnMask(answer, owner) > ON_MASK;
}

/**
 * Chooses one answer for each person, the best person first.
 * @param {Landmarks[]} answers about squares of one photo
 * @returns {Landmarks[]}
 */
export function select(answers) {
  const ranked = answers
    .map((answer) => ({answer, quality: quality(answer)}))
    .sort((a, b) => b.quality - a.quality)
    .filter((row) => row.quality >= MIN_QUALITY);
  const people = [];
  for (const {answer} of ranked) {
    if (answer.presence < MIN_PRESENCE) continue;
    if (people.every((person) => shared(answer, person) < SHARED))
      people.push(answer);
  }
  return people.filter((person, rank) =>
    !people.some((owner, ownerRank) =>
      ownerRank !== rank && isPart(person, owner, rank < ownerRank)));
}
