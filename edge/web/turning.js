/** Turns a body by a finger, a mouse, a wheel or the arrow keys. */

const RADIANS_PER_PX = 0.01;
const STEP = 0.15; // Radians, by an arrow key.
const ZOOMS = [0.5, 6];

/** Angles and zoom of a view. */
export class Turning {
  #pointers = new Map();

  /**
   * @param {HTMLElement} element
   * @param {() => void} onChange
   */
  constructor(element, onChange) {
    this.onChange = onChange;
    this.isOn = false;
    this.reset();
    element.addEventListener("pointerdown", (event) => {
      if (!this.isOn) return;
      element.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    for (const name of ["pointerup", "pointercancel"])
      element.addEventListener(name, (event) =>
        this.#pointers.delete(event.pointerId));
    element.addEventListener("pointermove", (event) => this.#drag(event));
    element.addEventListener("wheel", (event) => {
      if (!this.isOn) return;
      event.preventDefault();
      this.#zoomBy(Math.exp(-event.deltaY / 500));
    }, {passive: false});
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Back to how the picture shows it. */
  reset() {
    this.yaw = 0;
    this.pitch = 0;
    this.zoom = 1;
  }

  #spread() {
    const [[x, y], [u, v]] = [...this.#pointers.values()];
    return Math.hypot(x - u, y - v);
  }

  #drag(event) {
    const last = this.#pointers.get(event.pointerId);
    if (!this.isOn || !last) return;
    const before = this.#pointers.size > 1 ? this.#spread() : 0;
    const here = [event.clientX, event.clientY];
    this.#pointers.set(event.pointerId, here);
    if (before) this.#zoomBy(this.#spread() / before);
    else
      this.#turnBy(
        RADIANS_PER_PX * (here[0] - last[0]),
        RADIANS_PER_PX * (here[1] - last[1]));
  }

  #key(event) {
    if (!this.isOn) return;
    const turns = {
      ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0],
      ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
    };
    const zooms = {"+": 1.2, "=": 1.2, "-": 1 / 1.2};
    if (turns[event.key]) this.#turnBy(...turns[event.key]);
    else if (zooms[event.key]) this.#zoomBy(zooms[event.key]);
    else return;
    event.preventDefault();
  }

  #turnBy(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = Math.min(Math.max(this.pitch + pitch, -1.5), 1.5);
    this.onChange();
  }

  #zoomBy(factor) {
    const [least, most] = ZOOMS;
    this.zoom = Math.min(Math.max(this.zoom * factor, least), most);
    this.onChange();
  }
}
