/**
 * Where pictures come from: a photo, a video file or the camera.
 *
 * @typedef {import("./core.js").Picture} Picture
 *
 * @typedef {Object} Source
 * @property {"photo" | "video" | "camera"} kind
 * @property {string} name for the files that are saved
 * @property {HTMLVideoElement | null} video
 */

/** Pictures with more pixels are made smaller, as phones' memory ends. */
const MOST_PIXELS = 24_000_000;
/** Of a live picture: cameras may give more than anyone can run. */
const LIVE_SIZE = {width: {ideal: 640}, height: {ideal: 480}};

/** The pixels of what a canvas can draw. */
class Frames {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", {willReadFrequently: true});
  }

  /**
   * @param {CanvasImageSource} source
   * @param {number} width
   * @param {number} height
   * @returns {Picture}
   */
  read(source, width, height) {
    const shrink = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
    const size = [width, height].map((n) => Math.max(1, Math.round(n * shrink)));
    [this.canvas.width, this.canvas.height] = size;
    this.context.drawImage(source, 0, 0, ...size);
    const {data} = this.context.getImageData(0, 0, ...size);
    return {data, width: size[0], height: size[1], channels: 4};
  }
}

const frames = new Frames();

/** The canvas of the last picture. */
export const lastFrame = () => frames.canvas;

const stem = (name) =>
  name.replace(/\.[^.]*$/, "").replace(/[^\w.-]+/g, "_").slice(0, 80) || "out";

/**
 * Opens a photo; its pixels are upright.
 * @param {File} file
 * @returns {Promise<Source>} with a `picture`
 * @throws {Error} it is no picture
 */
export async function photoSource(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {imageOrientation: "from-image"});
  } catch {
    throw new Error(`${file.name} is no picture that this browser reads`);
  }
  const picture = frames.read(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  return {kind: "photo", name: stem(file.name), video: null, picture};
}

/**
 * A frame of a video.
 * @param {HTMLVideoElement} video
 * @returns {Picture}
 */
export const readFrame = (video) =>
  frames.read(video, video.videoWidth, video.videoHeight);

function videoElement() {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  return video;
}

/**
 * Opens a video file.
 * @param {File} file
 * @returns {Promise<Source>}
 * @throws {Error} it is no video
 */
export async function videoSource(file) {
  const video = videoElement();
  const refused = new Error(`${file.name} is no video that this browser plays`);
  const ready = new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(refused);
  });
  video.src = URL.createObjectURL(file);
  await ready;
  if (!video.videoWidth) throw refused;
  await video.play();
  return {kind: "video", name: stem(file.name), video};
}

const REFUSALS = {
  NotAllowedError: "the camera is not allowed: allow it in the browser",
  NotFoundError: "there is no camera",
  NotReadableError: "the camera is in use elsewhere",
  OverconstrainedError: "there is no camera",
};

/**
 * Opens the camera.
 * @param {"user" | "environment"} facing the person who holds it, or others
 * @param {() => void} onEnded called when it is unplugged
 * @returns {Promise<Source>}
 * @throws {Error} it is refused or absent
 */
export async function cameraSource(facing, onEnded) {
  if (!navigator.mediaDevices)
    throw new Error("the camera needs https, or localhost");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(
      {video: {facingMode: facing, ...LIVE_SIZE}, audio: false});
  } catch (error) {
    throw new Error(REFUSALS[error.name] ?? `no camera: ${error.message}`,
      {cause: error});
  }
  for (const track of stream.getVideoTracks()) track.onended = onEnded;
  const video = videoElement();
  video.srcObject = stream;
  await video.play();
  return {kind: "camera", name: "camera", video};
}

/**
 * Ends a source.
 * @param {Source | null} source
 */
export function close(source) {
  if (!source?.video) return;
  const {video} = source;
  video.pause();
  for (const track of video.srcObject?.getTracks() ?? []) {
    track.onended = null;
    track.stop();
  }
  video.srcObject = null;
  if (video.src) URL.revokeObjectURL(video.src);
}
