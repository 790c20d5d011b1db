/** What the page says: its state, its errors, its device, its figures. */

const element = (id) => document.getElementById(id);

/**
 * One line about what happens.
 * @param {string} text
 * @param {boolean} isError
 */
export function say(text, isError = false) {
  const state = element("state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("error", isError);
}

/** Whether something is being loaded or looked for. */
export function busy(isBusy) {
  element("busy").hidden = !isBusy;
}

/** One line about what went wrong. */
export function fail(error) {
  busy(false);
  say(error.message.split("\n")[0], true);
}

/**
 * What runs the network.
 * @param {string} reason why it is not the GPU; "" if it is
 * @param {boolean} isPart whether some of its networks stay on the CPU
 */
export function showDevice(reason, isPart = false) {
  const device = element("device");
  const gpu = isPart ? "GPU, in part" : "GPU";
  device.textContent = reason ? `CPU: ${reason}` : gpu;
  device.title = device.textContent;
}

/**
 * Frames a second, and the milliseconds of each stage.
 * @param {Object<string, number>} ms
 * @param {number} perSecond 0 for a photo
 * @param {number} frames that were looked at
 */
export function showFigures(ms, perSecond, frames) {
  const words = Object.entries(ms)
    .filter(([, value]) => value)
    .map(([stage, value]) => `${stage} ${Math.round(value)} ms`);
  if (perSecond) words.unshift(`${perSecond.toFixed(1)} fps`);
  element("figures").textContent = words.join(" · ");
  element("figures").dataset.frames = String(frames);
  element("figures").hidden = false;
}

/**
 * Who is there, and what can be done with them.
 * @param {import("./people.js").People} people
 * @param {Object[]} records of this picture
 * @param {boolean} isPhoto
 */
export function showPeople(people, records, isPhoto) {
  const count = people.meshes.length;
  const lost = records.find(({reason}) => reason);
  if (count) say(count === 1 ? "1 person" : `${count} people`);
  else if (lost) say(`Lost: ${lost.reason}`, isPhoto);
  else if (isPhoto) say("Nobody found. Draw a box around a person.", true);
  else say("Looking for people");
  for (const id of ["turn", "save-body"]) element(id).disabled = !count;
  for (const id of ["choose", "save-picture"]) element(id).disabled = false;
  element("save-lines").disabled = !people.lines.length;
}
