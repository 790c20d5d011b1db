/** Names of joints: BLAZEPOSE33 and what of it are keypoints, as tf_hmr/joints.py. */

const sided = (...parts) => parts.flatMap((p) => [`left_${p}`, `right_${p}`]);

/** The landmarks of BlazePose, in its order. */
export const BLAZEPOSE33 = [
  "nose",
  "left_eye_inner", "left_eye", "left_eye_outer",
  "right_eye_inner", "right_eye", "right_eye_outer",
  ...sided("ear", "mouth", "shoulder", "elbow", "wrist"),
  ...sided("pinky", "index", "thumb"),
  ...sided("hip", "knee", "ankle", "heel", "foot_index"),
];

/**
 * Rows of names in BLAZEPOSE33.
 * @param {string[]} names
 * @returns {number[]}
 */
export function rowsOf(names) {
  return names.map((name) => {
    const row = BLAZEPOSE33.indexOf(name);
    if (row < 0) throw new Error(`${name} is no landmark of BlazePose`);
    return row;
  });
}

const LIMBS = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"];

/** The joints by which answers are compared. */
export const COMPARED = rowsOf(["nose", ...sided(...LIMBS)]);

/** Both shoulders, and both hips. */
export const SHOULDERS = rowsOf(sided("shoulder"));
export const HIPS = rowsOf(sided("hip"));

/** Ends of the bones; the head is a bone of one point. */
export const BONES = [
  ...["left", "right"].flatMap((side) => [
    ["shoulder", "elbow"], ["elbow", "wrist"], ["shoulder", "hip"],
    ["hip", "knee"], ["knee", "ankle"],
  ].map((ends) => rowsOf(ends.map((end) => `${side}_${end}`)))),
  HIPS, SHOULDERS, rowsOf(["nose", "nose"]),
];

/** The landmarks that stand for keypoints of a body. */
export const KEYPOINTS = rowsOf(
  ["nose", ...sided("eye", "ear", ...LIMBS, "heel", "foot_index")]);
