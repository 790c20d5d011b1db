/**
 * Runs .tflite files by LiteRT.js: on the CPU by WASM, or on the GPU.
 *
 * @typedef {Object<string, Uint8Array | Float32Array>} Inputs by name, without
 *   the batch axis
 */

import {
  Tensor, getWebGpuDevice, isWebGPUSupported, loadAndCompile, loadLiteRt,
} from "@litertjs/core";

const NO_WEBGPU = "no WebGPU here";
const NOT_COMPILED = "the network does not run on this GPU";

/**
 * Loads the runtime; more threads where the page is isolated from others.
 * @param {string} folder of its .wasm files, with a slash at its end
 */
export async function loadRuntime(folder) {
  await loadLiteRt(folder, {threads: globalThis.crossOriginIsolated});
}

/** A network, which runs on the CPU, and on the GPU where it is told to. */
export class Network {
  #bytes;
  #wasm;
  #gpu = null;

  /**
   * @param {Uint8Array} bytes of a .tflite
   * @param {any} compiled for WASM
   */
  constructor(bytes, compiled) {
    this.#bytes = bytes;
    this.#wasm = compiled;
    /** Whether `run` uses the GPU. */
    this.onGpu = false;
    /** Why the CPU goes on for a GPU that failed; "" if it did not. */
    this.failure = "";
    /** Called then. */
    this.onFailure = () => {};
    this.inputs = compiled.getInputDetails()
      .map(({name, shape}) => ({name, shape: Array.from(shape)}));
  }

  /**
   * Compiles a network for the CPU.
   * @param {Uint8Array} bytes of a .tflite
   * @returns {Promise<Network>}
   */
  static async load(bytes) {
    const threads = globalThis.crossOriginIsolated
      ? Math.min(navigator.hardwareConcurrency || 1, 4)
      : 1;
    const compiled = await loadAndCompile(
      bytes, {accelerator: "wasm", cpuOptions: {numThreads: threads}});
    return new Network(bytes, compiled);
  }

  /** Side of its picture, where it reads one. */
  get size() {
    return this.inputs[0].shape[1];
  }

  /**
   * Compiles it for the GPU too.
   * @param {"fp16" | "fp32"} precision
   * @throws {Error} there is no GPU, or the network does not run on it
   */
  async compileForGpu(precision = "fp16") {
    if (!isWebGPUSupported() || !getWebGpuDevice()) throw new Error(NO_WEBGPU);
    this.failure = "";
    try {
      this.#gpu ??= await loadAndCompile(
        this.#bytes, {accelerator: "webgpu", gpuOptions: {precision}});
    } catch (error) {
      console.info(error.message);
      throw new Error(NOT_COMPILED, {cause: error});
    }
  }

  /** Runs on the GPU from now on, if it is compiled for it. */
  useGpu() {
    this.onGpu = this.#gpu !== null;
  }

  /** Frees what was compiled for the GPU. */
  leaveGpu() {
    this.onGpu = false;
    const compiled = this.#gpu;
    this.#gpu = null;
    try {
      compiled?.delete();
    } catch {
      // A lost device cannot be asked to free anything.
    }
  }

  /**
   * Answers for one person; on the CPU where the GPU fails.
   * @param {Inputs} inputs
   * @returns {Promise<Object<string, Float32Array>>} outputs by name
   */
  async run(inputs) {
    if (!this.onGpu) return this.#runOn(this.#wasm, inputs);
    try {
      return await Promise.race([this.#runOn(this.#gpu, inputs), gpuLoss()]);
    } catch (error) {
      this.leaveGpu();
      [this.failure] = error.message.split("\n");
      this.onFailure();
      return this.#runOn(this.#wasm, inputs);
    }
  }

  async #runOn(compiled, inputs) {
    const tensors = {};
    const answers = [];
    try {
      for (const {name, shape} of this.inputs)
        tensors[name] = new Tensor(inputs[name], shape);
      const results = await compiled.run(tensors);
      const outputs = {};
      for (const [name, tensor] of Object.entries(results)) {
        answers.push(tensor);
        outputs[name] = Float32Array.from(await tensor.data());
      }
      return outputs;
    } finally {
      for (const tensor of [...Object.values(tensors), ...answers])
        tensor.delete();
    }
  }

  /** Frees it. */
  delete() {
    this.leaveGpu();
    this.#wasm.delete();
  }
}

/**
 * A network of one picture, as core.js wants it.
 * @param {Network} network
 */
export function imageNetwork(network) {
  return {
    size: network.size,
    async run(image) {
      const outputs = await network.run({[network.inputs[0].name]: image});
      return Object.values(outputs);
    },
  };
}

/** Fails when the GPU is lost; what runs on it may never end then. */
async function gpuLoss() {
  const {reason} = await getWebGpuDevice().lost;
  throw new Error(`the GPU was lost (${reason})`);
}
