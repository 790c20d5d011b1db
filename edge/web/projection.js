/**
 * Matrices of the shaders in edge/shaders, by columns, and normals.
 */

/**
 * From a body's metres to clip space over its picture: the weak perspective
 * of edge/run.py.
 *
 * @param {number[]} translation x, y, z of the body in metres
 * @param {number} focal length in pixels
 * @param {number[]} size width and height of the picture
 * @returns {Float32Array} (16)
 */
export function overPicture([x, y, z], focal, [width, height]) {
  const across = (2 * focal) / (width * z);
  const down = (-2 * focal) / (height * z);
  return Float32Array.of(
    across, 0, 0, 0,
    0, down, 0, 0,
    0, 0, 0.25, 0,
    across * x, down * y, 0, 1);
}

/**
 * A rotation about the vertical axis, then about the horizontal one.
 * @param {number} yaw radians
 * @param {number} pitch radians
 * @returns {Float32Array} (9)
 */
export function turnMatrix(yaw, pitch) {
  const [c, s] = [Math.cos(yaw), Math.sin(yaw)];
  const [d, t] = [Math.cos(pitch), Math.sin(pitch)];
  return Float32Array.of(c, -t * s, -d * s, 0, d, -t, s, t * c, d * c);
}

/**
 * From a body's metres to clip space where it stands alone, seen with
 * perspective.
 *
 * @param {Float32Array} turn (9) of turnMatrix
 * @param {number[]} middle point that it is turned about
 * @param {number} radius around that point, which fits the view
 * @param {number} aspect width over height of the view
 * @returns {Float32Array} (16)
 */
export function bodyAlone(turn, middle, radius, aspect) {
  const distance = 4 * radius; // Perspective of a long lens.
  const zoom = (0.9 * distance) / radius;
  const across = zoom / Math.max(1, aspect);
  const down = -zoom * Math.min(1, aspect);
  const [near, far] = [distance - 1.5 * radius, distance + 1.5 * radius];
  const slope = (far + near) / (far - near);
  const offset = (-2 * far * near) / (far - near);
  // x, y and z of the turned body before its middle is moved to `distance`.
  const rows = [0, 1, 2].map((row) => {
    const turned = [0, 3, 6].map((column) => turn[column + row]);
    const shift = turned.reduce((sum, v, k) => sum - v * middle[k], 0);
    return [...turned, shift];
  });
  rows[2][3] += distance;
  return Float32Array.from([0, 1, 2, 3].flatMap((column) => [
    across * rows[0][column],
    down * rows[1][column],
    slope * rows[2][column] + (column === 3 ? offset : 0),
    rows[2][column],
  ]));
}

/**
 * Sums of the normals of the faces around each vertex, as long as these are
 * large.
 *
 * @param {ArrayLike<number>} vertices (3 V)
 * @param {Uint32Array} faces (3 F)
 * @returns {Float32Array} (3 V)
 */
export function vertexNormals(vertices, faces) {
  const normals = new Float32Array(vertices.length);
  for (let at = 0; at < faces.length; at += 3) {
    const [a, b, c] = [3 * faces[at], 3 * faces[at + 1], 3 * faces[at + 2]];
    const ux = vertices[b] - vertices[a];
    const uy = vertices[b + 1] - vertices[a + 1];
    const uz = vertices[b + 2] - vertices[a + 2];
    const vx = vertices[c] - vertices[a];
    const vy = vertices[c + 1] - vertices[a + 1];
    const vz = vertices[c + 2] - vertices[a + 2];
    const x = uy * vz - uz * vy;
    const y = uz * vx - ux * vz;
    const z = ux * vy - uy * vx;
    for (const corner of [a, b, c]) {
      normals[corner] += x;
      normals[corner + 1] += y;
      normals[corner + 2] += z;
    }
  }
  return normals;
}

/**
 * Middle and radius of a body.
 * @param {ArrayLike<number>} vertices (3 V)
 */
export function extentOf(vertices) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let at = 0; at < vertices.length; at += 3)
    for (let k = 0; k < 3; k++) {
      low[k] = Math.min(low[k], vertices[at + k]);
      high[k] = Math.max(high[k], vertices[at + k]);
    }
  const middle = low.map((value, k) => (value + high[k]) / 2);
  let radius = 0;
  for (let at = 0; at < vertices.length; at += 3)
    radius = Math.max(radius, Math.hypot(
      vertices[at] - middle[0], vertices[at + 1] - middle[1],
      vertices[at + 2] - middle[2]));
  return {middle, radius};
}
