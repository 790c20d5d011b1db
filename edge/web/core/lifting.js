/**
 * What the lifter reads of a person's landmarks: tf_hmr/landmark_fitting.py.
 *
 * @typedef {import("./crop.js").Box} Box
 */

import {KEYPOINTS} from "./landmark_names.js";
import {COLUMNS} from "./landmarks.js";

/** A person with fewer visible landmarks has no body. */
export const MIN_KEYPOINTS = 4;
/** A landmark of less probability is not seen. */
const MIN_CONFIDENCE = 0.3;

/** x, y of the landmarks that are seen and are keypoints of a body. */
function seen(points) {
  return KEYPOINTS.map((row) => points.subarray(COLUMNS * row))
    .filter(([, , , , , visible, inside]) => visible * inside > MIN_CONFIDENCE)
    .map(([x, y]) => [x, y]);
}

/**
 * Number of the landmarks that are seen and are keypoints of a body.
 * @param {Float32Array} points (33, 7)
 */
export const seenCount = (points) => seen(points).length;

/**
 * Box of the keypoints that are seen.
 * @param {Float32Array} points (33, 7)
 * @returns {Box | null} null where there are fewer than MIN_KEYPOINTS
 */
export function boxOf(points) {
  const keypoints = seen(points);
  if (keypoints.length < MIN_KEYPOINTS) return null;
  const [x, y] = [0, 1].map((k) => {
    const values = keypoints.map((point) => point[k]);
    const low = Math.min(...values) + 0.5;
    const high = Math.max(...values) + 0.5;
    const side = Math.max(high - low, 1);
    return [(low + high - side) / 2, side];
  });
  return [x[0], y[0], x[1], y[1]];
}

/**
 * Landmarks with x and y in [-1, 1] of a square.
 * @param {Float32Array} points (33, 7)
 * @param {Box} square in pixel edges
 * @returns {Float32Array} (33, 7)
 */
export function inSquare(points, [x, y, side]) {
  const result = Float32Array.from(points);
  for (let at = 0; at < result.length; at += COLUMNS) {
    result[at] = (2 * (points[at] + 0.5 - x)) / side - 1;
    result[at + 1] = (2 * (points[at + 1] + 0.5 - y)) / side - 1;
  }
  return result;
}

