package org.tfhmr.core;

/** What the shaders of edge/shaders read to draw a body over the picture of a frame. */
public final class Drawing {
    // Depths of a body, metres about its root, lie within this.
    private static final double DEPTH_RANGE = 4;

    private static final double LEAST_BOX_PX = 8;

    private Drawing() {}

    /** x, y, width, height of a picture in a view: as large as fits, in the middle. */
    public static int[] viewport(Image picture, int width, int height) {
        double scale = Math.min((double) width / picture.width, (double) height / picture.height);
        int w = (int) Math.round(scale * picture.width);
        int h = (int) Math.round(scale * picture.height);
        return new int[] {(width - w) / 2, (height - h) / 2, w, h};
    }

    /**
     * The box x, y, w, h in the picture that a finger drew; null if it is too small for one.
     *
     * @param picture as it lies in a view of that size
     * @param touches x, y where the finger began and where it ended
     */
    public static double[] box(Image picture, int width, int height, double[] touches) {
        int[] port = viewport(picture, width, height);
        double scale = (double) picture.width / port[2];
        double[] low = new double[2];
        double[] high = new double[2];
        int[] sides = {picture.width, picture.height};
        for (int axis = 0; axis < 2; axis++) {
            double a = (touches[axis] - port[axis]) * scale;
            double b = (touches[2 + axis] - port[axis]) * scale;
            low[axis] = Math.max(Math.min(a, b), 0);
            high[axis] = Math.min(Math.max(a, b), sides[axis]);
            if (high[axis] - low[axis] < LEAST_BOX_PX) {
                return null;
            }
        }
        return new double[] {low[0], low[1], high[0] - low[0], high[1] - low[1]};
    }

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
