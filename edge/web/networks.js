/**
 * The site's networks, and those that a person opens.
 *
 * @typedef {Object} Site what `python -m edge.site` writes to site.json
 * @property {Object<string, string>} networks paths of people, faces, landmarks
 * @property {{name: string, title: string}[]} models in the folder models/
 */

import {Finder} from "./core.js";
import {readModel} from "./files.js";
import {modelOf} from "./models.js";
import {Network, imageNetwork, loadRuntime} from "./network.js";

async function fetched(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} is missing: ${response.status}`);
  return response.blob();
}

/** Loads what the page runs. */
export class Networks {
  /**
   * @param {Site} site
   * @param {(text: string) => void} say tells what is loaded
   */
  constructor(site, say) {
    this.site = site;
    this.say = say;
    this.finder = null;
    this.landmarks = null;
  }

  /** Loads the runtime and the networks that find people. */
  async start() {
    this.say("Loading the runtime");
    await loadRuntime("vendor/wasm/");
    const finders = {};
    for (const [name, path] of Object.entries(this.site.networks)) {
      this.say("Loading the networks that find people");
      const bytes = await (await fetched(path)).arrayBuffer();
      finders[name] = await Network.load(new Uint8Array(bytes));
    }
    this.landmarks = finders.landmarks;
    this.finder = new Finder(Object.fromEntries(
      Object.entries(finders).map(([name, network]) =>
        [name, imageNetwork(network)])));
  }

  /**
   * Loads a model of the site.
   * @param {string} name
   */
  async ofSite(name) {
    this.say("Loading the network of bodies");
    const stem = `models/${name}`;
    const [tflite, card, mesh] = await Promise.all(
      [".tflite", ".card.json", ".mesh.npz"].map((e) => fetched(stem + e)));
    return this.ofFiles(name, {tflite, card, mesh});
  }

  /**
   * Loads a model of files.
   * @param {string} name
   * @param {{tflite: Blob, card: Blob, mesh: Blob}} blobs
   */
  async ofFiles(name, blobs) {
    const files = await readModel(name, blobs);
    let network;
    try {
      network = await Network.load(files.bytes);
      const names = network.inputs.map((input) => input.name).sort();
      if (String(names) !== String([...files.reads].sort()))
        throw new Error(`it reads ${names}, its card says ${files.reads}`);
    } catch (error) {
      network?.delete();
      const [line] = error.message.split("\n");
      throw new Error(`${name} cannot be run here: ${line}`, {cause: error});
    }
    return modelOf(files, network, this.landmarks);
  }
}
