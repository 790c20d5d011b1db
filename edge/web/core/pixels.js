/**
 * Pictures as arrays, and OpenCV's ways to resample them.
 *
 * What edge/run.py and tf_hmr/detection do by cv2.warpAffine and cv2.resize,
 * to a grey level: both interpolate in float32 and round half to even. Where a
 * square's side is a simple multiple of the result's, many pixels are halves,
 * and the last bit of a float32 decides.
 *
 * @typedef {Object} Picture
 * @property {Uint8Array | Uint8ClampedArray} data rows from the top
 * @property {number} width
 * @property {number} height
 * @property {number} channels 3 for RGB, 4 for RGBA, whose last is not read
 */

/**
 * Rounds a number of 0 or more, halves to even.
 * @param {number} value
 * @returns {number}
 */
export function rint(value) {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

const f32 = Math.fround;

const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);

/**
 * The picture (side, side, 3) whose pixels' centres lie where a map says.
 *
 * @param {Picture} picture
 * @param {number[]} map six numbers a, b, c, d, e, f: from a pixel x, y of the
 *   result to a x + b y + c, d x + e y + f of the picture
 * @param {number} side of the result
 * @param {boolean} blackOutside whether pixels outside are black; else those
 *   of the border are repeated
 * @returns {Picture}
 */
export function warp(picture, map, side, blackOutside) {
  const {data, width, height, channels} = picture;
  const [a, b, c, d, e, f] = map.map(f32);
  const result = new Uint8Array(side * side * 3);
  const offsets = new Int32Array(4); // Of four neighbours; -1: black.
  for (let row = 0, at = 0; row < side; row++) {
    const startX = f32(f32(b * row) + c);
    const startY = f32(f32(e * row) + f);
    for (let column = 0; column < side; column++, at += 3) {
      const x = f32(a * column + startX);
      const y = f32(d * column + startY);
      const left = Math.floor(x);
      const top = Math.floor(y);
      const right = f32(x - left);
      const down = f32(y - top);
      if (blackOutside) {
        if (left < -1 || top < -1 || left >= width || top >= height) continue;
        for (let corner = 0; corner < 4; corner++) {
          const u = left + (corner & 1);
          const v = top + (corner >> 1);
          const inside = u >= 0 && v >= 0 && u < width && v < height;
          offsets[corner] = inside ? (v * width + u) * channels : -1;
        }
      } else {
        const first = clamp(left, width);
        const second = clamp(left + 1, width);
        const upper = clamp(top, height) * width;
        const lower = clamp(top + 1, height) * width;
        offsets[0] = (upper + first) * channels;
        offsets[1] = (upper + second) * channels;
        offsets[2] = (lower + first) * channels;
        offsets[3] = (lower + second) * channels;
      }
      for (let k = 0; k < 3; k++) {
        const p = offsets[0] < 0 ? 0 : data[offsets[0] + k];
        const q = offsets[1] < 0 ? 0 : data[offsets[1] + k];
        const r = offsets[2] < 0 ? 0 : data[offsets[2] + k];
        const s = offsets[3] < 0 ? 0 : data[offsets[3] + k];
        const above = f32(p + right * (q - p));
        const below = f32(r + right * (s - r));
        result[at + k] = rint(f32(above + down * f32(below - above)));
      }
    }
  }
  return {data: result, width: side, height: side, channels: 3};
}

/**
 * Means of blocks of pixels: cv2.INTER_AREA by a whole number.
 *
 * @param {Picture} picture whose sides are multiples of `block`
 * @param {number} block pixels of a block's side
 * @returns {Picture} with 3 channels
 */
export function blockMeans(picture, block) {
  const {data, channels} = picture;
  const width = picture.width / block;
  const height = picture.height / block;
  const result = new Uint8Array(width * height * 3);
  const stride = picture.width * channels;
  for (let row = 0, at = 0; row < height; row++) {
    for (let column = 0; column < width; column++, at += 3) {
      const start = row * block * stride + column * block * channels;
      for (let k = 0; k < 3; k++) {
        let sum = 0;
        for (let i = 0; i < block; i++) {
          const from = start + i * stride + k;
          for (let j = 0; j < block; j++) sum += data[from + j * channels];
        }
        // OpenCV halves by whole numbers, and rounds halves up there.
        result[at + k] =
          block === 2 ? (sum + 2) >> 2 : rint(sum / (block * block));
      }
    }
  }
  return {data: result, width, height, channels: 3};
}

/** For each cell of `count`: which pixels of `length` it covers, how much. */
function areaWeights(length, count) {
  const scale = length / count;
  return Array.from({length: count}, (_, cell) => {
    const low = cell * scale;
    const high = Math.min(low + scale, length);
    const first = Math.floor(low + 1e-9);
    const last = Math.min(Math.ceil(high - 1e-9), length);
    const shares = [];
    for (let pixel = first; pixel < last; pixel++) {
      const cover = Math.min(pixel + 1, high) - Math.max(pixel, low);
      shares.push(cover / (high - low));
    }
    return {first, shares};
  });
}

/**
 * Means of the area of each pixel of a smaller picture: cv2.INTER_AREA.
 *
 * @param {Picture} picture
 * @param {number} width at most the picture's
 * @param {number} height at most the picture's
 * @returns {Picture} with 3 channels
 */
export function shrink(picture, width, height) {
  if (width * 2 === picture.width && height * 2 === picture.height)
    return blockMeans(picture, 2);
  const {data, channels} = picture;
  const columns = areaWeights(picture.width, width);
  const rows = areaWeights(picture.height, height);
  const narrow = new Float32Array(picture.height * width * 3);
  for (let y = 0, at = 0; y < picture.height; y++) {
    for (const {first, shares} of columns) {
      for (let k = 0; k < 3; k++, at++) {
        let sum = 0;
        let from = (y * picture.width + first) * channels + k;
        for (const share of shares) {
          sum += share * data[from];
          from += channels;
        }
        narrow[at] = sum;
      }
    }
  }
  const result = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    const {first, shares} = rows[y];
    for (let x = 0; x < width * 3; x++, at++) {
      let sum = 0;
      for (let i = 0; i < shares.length; i++)
        sum += shares[i] * narrow[(first + i) * width * 3 + x];
      result[at] = rint(sum);
    }
  }
  return {data: result, width, height, channels: 3};
}

/**
 * A crop as a network of floats reads it: value / divisor - shift.
 *
 * @param {Uint8Array} crop
 * @param {number} divisor
 * @param {number} shift
 * @returns {Float32Array}
 */
export function asFloats(crop, divisor, shift) {
  const floats = new Float32Array(crop.length);
  for (let at = 0; at < crop.length; at++)
    floats[at] = crop[at] / divisor - shift;
  return floats;
}
