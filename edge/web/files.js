/**
 * The three files of edge.export: NAME.tflite, .card.json and .mesh.npz,
 * checked as Model of edge/run.py checks them.
 *
 * @typedef {Object} ModelFiles
 * @property {string} name
 * @property {Uint8Array} bytes of the network
 * @property {any} card
 * @property {string[]} reads names of its inputs
 * @property {number} size side of its crop in pixels
 * @property {number} cropScale
 * @property {string} topology
 * @property {number} vertexCount
 * @property {Uint32Array} faces (3 F) that are drawn: the coarse mesh's
 * @property {Uint32Array} allFaces (3 F) of the whole mesh
 */

import {CROP_INPUTS, OUTPUTS} from "./core.js";

const ENDINGS = {tflite: ".tflite", card: ".card.json", mesh: ".mesh.npz"};
const END_OF_ZIP = 0x06054b50;
const DEFLATED = 8;
const INTEGERS = {
  "|i1": Int8Array, "|u1": Uint8Array, "<i2": Int16Array, "<u2": Uint16Array,
  "<i4": Int32Array, "<u4": Uint32Array, "<i8": BigInt64Array,
  "<u8": BigUint64Array,
};

/**
 * Sorts a person's files into models, by their names.
 * @param {File[]} files
 * @returns {{name: string, tflite: File, card: File, mesh: File}[]}
 * @throws {Error} of a model a file is missing
 */
export function modelsAmong(files) {
  const networks = files.filter((file) => file.name.endsWith(ENDINGS.tflite));
  return networks.map((tflite) => {
    const name = tflite.name.slice(0, -ENDINGS.tflite.length);
    const [card, mesh] = [ENDINGS.card, ENDINGS.mesh].map((ending) => {
      const file = files.find((other) => other.name === name + ending);
      if (!file)
        throw new Error(
          `${name}${ending} is missing: choose ${name}.tflite, .card.json ` +
          "and .mesh.npz together");
      return file;
    });
    return {name, tflite, card, mesh};
  });
}

/**
 * Reads and checks a model.
 * @param {string} name
 * @param {{tflite: Blob, card: Blob, mesh: Blob}} blobs
 * @returns {Promise<ModelFiles>}
 * @throws {Error} one line: what is wrong with it
 */
export async function readModel(name, {tflite, card: cardBlob, mesh}) {
  try {
    const card = parsedCard(await cardBlob.text());
    const bytes = new Uint8Array(await tflite.arrayBuffer());
    await checkContent(bytes, card);
    const faces = await readFaces(new Uint8Array(await mesh.arrayBuffer()));
    const files = {name, bytes, card, ...fields(card), ...faces};
    for (const face of files.allFaces)
      if (face >= files.vertexCount)
        throw new Error("its .mesh.npz is of another body");
    return files;
  } catch (error) {
    throw new Error(`${name} cannot be used: ${error.message}`, {cause: error});
  }
}

function parsedCard(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("its .card.json is damaged");
  }
}

/** A field of the card by its path. */
function field(card, ...path) {
  let value = card;
  for (const key of path) {
    value = value?.[key];
    if (value === undefined || value === null)
      throw new Error(`its card lacks ${path.join(".")}`);
  }
  return value;
}

function fields(card) {
  const reads = Object.keys(field(card, "inputs"));
  const readsLandmarks = reads.length === 1 && reads[0] === "landmarks";
  const unknown = reads.filter((name) => !CROP_INPUTS.includes(name));
  if (unknown.length && !readsLandmarks)
    throw new Error(
      `it reads ${unknown.join(", ")}; expected some of ` +
      `${CROP_INPUTS.join(", ")}, or landmarks alone`);
  for (const name of OUTPUTS) field(card, "outputs", name, "shape");
  const size = readsLandmarks
    ? field(card, "config", "image_size")
    : field(card, "inputs", "image", "shape")[1];
  const cropScale = field(card, "crop", "scale");
  if (!(size > 0 && cropScale > 0 && cropScale < Infinity))
    throw new Error("its card's image shape or crop scale is not > 0");
  return {
    reads,
    size,
    cropScale,
    topology: String(field(card, "topology")),
    vertexCount: field(card, "outputs", "vertices", "shape")[1],
  };
}

async function checkContent(bytes, card) {
  const expected = field(card, "bytes");
  if (bytes.length !== expected)
    throw new Error(`not the ${expected} bytes that it was`);
  // Older cards have no sha256; only https and localhost have crypto.subtle.
  if (!card.sha256 || !globalThis.crypto?.subtle) return;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const text = Array.from(
    digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (text !== card.sha256)
    throw new Error("damaged, its sha256 is not that of its card");
}

async function readFaces(bytes) {
  const arrays = await readNpz(bytes).catch(() => {
    throw new Error("its .mesh.npz is damaged");
  });
  for (const name of ["faces", "lite_faces", "lite_vertices"])
    if (arrays[name] && !isIndices(arrays[name].values))
      throw new Error(`${name} of its .mesh.npz are no indices`);
  const {faces, lite_faces: lite, lite_vertices: vertices} = arrays;
  const isTriangles = (array) => array?.shape[1] === 3 && array.shape[0] > 0;
  if (!isTriangles(faces) || (lite && !(isTriangles(lite) && vertices)))
    throw new Error("the faces of its .mesh.npz are no triangles");
  return {
    allFaces: Uint32Array.from(faces.values, Number),
    faces: lite
      ? Uint32Array.from(lite.values, (row) => Number(vertices.values[row]))
      : Uint32Array.from(faces.values, Number),
  };
}

const isIndices = (values) =>
  values !== null && values.every((value) => value >= 0);

/**
 * Arrays of whole numbers in an .npz; others have null as values.
 * @param {Uint8Array} bytes
 * @returns {Promise<Object<string, {shape: number[], values: any}>>}
 */
export async function readNpz(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (view.getUint32(end, true) !== END_OF_ZIP) end -= 1;
  const count = view.getUint16(end + 10, true);
  let entry = view.getUint32(end + 16, true);
  const arrays = {};
  for (let n = 0; n < count; n++) {
    const method = view.getUint16(entry + 10, true);
    const length = view.getUint32(entry + 20, true);
    const nameLength = view.getUint16(entry + 28, true);
    const extraLength = view.getUint16(entry + 30, true);
    const local = view.getUint32(entry + 42, true);
    const start =
      local + 30 + view.getUint16(local + 26, true) +
      view.getUint16(local + 28, true);
    const name = new TextDecoder().decode(
      bytes.subarray(entry + 46, entry + 46 + nameLength));
    const packed = bytes.subarray(start, start + length);
    const npy = method === DEFLATED ? await inflated(packed) : packed;
    arrays[name.replace(/\.npy$/, "")] = readNpy(npy);
    entry += 46 + nameLength + extraLength + view.getUint16(entry + 32, true);
  }
  return arrays;
}

async function inflated(packed) {
  const stream = new Blob([packed]).stream()
    .pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = 10 + view.getUint16(8, true);
  const header = new TextDecoder().decode(bytes.subarray(10, start));
  const dtype = /'descr': *'([^']*)'/.exec(header)[1];
  const shape = /'shape': *\(([^)]*)\)/.exec(header)[1]
    .split(",").filter((word) => word.trim()).map(Number);
  const Type = INTEGERS[dtype];
  const isByRows = header.includes("'fortran_order': False");
  const content = bytes.slice(start).buffer;
  return {shape, values: Type && isByRows ? new Type(content) : null};
}
