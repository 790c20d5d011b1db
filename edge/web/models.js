/**
 * Models of people: what answers for the square of a track.
 *
 * @typedef {import("./files.js").ModelFiles} ModelFiles
 * @typedef {import("./network.js").Network} Network
 * @typedef {import("./core.js").Picture} Picture
 *
 * @typedef {Object} View what a model may look at
 * @property {Picture} picture the whole frame
 * @property {Uint8Array} crop
 * @property {number[]} square
 * @property {number[]} size width and height of the frame
 * @property {Float32Array} [points] landmarks, where they are known
 */

import {
  FOCAL_OVER_SIDE, LandmarkNetwork, MIN_PRESENCE, Pyramid, inSquare, inputsOf,
} from "./core.js";
import {imageNetwork} from "./network.js";

/** Mean distance in metres that a GPU's vertices may have from the CPU's. */
export const MOST_GPU_DISTANCE_M = 0.02;

/** Nobody is in the square: there is no answer to judge. */
export class NobodySeen extends Error {}

/** A model's files, and what a track asks of it. */
class Model {
  /**
   * @param {ModelFiles} files
   * @param {Network} network
   */
  constructor(files, network) {
    this.files = files;
    this.network = network;
    this.size = files.size;
    this.cropScale = files.cropScale;
    this.topology = files.topology;
  }

  /** The networks that an answer needs. */
  get networks() {
    return [this.network];
  }

  /** Focal length in pixels to place bodies with in a frame of `size`. */
  focalPx(size) {
    const longer = Math.max(...size);
    return this.files.reads.includes("intrinsics")
      ? longer
      : FOCAL_OVER_SIDE * longer;
  }

  /** Vertices of a body in no particular pose, to greet with; null if none. */
  async meanVertices() {
    return null;
  }

  /** The answer, of the body that its files are of. */
  async checked(inputs) {
    const outputs = await this.network.run(inputs);
    if (outputs.vertices?.length !== 3 * this.files.vertexCount)
      throw new Error(
        `${this.files.name} does not answer as its card says: vertices`);
    return outputs;
  }
}

/** Reads the crop of a person. */
class ImageModel extends Model {
  /** @param {View} view */
  async answer({crop, square, size}) {
    return this.checked(inputsOf(crop, square, size));
  }
}

/** Reads BlazePose's landmarks, and looks for them itself. */
class LandmarkModel extends Model {
  constructor(files, network, landmarks) {
    super(files, network);
    this.landmarks = landmarks;
    this.looks = new LandmarkNetwork(imageNetwork(landmarks));
  }

  get networks() {
    return [this.network, this.landmarks];
  }

  /**
   * @param {View} view
   * @throws {NobodySeen}
   */
  async answer({picture, square, points}) {
    return this.checked({
      landmarks: inSquare(points ?? (await this.#look(picture, square)), square),
    });
  }

  /** The body of which no landmark is known. */
  async meanVertices() {
    const [, rows, columns] = this.network.inputs[0].shape;
    const landmarks = new Float32Array(rows * columns);
    return (await this.checked({landmarks})).vertices;
  }

  async #look(picture, [x, y, side]) {
    const {points, presence} = await this.looks.lookTwice(
      new Pyramid(picture), [x + side / 2, y + side / 2, side, 0]);
    if (presence < MIN_PRESENCE)
      throw new NobodySeen(`nobody seen (presence ${presence.toFixed(2)})`);
    return points;
  }
}

/**
 * The model of files.
 * @param {ModelFiles} files
 * @param {Network} network of these files
 * @param {Network} landmarks BlazePose's, which the lifter needs
 */
export function modelOf(files, network, landmarks) {
  return files.reads[0] === "landmarks"
    ? new LandmarkModel(files, network, landmarks)
    : new ImageModel(files, network);
}

/** Mean distance between the vertices of two answers, metres. */
export function vertexDistance(a, b) {
  let sum = 0;
  for (let at = 0; at < a.length; at += 3)
    sum += Math.hypot(a[at] - b[at], a[at + 1] - b[at + 1], a[at + 2] - b[at + 2]);
  return (3 * sum) / a.length;
}

/**
 * Tries the GPU on a view that the CPU has answered. Networks that do not run
 * on it stay on the CPU; all do where the answers differ.
 *
 * @param {Model} model
 * @param {View} view
 * @returns {Promise<{reason: string, isPart: boolean}>} why the GPU is not
 *   used, "" if it is; whether some networks stay on the CPU
 */
export async function tryGpu(model, view) {
  // Known landmarks would leave the network that answers them out.
  const unseen = {...view, points: undefined};
  const {networks} = model;
  const reasons = [];
  try {
    const reference = await model.answer(unseen);
    for (const network of networks)
      await network.compileForGpu().catch(({message}) => reasons.push(message));
    for (const network of networks) network.useGpu();
    const answer = await model.answer(unseen);
    const failed = networks.find(({failure}) => failure);
    if (failed) throw new Error(failed.failure);
    if (!networks.some(({onGpu}) => onGpu)) throw new Error(reasons[0]);
    const distance = vertexDistance(answer.vertices, reference.vertices);
    if (!(distance <= MOST_GPU_DISTANCE_M))
      throw new Error(`the GPU is ${(1000 * distance).toFixed(0)} mm off`);
    return {reason: "", isPart: reasons.length > 0};
  } catch (error) {
    leaveGpu(model);
    return {reason: error.message, isPart: false};
  }
}

/** All networks of a model go on on the CPU. */
export function leaveGpu(model) {
  for (const network of model.networks) network.leaveGpu();
}
