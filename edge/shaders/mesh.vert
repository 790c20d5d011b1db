#version 300 es
// A body in metres, camera axes: x right, y down, z forward.
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;

uniform mat4 to_clip;
uniform mat3 turn;

out vec3 turned_normal;

void main() {
  turned_normal = turn * normal;
  gl_Position = to_clip * vec4(position, 1.0);
}
