/**
 * What the page computes without a page: runs in Node too.
 *
 * The same rules, numbers, states and reasons as edge/run.py (crop, smoothing,
 * tracks) and tf_hmr/detection (who is in a photo).
 */

export {CROP_INPUTS, cropImage, inputsOf, squareBox} from "./core/crop.js";
export {Finder} from "./core/finder.js";
export {LandmarkNetwork, MIN_PRESENCE} from "./core/landmarks.js";
export {MIN_KEYPOINTS, boxOf, inSquare, seenCount} from "./core/lifting.js";
export {quality} from "./core/merging.js";
export {rotationVector} from "./core/rotations.js";
export {Pyramid} from "./core/squares.js";
export {FOCAL_OVER_SIDE, OUTPUTS, OneEuro, Track} from "./core/track.js";
