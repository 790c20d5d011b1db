/**
 * Draws by WebGL 2 and the shaders of edge/shaders: meshes over a picture, or
 * a body alone.
 *
 * @typedef {Object} Mesh of a track
 * @property {Float64Array} vertices (3 V) metres
 * @property {number[]} translation
 * @property {number} focal pixels
 */

import {
  bodyAlone, extentOf, overPicture, turnMatrix, vertexNormals,
} from "./projection.js";

/** MESH_BGR of edge/run.py. */
const COLOUR = [166 / 255, 189 / 255, 219 / 255];
const POSITION = 0;
const NORMAL = 1;

/**
 * Fetches the shaders.
 * @param {string} folder with a slash at its end
 */
export async function fetchShaders(folder) {
  const names = ["picture.vert", "picture.frag", "mesh.vert", "mesh.frag"];
  const texts = await Promise.all(names.map(async (name) => {
    const response = await fetch(folder + name);
    if (!response.ok) throw new Error(`${name} is missing`);
    return response.text();
  }));
  return Object.fromEntries(names.map((name, n) => [name, texts[n]]));
}

/** A canvas with a picture and bodies. */
export class Drawing {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {Object<string, string>} shaders of fetchShaders
   * @throws {Error} there is no WebGL 2
   */
  constructor(canvas, shaders) {
    this.canvas = canvas;
    const gl = canvas.getContext("webgl2", {antialias: true, alpha: true});
    if (!gl) throw new Error("this browser has no WebGL 2");
    this.gl = gl;
    this.picture = this.#program(shaders, "picture");
    this.mesh = this.#program(shaders, "mesh");
    this.uniforms = Object.fromEntries(
      ["to_clip", "turn", "colour"].map((name) =>
        [name, gl.getUniformLocation(this.mesh, name)]));
    this.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
    this.buffers = [POSITION, NORMAL].map((location) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.vertexAttribPointer(location, 3, gl.FLOAT, false, 0, 0);
      return buffer;
    });
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    this.faces = new Uint32Array(0);
  }

  #program(shaders, name) {
    const {gl} = this;
    const program = gl.createProgram();
    for (const [ending, kind] of [
      ["vert", gl.VERTEX_SHADER], ["frag", gl.FRAGMENT_SHADER],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, shaders[`${name}.${ending}`]);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS))
      throw new Error(`the shader ${name} fails: ` +
        gl.getProgramInfoLog(program));
    return program;
  }

  /**
   * Takes the triangles of the bodies to come.
   * @param {Uint32Array} faces (3 F)
   */
  setFaces(faces) {
    this.faces = faces;
    this.gl.bufferData(
      this.gl.ELEMENT_ARRAY_BUFFER, faces, this.gl.STATIC_DRAW);
  }

  /**
   * Draws meshes over a picture, which fills the canvas; null is none.
   * @param {TexImageSource | null} source
   * @param {number[]} size width and height of the picture
   * @param {Mesh[]} meshes
   */
  overlay(source, size, meshes) {
    this.#clear();
    if (source) this.#drawPicture(source);
    const still = turnMatrix(0, 0);
    const farFirst = [...meshes].sort(
      (a, b) => b.translation[2] - a.translation[2]);
    for (const {vertices, translation, focal} of farFirst) {
      // Bodies do not cut into each other: their depths are rough.
      this.gl.clear(this.gl.DEPTH_BUFFER_BIT);
      this.#drawMesh(vertices, overPicture(translation, focal, size), still);
    }
  }

  /**
   * Draws a body alone.
   * @param {Mesh | null} mesh
   * @param {number} yaw radians
   * @param {number} pitch radians
   * @param {number} zoom 1 shows all of it
   */
  alone(mesh, yaw, pitch, zoom) {
    this.#clear();
    if (!mesh) return;
    const {middle, radius} = extentOf(mesh.vertices);
    const turn = turnMatrix(yaw, pitch);
    const aspect = this.canvas.width / this.canvas.height;
    const toClip = bodyAlone(turn, middle, radius, aspect);
    for (const row of [0, 1])
      for (let column = 0; column < 4; column++)
        toClip[4 * column + row] *= zoom;
    this.#drawMesh(mesh.vertices, toClip, turn);
  }

  #clear() {
    const {gl} = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  }

  #drawPicture(source) {
    const {gl} = this;
    gl.disable(gl.DEPTH_TEST);
    for (const location of [POSITION, NORMAL])
      gl.disableVertexAttribArray(location);
    gl.texImage2D(
      gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, source);
    gl.useProgram(this.picture);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #drawMesh(vertices, toClip, turn) {
    const {gl} = this;
    const arrays = [
      Float32Array.from(vertices), vertexNormals(vertices, this.faces),
    ];
    arrays.forEach((array, location) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[location]);
      gl.bufferData(gl.ARRAY_BUFFER, array, gl.STREAM_DRAW);
      gl.enableVertexAttribArray(location);
    });
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.mesh);
    gl.uniformMatrix4fv(this.uniforms.to_clip, false, toClip);
    gl.uniformMatrix3fv(this.uniforms.turn, false, turn);
    gl.uniform3fv(this.uniforms.colour, COLOUR);
    gl.drawElements(gl.TRIANGLES, this.faces.length, gl.UNSIGNED_INT, 0);
  }
}
