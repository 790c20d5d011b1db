#version 300 es
// A picture over the whole view: four corners of a triangle strip, without
// attributes. The texture's first row is the picture's top.
out vec2 place;

void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  place = vec2(corner.x, 1.0 - corner.y);
  gl_Position = vec4(2.0 * corner - 1.0, 0.0, 1.0);
}
