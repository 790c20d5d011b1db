/** A body as a binary glTF 2.0 file: metres, y up, towards the viewer z. */

import {vertexNormals} from "./projection.js";

const MAGIC = 0x46546c67;
const JSON_CHUNK = 0x4e4f534a;
const BINARY_CHUNK = 0x004e4942;
const FLOAT = 5126;
const UNSIGNED_INT = 5125;
const COLOUR = [0.38, 0.51, 0.71, 1]; // Linear, of the drawn one.

/**
 * @param {ArrayLike<number>} vertices (3 V) x right, y down, z forward
 * @param {Uint32Array} faces (3 F)
 * @returns {Uint8Array} the file
 */
export function glbOf(vertices, faces) {
  const upright = Float32Array.from(
    vertices, (value, at) => (at % 3 ? -value : value));
  const normals = vertexNormals(upright, faces);
  for (let at = 0; at < normals.length; at += 3) {
    const length = Math.hypot(...normals.subarray(at, at + 3)) || 1;
    for (let k = 0; k < 3; k++) normals[at + k] /= length;
  }
  const parts = [upright, normals, faces].map(
    (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  const [low, high] = [Math.min, Math.max].map((choose) =>
    [0, 1, 2].map((k) => {
      let value = upright[k];
      for (let at = k; at < upright.length; at += 3)
        value = choose(value, upright[at]);
      return value;
    }));
  const count = upright.length / 3;
  const lengths = parts.map((part) => part.length);
  const description = {
    asset: {version: "2.0", generator: "tf_hmr"},
    scene: 0,
    scenes: [{nodes: [0]}],
    nodes: [{mesh: 0, name: "body"}],
    meshes: [{
      primitives: [{
        attributes: {POSITION: 0, NORMAL: 1}, indices: 2, material: 0,
      }],
    }],
    materials: [{
      pbrMetallicRoughness: {
        baseColorFactor: COLOUR, metallicFactor: 0, roughnessFactor: 0.8,
      },
    }],
    accessors: [
      {
        bufferView: 0, componentType: FLOAT, count, type: "VEC3",
        min: low, max: high,
      },
      {bufferView: 1, componentType: FLOAT, count, type: "VEC3"},
      {
        bufferView: 2, componentType: UNSIGNED_INT, count: faces.length,
        type: "SCALAR",
      },
    ],
    bufferViews: lengths.map((byteLength, n) => ({
      buffer: 0,
      byteOffset: lengths.slice(0, n).reduce((sum, length) => sum + length, 0),
      byteLength,
    })),
    buffers: [{byteLength: lengths.reduce((sum, length) => sum + length, 0)}],
  };
  return joined(description, parts);
}

function joined(description, parts) {
  const text = JSON.stringify(description);
  const json = new TextEncoder().encode(
    text + " ".repeat((4 - (text.length % 4)) % 4));
  const binary = parts.reduce((sum, part) => sum + part.length, 0);
  const total = 12 + 8 + json.length + 8 + binary;
  const file = new Uint8Array(total);
  const view = new DataView(file.buffer);
  const numbers = [MAGIC, 2, total, json.length, JSON_CHUNK];
  numbers.forEach((value, n) => view.setUint32(4 * n, value, true));
  file.set(json, 20);
  let at = 20 + json.length;
  view.setUint32(at, binary, true);
  view.setUint32(at + 4, BINARY_CHUNK, true);
  at += 8;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
