#version 300 es
precision highp float;  // Normals are as long as triangles are large: tiny.

uniform vec3 colour;

in vec3 turned_normal;
out vec4 pixel;

// The light of edge/run.py.
const vec3 LIGHT = vec3(-0.35, -0.5, -0.8);

void main() {
  float facing = dot(normalize(turned_normal), normalize(LIGHT));
  pixel = vec4((0.35 + 0.65 * max(facing, 0.0)) * colour, 1.0);
}
