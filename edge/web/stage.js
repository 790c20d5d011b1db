/**
 * The picture with its bodies, a body alone, or a box being drawn.
 *
 * @typedef {"empty" | "picture" | "body" | "choose"} View
 */

import {BoxChooser} from "./box.js";
import {Turning} from "./turning.js";

const MOST_CANVAS_PX = 4096;
const MOST_PIXEL_RATIO = 2;
const TURNS_PER_S = 0.04;

/** The page's middle. */
export class Stage {
  /**
   * @param {HTMLElement} element with the canvas and the box
   * @param {(box: number[]) => void} onBox given in the picture's pixels
   * @param {(view: View) => void} onView
   */
  constructor(element, onBox, onView) {
    this.element = element;
    this.onView = onView;
    this.canvas = element.querySelector("canvas");
    /** @type {import("./draw.js").Drawing} */
    this.drawing = null;
    this.people = null;
    this.picture = null;
    /** Number of the person who is shown alone. */
    this.chosen = 0;
    this.greeting = null;
    this.view = "empty";
    this.turning = new Turning(this.canvas, () => this.draw());
    this.chooser = new BoxChooser(
      this.canvas, element.querySelector("#box"),
      (box) => onBox(box.map((value) => value * this.#scale)));
    this.canvas.addEventListener("click", (event) => {
      if (this.view === "picture" && this.people)
        this.#choose(this.chooser.point(event).map((v) => v * this.#scale));
    });
  }

  /** Pixels of the picture in one of the canvas. */
  get #scale() {
    return this.picture.width / this.canvas.width;
  }

  /** @param {View} view */
  show(view) {
    this.view = view;
    this.element.dataset.view = view;
    this.turning.isOn = view === "body";
    this.draw();
    if (view === "choose") this.chooser.start();
    else this.chooser.stop();
    this.onView(view);
  }

  /**
   * Takes the next picture; its people are drawn over it.
   * @param {HTMLCanvasElement} source with the picture's pixels
   * @param {import("./core.js").Picture} picture
   * @param {import("./people.js").People} people
   * @returns {number} milliseconds of the drawing
   */
  take(source, picture, people) {
    const start = performance.now();
    Object.assign(this, {source, picture, people, greeting: null});
    if (this.view === "empty") this.show("picture");
    else this.draw();
    return performance.now() - start;
  }

  /** Draws what is there. */
  draw() {
    const {drawing, people, picture, source} = this;
    if (!drawing) return;
    const {yaw, pitch, zoom} = this.turning;
    if (this.view === "body" || (this.view === "empty" && this.greeting)) {
      const {width, height} = this.canvas.getBoundingClientRect();
      const ratio = Math.min(devicePixelRatio, MOST_PIXEL_RATIO);
      this.#resize([width, height].map((n) => Math.round(n * ratio)));
      drawing.alone(this.greeting ?? this.chosenMesh, yaw, pitch, zoom);
    } else if (picture) {
      const size = [picture.width, picture.height];
      const shrink = Math.min(1, MOST_CANVAS_PX / Math.max(...size));
      this.#resize(size.map((n) => Math.round(n * shrink)));
      drawing.overlay(source, size, people.meshes);
    }
  }

  #resize([width, height]) {
    const {canvas} = this;
    if (canvas.width === width && canvas.height === height) return;
    canvas.width = width;
    canvas.height = height;
  }

  /**
   * Shows a body that turns, until there is a picture.
   * @param {ArrayLike<number>} vertices
   */
  greet(vertices) {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.greeting = {vertices};
    this.element.classList.add("greeting");
    let last = performance.now();
    const turn = (now) => {
      if (!this.greeting) {
        this.element.classList.remove("greeting");
        this.turning.reset();
        return;
      }
      if (!isStill) this.turning.yaw += 2 * Math.PI * TURNS_PER_S *
        (now - last) / 1000;
      last = now;
      this.draw();
      if (isStill) return;
      requestAnimationFrame(turn);
    };
    this.turning.yaw = -0.4;
    requestAnimationFrame(turn);
  }

  /** The body that is shown alone and saved. */
  get chosenMesh() {
    const {people, chosen} = this;
    const track = people?.tracks.find(({number}) => number === chosen);
    return track?.mesh ?? people?.meshes[0] ?? null;
  }

  /** Shows the person at a point of the picture alone. */
  #choose([x, y]) {
    const distances = this.people.tracks.map(({mesh, box}) => {
      if (!mesh) return Infinity;
      const [left, top, width, height] = box;
      const isInside =
        x >= left && y >= top && x < left + width && y < top + height;
      return isInside
        ? Math.hypot(x - left - width / 2, y - top - height / 2)
        : Infinity;
    });
    const nearest = Math.min(...distances);
    if (nearest === Infinity) return;
    this.chosen = this.people.tracks[distances.indexOf(nearest)].number;
    this.turning.reset();
    this.show("body");
  }
}
