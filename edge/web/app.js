/** The page: sources in, bodies out. */

import {Drawing, fetchShaders} from "./draw.js";
import {modelsAmong} from "./files.js";
import {leaveGpu, tryGpu} from "./models.js";
import {Networks} from "./networks.js";
import {People} from "./people.js";
import * as save from "./save.js";
import * as sources from "./sources.js";
import {Stage} from "./stage.js";
import {busy, fail, say, showDevice, showFigures, showPeople} from "./status.js";

const element = (id) => document.getElementById(id);
const painted = () => new Promise((resolve) => setTimeout(resolve));
const press = (id, isPressed) =>
  element(id).setAttribute("aria-pressed", String(isPressed));

const page = {
  /** @type {Networks} */ networks: null,
  /** @type {Stage} */ stage: null,
  /** @type {People} */ people: null,
  model: null,
  source: null,
  /** Counts sources: what an older one still has to say is not shown. */
  turn: 0,
  /** The picture that is being looked at. */
  working: Promise.resolve(),
  gpuTried: false,
};

// ---- What is computed ---------------------------------------------------

/** One picture: finds, follows, draws. */
async function look(picture, seconds, perSecond) {
  const {people, stage, turn} = page;
  const {records, ms} = await people.update(picture, seconds, painted);
  if (turn !== page.turn) return;
  ms.draw = stage.take(sources.lastFrame(), picture, people);
  people.noteDrawing(records, ms.draw);
  showPeople(people, records, page.source.kind === "photo");
  showFigures(ms, perSecond, people.frame);
  await chooseDevice();
}

function step(...picture) {
  page.working = look(...picture);
  return page.working;
}

/** Tries the GPU once for each model, on the first answer. */
async function chooseDevice() {
  const {people, model} = page;
  if (page.gpuTried || !people.last) return;
  page.gpuTried = true;
  showDevice("trying the GPU");
  await painted();
  const {reason, isPart} = await tryGpu(model, people.last);
  if (model === page.model) showDevice(reason, isPart);
}

/** Frames as they come, until another source begins. */
async function live(turn) {
  const {source} = page;
  const {video} = source;
  const start = performance.now();
  let last = start;
  let perSecond = 0;
  let shownS = -1;
  while (turn === page.turn && !video.ended) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    if (!video.videoWidth || video.currentTime === shownS) continue;
    shownS = video.currentTime;
    const seconds = source.kind === "camera"
      ? (performance.now() - start) / 1000
      : shownS;
    await step(sources.readFrame(video), seconds, perSecond);
    const now = performance.now();
    const rate = 1000 / (now - last);
    perSecond = perSecond ? 0.8 * perSecond + 0.2 * rate : rate;
    last = now;
  }
  if (turn === page.turn) element("pause").textContent = "Play again";
}

function showSource(kind) {
  element("pause").hidden = kind !== "video";
  element("pause").textContent = "Pause";
  element("flip").hidden = kind !== "camera";
  press("camera", kind === "camera");
}

/** Ends a live source; what it showed last stays. */
function stopLive() {
  page.turn += 1;
  if (page.source?.video) sources.close(page.source);
  showSource("none");
}

/** Ends what runs, and starts with what `open` gives. */
async function begin(open) {
  const turn = ++page.turn;
  busy(true);
  try {
    await page.ready;
    await page.working.catch(() => {});
    const source = await open();
    if (turn !== page.turn) {
      sources.close(source);
      return;
    }
    if (page.source !== source) sources.close(page.source);
    page.source = source;
    const isLive = source.kind !== "photo";
    page.people = new People(page.model, page.networks.finder, isLive);
    if (page.stage.view !== "empty") page.stage.show("picture");
    showSource(source.kind);
    say("Looking for people");
    await painted();
    if (isLive) {
      busy(false);
      await live(turn);
    } else await step(source.picture, 0, 0);
    busy(false);
  } catch (error) {
    if (turn !== page.turn) return;
    stopLive();
    fail(error);
  }
}

const openPhoto = (file) => begin(() => sources.photoSource(file));
const openVideo = (file) => begin(() => sources.videoSource(file));

let facing = "environment";
const openCamera = () => begin(() => sources.cameraSource(facing, () => {
  stopLive();
  fail(new Error("the camera is gone: choose another source"));
}));

/** Follows the person in a box that was drawn. */
async function follow(box) {
  const {people, source, stage} = page;
  people.follow(box);
  stage.show("picture");
  if (source.kind !== "photo") return;
  busy(true);
  try {
    people.lines.length = 0;
    await step(source.picture, 0, 0);
  } catch (error) {
    fail(error);
  }
  busy(false);
}

// ---- Networks -----------------------------------------------------------

async function useModel(load) {
  busy(true);
  try {
    const model = await load();
    const {source, turn} = page;
    page.turn += 1;
    await page.working.catch(() => {});
    page.model?.network.delete();
    page.model = model;
    page.gpuTried = false;
    for (const network of model.networks)
      network.onFailure = () => {
        leaveGpu(model);
        showDevice(network.failure);
      };
    page.stage.drawing.setFaces(model.files.faces);
    const {card} = model.files;
    element("licence").textContent =
      `${card.method}, ${card.precision}. Body: ` +
      `${card.body.name}, ${card.body.licence}.`;
    showDevice("GPU not tried yet");
    say("");
    if (source && turn) begin(() => source);
    else {
      const mean = await model.meanVertices();
      if (mean && !page.source) page.stage.greet(mean);
    }
  } catch (error) {
    fail(error);
  }
  busy(false);
}

async function openModelFiles(files) {
  element("settings").open = false;
  try {
    await page.ready;
    const [chosen] = modelsAmong(files);
    if (!chosen)
      throw new Error("expected a .tflite, its .card.json and its .mesh.npz");
    await useModel(() => page.networks.ofFiles(chosen.name, chosen));
    if (page.model.files.name !== chosen.name) return;
    const option = new Option(chosen.name, "", true, true);
    option.disabled = true;
    element("model").add(option);
  } catch (error) {
    fail(error);
  }
}

// ---- What a person does -------------------------------------------------

/** Files that were dropped, by what they are. */
function openFiles(files) {
  const [file] = files;
  if (!file) return;
  if (files.some(({name}) => name.endsWith(".tflite"))) openModelFiles(files);
  else if (file.type.startsWith("video/")) openVideo(file);
  else openPhoto(file);
}

function onFiles(id, open) {
  element(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = ""; // The same file can be chosen again.
    if (files.length) open(files);
  });
}

const onClick = (id, call) => element(id).addEventListener("click", call);

function listenToSources() {
  onFiles("photo", ([file]) => openPhoto(file));
  onFiles("video", ([file]) => openVideo(file));
  onFiles("model-files", openModelFiles);
  onClick("camera", () => {
    if (page.source?.kind === "camera" && !element("flip").hidden) {
      stopLive();
      say("Camera off");
    } else openCamera();
  });
  onClick("flip", () => {
    facing = facing === "user" ? "environment" : "user";
    openCamera();
  });
  onClick("pause", async () => {
    const {source} = page;
    const {video} = source;
    if (video.ended) {
      await video.play();
      begin(() => source);
    } else if (video.paused) video.play();
    else video.pause();
    element("pause").textContent = video.paused ? "Play" : "Pause";
  });
  element("model").addEventListener("change", ({target}) => {
    element("settings").open = false;
    useModel(() => page.networks.ofSite(target.value));
  });
}

function listenToViews() {
  const {stage} = page;
  const other = (view) => (stage.view === view ? "picture" : view);
  onClick("turn", () => stage.show(other("body")));
  onClick("choose", () => stage.show(other("choose")));
  onClick("save-picture", async () => {
    stage.draw();
    const blob = await save.pictureOf(stage.canvas);
    save.download(blob, `${page.source.name}_overlay.png`);
  });
  onClick("save-body", () => save.download(
    save.bodyOf(stage.chosenMesh, page.model.files.allFaces),
    `${page.source.name}.glb`));
  onClick("save-lines", () => save.download(
    save.linesOf(page.people.lines), `${page.source.name}.jsonl`));
  document.addEventListener("keydown", ({key}) => {
    if (key !== "Escape") return;
    element("settings").open = false;
    if (stage.view !== "empty") stage.show("picture");
  });
  addEventListener("resize", () => stage.draw());
}

function listenToDrops() {
  const {element: stage} = page.stage;
  for (const name of ["dragenter", "dragover"])
    document.addEventListener(name, (event) => {
      event.preventDefault();
      stage.classList.add("drop");
    });
  document.addEventListener("dragleave", () => stage.classList.remove("drop"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("drop");
    openFiles([...event.dataTransfer.files]);
  });
}

async function start() {
  busy(true);
  say("Loading");
  const site = await (await fetch("site.json")).json();
  for (const {name, title} of site.models)
    element("model").add(new Option(title, name));
  page.stage.drawing = new Drawing(
    page.stage.canvas, await fetchShaders("shaders/"));
  page.networks = new Networks(site, say);
  await page.networks.start();
  await useModel(() => page.networks.ofSite(site.models[0].name));
  if (!page.model) throw new Error(element("state").textContent);
  element("device").dataset.ready = "yes";
}

page.stage = new Stage(element("stage"), follow, (view) => {
  press("turn", view === "body");
  press("choose", view === "choose");
});
listenToSources();
listenToViews();
listenToDrops();
// What was pressed before would be lost.
document.querySelector("nav").inert = false;
page.ready = start();
page.ready.catch(fail);
