/**
 * Which answers about squares are people, and which are one person:
 * tf_hmr/detection/merging.py, whose regression and limits these are.
 *
 * @typedef {import("./landmarks.js").Landmarks} Landmarks
 */

import {COMPARED} from "./landmark_names.js";
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
const WEIGHTS = [0.35, 0.81, -1.53, -0.77, 1.35];
const BIAS = -10.1;
const MOST_PRESENCE = 0.999;
const LEAST_MOVE = 0.005;

const sum = (values) => values.reduce((total, value) => total + value, 0);
const column = ({points}, k) =>
  COMPARED.map((row) => points[COLUMNS * row + k]);
const xyOf = ({points}) =>
  COMPARED.map((row) => [points[COLUMNS * row], points[COLUMNS * row + 1]]);

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

/** How badly points in metres fit those in pixels, over the person's size. */
function mismatch(answer) {
  let weights = column(answer, 5).map((value) => value + 1e-3);
  const total = sum(weights);
  weights = weights.map((value) => value / total);
  const aboutMean = (values) => {
    const mean = sum(values.map((value, row) => weights[row] * value));
    return values.map((value) => value - mean);
  };
  const metres = [2, 3].map((k) => aboutMean(column(answer, k)));
  const pixels = [0, 1].map((k) => aboutMean(column(answer, k)));
  const products = (a, b) =>
    sum([0, 1].flatMap((k) =>
      weights.map((weight, row) => weight * a[k][row] * b[k][row])));
  const scale =
    products(metres, pixels) / Math.max(products(metres, metres), 1e-12);
  const rest = [0, 1].map((k) =>
    metres[k].map((value, row) => scale * value - pixels[k][row]));
  return Math.sqrt(products(rest, rest)) / Math.max(extent(xyOf(answer)), 1e-6);
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
    Math.log(Math.max(mismatch(answer), 1e-3)),
    Math.log(move / square[2] + LEAST_MOVE),
    shareOnMask(answer, answer),
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
