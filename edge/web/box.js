/**
 * A box around a person, drawn by a finger, a mouse or the keyboard.
 *
 * @typedef {import("./core.js").Box} Box
 */

const STEP = 0.02; // Of the picture's longer side, by an arrow key.
const LEAST_PX = 8;
const ARROWS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
};

/** Where the picture lies in a canvas that contains it: x, y and scale. */
export function placement(canvas) {
  const {width, height} = canvas.getBoundingClientRect();
  const scale = Math.min(width / canvas.width, height / canvas.height);
  return {
    x: (width - scale * canvas.width) / 2,
    y: (height - scale * canvas.height) / 2,
    scale,
  };
}

/** Lets a person choose a box on the canvas. */
export class BoxChooser {
  #start = null;
  #box = [0, 0, 1, 1];

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} element that shows the box
   * @param {(box: Box) => void} onChosen given in the canvas' pixels
   */
  constructor(canvas, element, onChosen) {
    this.canvas = canvas;
    this.element = element;
    this.onChosen = onChosen;
    this.isOn = false;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#release());
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Shows a box in the middle, which keys can move. */
  start() {
    const {width, height} = this.canvas;
    this.isOn = true;
    this.#show([width * 0.3, height * 0.1, width * 0.4, height * 0.8]);
    this.element.focus();
  }

  /** Hides it. */
  stop() {
    this.isOn = false;
    this.#start = null;
    this.element.hidden = true;
  }

  #show(box) {
    this.#box = box;
    const {x, y, scale} = placement(this.canvas);
    const {style} = this.element;
    const [left, top, width, height] = box.map((value) => value * scale);
    style.left = `${x + left}px`;
    style.top = `${y + top}px`;
    style.width = `${width}px`;
    style.height = `${height}px`;
    this.element.hidden = false;
  }

  /** The canvas' pixel under a pointer. */
  point(event) {
    const {left, top} = this.canvas.getBoundingClientRect();
    const {x, y, scale} = placement(this.canvas);
    const clamp = (value, most) => Math.min(Math.max(value, 0), most);
    return [
      clamp((event.clientX - left - x) / scale, this.canvas.width),
      clamp((event.clientY - top - y) / scale, this.canvas.height),
    ];
  }

  #press(event) {
    if (!this.isOn) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.#start = this.point(event);
  }

  #move(event) {
    if (!this.isOn || !this.#start) return;
    const [x, y] = this.point(event);
    const [u, v] = this.#start;
    this.#show([
      Math.min(x, u), Math.min(y, v), Math.abs(x - u), Math.abs(y - v),
    ]);
  }

  #release() {
    if (!this.isOn || !this.#start) return;
    this.#start = null;
    const [, , width, height] = this.#box;
    if (Math.min(width, height) >= LEAST_PX) this.#take();
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (event.key === "Enter") this.#take();
    if (!arrow) return;
    event.preventDefault();
    const step = STEP * Math.max(this.canvas.width, this.canvas.height);
    const first = event.shiftKey ? 2 : 0;
    const box = [...this.#box];
    for (const k of [0, 1])
      box[first + k] = Math.max(box[first + k] + step * arrow[k],
        first ? LEAST_PX : -Infinity);
    this.#show(box);
  }

  #take() {
    this.stop();
    this.onChosen(this.#box);
  }
}
