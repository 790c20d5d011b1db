/** Files that a person keeps: the picture, the body, the lines. */

import {glbOf} from "./glb.js";

/**
 * Hands a file to the browser's downloads.
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * What a canvas shows, as a PNG.
 * @param {HTMLCanvasElement} canvas that was just drawn
 * @returns {Promise<Blob>}
 */
export function pictureOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => blob
        ? resolve(blob)
        : reject(new Error("the picture is too large to save")),
      "image/png");
  });
}

/**
 * A body as .glb.
 * @param {{vertices: Float64Array}} mesh
 * @param {Uint32Array} faces
 */
export const bodyOf = (mesh, faces) =>
  new Blob([glbOf(mesh.vertices, faces)], {type: "model/gltf-binary"});

/**
 * Records as edge/run.py writes them, a line for each frame and person.
 * @param {Object[]} lines
 */
export const linesOf = (lines) =>
  new Blob(lines.map((line) => JSON.stringify(line) + "\n"),
    {type: "application/jsonl"});
