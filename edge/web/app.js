/** The page: sources in, bodies out. */

import {BoxChooser} from "./box.js";
import {Drawing, fetchShaders} from "./draw.js";
import {modelsAmong} from "./files.js";
import {tryGpu, useGpu} from "./models.js";
import {Networks} from "./networks.js";
import {People} from "./people.js";
import * as save from "./save.js";
import * as sources from "./sources.js";
import {Turning} from "./turning.js";

const MOST_CANVAS_PX = 4096;
const element = (id) => document.getElementById(id);
const painted = () => new Promise((resolve) => setTimeout(resolve));

const page = {
  /** @type {Networks} */ networks: null,
  model: null,
  /** @type {Drawing} */ drawing: null,
  /** @type {People} */ people: null,
  source: null,
  picture: null,
  view: "empty",
  /** Counts sources: what an older one still has to say is not shown. */
  turn: 0,
  gpuTried: false,
};

function say(text, isError = false) {
  const state = element("state");
  if (state.textContent !== text) state.textContent = text;
  state.classList.toggle("error", isError);
}

const busy = (isBusy) => { element("busy").hidden = !isBusy; };
const fail = (error) => {
  busy(false);
  say(error.message.split("\n")[0], true);
};

function showDevice(reason) {
  const device = element("device");
  device.textContent = reason ? `CPU: ${reason}` : "GPU";
  device.title = device.textContent;
}

// ---- What is seen -------------------------------------------------------

function showView(view) {
  page.view = view;
  element("stage").dataset.view = view;
  element("turn").setAttribute("aria-pressed", view === "body");
  element("choose").setAttribute("aria-pressed", view === "choose");
  page.turning.isOn = view === "body";
  if (view === "choose") page.chooser.start();
  else page.chooser.stop();
  draw();
}

/** Draws the view; returns its milliseconds. */
function draw() {
  const {drawing, picture, people} = page;
  if (!drawing || !picture) return 0;
  const start = performance.now();
  const {canvas} = drawing;
  const meshes = people?.meshes ?? [];
  if (page.view === "body") {
    const {width, height} = canvas.getBoundingClientRect();
    resize(canvas, [width, height].map(
      (n) => Math.round(n * Math.min(devicePixelRatio, 2))));
    const {yaw, pitch, zoom} = page.turning;
    drawing.alone(meshes[0] ?? null, yaw, pitch, zoom);
  } else {
    const size = [picture.width, picture.height];
    const shrink = Math.min(1, MOST_CANVAS_PX / Math.max(...size));
    resize(canvas, size.map((n) => Math.round(n * shrink)));
    drawing.overlay(sources.lastFrame(), size, meshes);
  }
  return performance.now() - start;
}

function resize(canvas, [width, height]) {
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}

/** Everything that depends on whether somebody is there. */
function showPeople(records) {
  const {people, source} = page;
  const count = people.meshes.length;
  const [lost] = records.filter(({reason}) => reason);
  if (count) say(count === 1 ? "1 person" : `${count} people`);
  else if (lost) say(`Lost: ${lost.reason}`);
  else if (source.kind === "photo")
    say("Nobody found. Draw a box around a person.", true);
  else say("Looking for people");
  for (const id of ["turn", "save-body"]) element(id).disabled = !count;
  element("save-picture").disabled = false;
  element("save-lines").disabled = !people.lines.length;
  element("choose").disabled = false;
}

function showFigures(ms, perSecond) {
  const words = Object.entries(ms).map(
    ([stage, value]) => `${stage} ${value.toFixed(0)}`);
  const figures = element("figures");
  const rate = perSecond ? `${perSecond.toFixed(1)} fps · ` : "";
  figures.textContent = `${rate}${words.join(" · ")} ms`;
  figures.hidden = false;
}

// ---- What is computed ---------------------------------------------------

/** One picture: finds, follows, draws. */
async function step(picture, seconds, perSecond) {
  const {people, turn} = page;
  const {records, ms} = await people.update(picture, seconds, painted);
  if (turn !== page.turn) return;
  page.picture = picture;
  if (page.view === "empty") showView("picture");
  ms.draw = draw();
  people.noteDrawing(records, ms.draw);
  showPeople(records);
  showFigures(ms, perSecond);
  await chooseDevice();
}

/** Tries the GPU once for each model, on the first answer. */
async function chooseDevice() {
  const {people, model} = page;
  if (page.gpuTried || !people.last) return;
  page.gpuTried = true;
  showDevice("trying the GPU");
  await painted();
  const {view, outputs} = people.last;
  const reason = await tryGpu(model, view, outputs);
  if (model === page.model) showDevice(reason);
}

/** Frames as they come, until the source is closed. */
async function live(turn) {
  const {source} = page;
  const start = performance.now();
  let last = start;
  let perSecond = 0;
  let shownS = -1;
  while (turn === page.turn) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const {video} = source;
    if (video.ended) break;
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
}

/** Ends what runs, and starts with what `open` gives. */
async function begin(open) {
  const turn = ++page.turn;
  busy(true);
  try {
    await page.ready;
    const source = await open();
    if (turn !== page.turn) return sources.close(source);
    sources.close(page.source);
    page.source = source;
    const isLive = source.kind !== "photo";
    page.people = new People(page.model, page.networks.finder, isLive);
    page.turning.reset();
    if (page.view !== "picture") showView(page.picture ? "picture" : "empty");
    element("pause").hidden = source.kind !== "video";
    element("flip").hidden = source.kind !== "camera";
    element("camera").setAttribute("aria-pressed", source.kind === "camera");
    say("Looking for people");
    await painted();
    if (isLive) {
      busy(false);
      await live(turn);
    } else await step(source.picture, 0, 0);
    busy(false);
  } catch (error) {
    if (turn === page.turn) fail(error);
  }
}

const openPhoto = (file) => begin(async () => {
  const picture = await sources.readPhoto(file);
  return {...sources.photoSource(file), picture};
});

const openVideo = (file) => begin(async () => {
  const source = await sources.videoSource(file);
  await source.video.play();
  return source;
});

let facing = "environment";
const openCamera = () => begin(() => sources.cameraSource(facing, () => {
  page.turn += 1;
  element("camera").setAttribute("aria-pressed", "false");
  fail(new Error("the camera is gone: choose another source"));
}));

/** Stops a camera; what it showed last stays. */
function stopCamera() {
  page.turn += 1;
  sources.close(page.source);
  element("camera").setAttribute("aria-pressed", "false");
  element("flip").hidden = true;
  say("Camera off");
}

async function follow(box) {
  const scale = page.picture.width / page.drawing.canvas.width;
  showView("picture");
  page.people.follow(box.map((value) => value * scale));
  if (page.source.kind !== "photo") return;
  busy(true);
  try {
    page.people.lines = [];
    await step(page.picture, 0, 0);
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
    const last = page.model;
    page.model = model;
    page.gpuTried = false;
    for (const network of model.networks)
      network.onFallback = (reason) => {
        useGpu(model, false);
        showDevice(reason);
      };
    page.drawing.setFaces(model.files.faces);
    const {card} = model.files;
    element("licence").textContent =
      `${card.method}, ${card.precision}. Body: ` +
      `${card.body.name}, ${card.body.licence}.`;
    showDevice("the GPU is tried with the first person");
    say("");
    if (page.source?.kind === "photo") {
      const {source} = page;
      page.source = null;
      await begin(() => source);
    } else if (page.people) page.people = new People(
      model, page.networks.finder, true);
    last?.network.delete();
  } catch (error) {
    fail(error);
  }
  busy(false);
}

async function openModelFiles(files) {
  element("settings").open = false;
  try {
    await page.ready;
    const [found] = modelsAmong(files);
    if (!found) throw new Error("expected a .tflite, .card.json and .mesh.npz");
    await useModel(() => page.networks.ofFiles(found.name, found));
    if (page.model.files.name !== found.name) return;
    const option = new Option(found.name, "", true, true);
    option.disabled = true;
    element("model").add(option);
  } catch (error) {
    fail(error);
  }
}

// ---- Start --------------------------------------------------------------

/** Files that were dropped or chosen, by what they are. */
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

function listen() {
  page.chooser = new BoxChooser(element("canvas"), element("box"), follow);
  page.turning = new Turning(element("canvas"), draw);
  onFiles("photo", ([file]) => openPhoto(file));
  onFiles("video", ([file]) => openVideo(file));
  onFiles("model-files", openModelFiles);
  const onClick = (id, call) => element(id).addEventListener("click", call);
  onClick("camera", () => {
    if (element("camera").getAttribute("aria-pressed") === "true") stopCamera();
    else openCamera();
  });
  onClick("flip", () => {
    facing = facing === "user" ? "environment" : "user";
    openCamera();
  });
  onClick("pause", () => {
    const {video} = page.source;
    if (video.ended) {
      video.currentTime = 0;
      begin(async () => {
        await video.play();
        return {...page.source};
      });
    } else if (video.paused) video.play();
    else video.pause();
    element("pause").textContent = video.paused ? "Play" : "Pause";
  });
  onClick("turn", () =>
    showView(page.view === "body" ? "picture" : "body"));
  onClick("choose", () =>
    showView(page.view === "choose" ? "picture" : "choose"));
  onClick("save-picture", async () => {
    draw();
    const blob = await save.pictureOf(page.drawing.canvas);
    save.download(blob, `${page.source.name}_overlay.png`);
  });
  onClick("save-body", () => save.download(
    save.bodyOf(page.people.meshes[0], page.model.files.allFaces),
    `${page.source.name}.glb`));
  onClick("save-lines", () => save.download(
    save.linesOf(page.people.lines), `${page.source.name}.jsonl`));
  element("model").addEventListener("change", ({target}) => {
    element("settings").open = false;
    useModel(() => page.networks.ofSite(target.value));
  });
  const stage = element("stage");
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
  document.addEventListener("keydown", ({key}) => {
    if (key !== "Escape") return;
    element("settings").open = false;
    if (page.view !== "empty") showView("picture");
  });
  addEventListener("resize", draw);
}

async function start() {
  busy(true);
  say("Loading");
  const site = await (await fetch("site.json")).json();
  for (const {name, title} of site.models)
    element("model").add(new Option(title, name));
  page.drawing = new Drawing(element("canvas"), await fetchShaders("shaders/"));
  page.networks = new Networks(site, say);
  await page.networks.start();
  await useModel(() => page.networks.ofSite(site.models[0].name));
  if (!page.model) throw new Error(element("state").textContent);
  element("device").dataset.ready = "yes";
}

listen();
page.ready = start();
page.ready.catch(fail);
