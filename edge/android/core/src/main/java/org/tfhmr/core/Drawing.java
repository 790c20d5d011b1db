package org.tfhmr.core;

/** What the shaders of edge/shaders read to draw a body over the picture of a frame. */
public final class Drawing {
    // Depths of a body, metres about its root, lie within this.
    private static final double DEPTH_RANGE = 4;

    private Drawing() {}

    /**
     * Normals (V, 3) of the vertices: sums of those of the faces, not of length 1.
     *
     * @param vertices (V, 3) metres
     * @param faces (F, 3) indices
     */
    public static float[] normals(double[] vertices, int[] faces) {
        double[] sums = new double[vertices.length];
        for (int face = 0; face < faces.length; face += 3) {
            int a = 3 * faces[face];
            int b = 3 * faces[face + 1];
            int c = 3 * faces[face + 2];
            double[] first = new double[3];
            double[] second = new double[3];
            for (int axis = 0; axis < 3; axis++) {
                first[axis] = vertices[b + axis] - vertices[a + axis];
                second[axis] = vertices[c + axis] - vertices[a + axis];
            }
            for (int axis = 0; axis < 3; axis++) {
                int y = (axis + 1) % 3;
                int z = (axis + 2) % 3;
                double normal = first[y] * second[z] - first[z] * second[y];
                sums[a + axis] += normal;
                sums[b + axis] += normal;
                sums[c + axis] += normal;
            }
        }
        return floats(sums);
    }

    /** The numbers as a buffer of OpenGL takes them. */
    public static float[] floats(double[] values) {
        float[] result = new float[values.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = (float) values[i];
        }
        return result;
    }

    /**
     * The matrix (4, 4), by columns, from a body's vertices to the clip space of its frame: the
     * weak perspective of edge/run.py.
     */
    public static float[] toClip(TrackRecord.Body body, int width, int height) {
        double[] t = body.translation;
        float x = (float) (2 * body.focalPx / (width * t[2]));
        float y = (float) (-2 * body.focalPx / (height * t[2]));
        return new float[] {
            x, 0, 0, 0,
            0, y, 0, 0,
            0, 0, (float) (1 / DEPTH_RANGE), 0,
            (float) (x * t[0]), (float) (y * t[1]), 0, 1,
        };
    }
}
