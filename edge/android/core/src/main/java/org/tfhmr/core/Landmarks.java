package org.tfhmr.core;

/** A person as BlazePose sees it in a square (tf_hmr/detection/landmarks.py). */
public final class Landmarks {
    static final int COUNT = BlazePose.NAMES.size();
    /** Numbers of a landmark: x, y in pixels; x, y, z in metres; visible; inside. */
    static final int COLUMNS = 7;
    static final int VISIBLE = 5;
    static final int INSIDE = 6;
    private static final int METRES = 2;

    /**
     * (33, 7): x, y in pixels of the picture from the first one's centre; x, y, z in metres about
     * the hips; probabilities of being visible and of being inside the picture.
     */
    public final float[] points;
    /** Probability that the square holds a person. */
    public final double presence;
    /** Where the network looked. */
    public final Square square;
    /** Where it would look for this person. */
    public final Square nextSquare;
    /** Logits (S, S) of each pixel of the square to be the person's. */
    private final float[] maskLogits;
    private final int maskSize;

    Landmarks(
            float[] points,
            double presence,
            Square square,
            Square nextSquare,
            float[] maskLogits,
            int maskSize) {
        this.points = points;
        this.presence = presence;
        this.square = square;
        this.nextSquare = nextSquare;
        this.maskLogits = maskLogits;
        this.maskSize = maskSize;
    }

    double px(int row, int axis) {
        return points[row * COLUMNS + axis];
    }

    double metres(int row, int axis) {
        return points[row * COLUMNS + METRES + axis];
    }

    double visible(int row) {
        return points[row * COLUMNS + VISIBLE];
    }

    double inside(int row) {
        return points[row * COLUMNS + INSIDE];
    }

    boolean isFinite() {
        for (float value : points) {
            if (Float.isNaN(value) || Float.isInfinite(value)) {
                return false;
            }
        }
        return true;
    }

    /** Probability that a place, in pixel edges of the picture, is this person's. */
    double onMask(double x, double y) {
        double[] m = Square.inverse(square.toPicture(maskSize));
        int column = (int) Math.floor(m[0] * x + m[1] * y + m[2]);
        int row = (int) Math.floor(m[3] * x + m[4] * y + m[5]);
        if (column < 0 || row < 0 || column >= maskSize || row >= maskSize) {
            return 0;
        }
        return Pixels.probability(maskLogits[row * maskSize + column]);
    }

    /** Side of the mask. */
    int maskSize() {
        return maskSize;
    }

    /** Whether a pixel of the mask is more likely the person's than not. */
    boolean isOnMask(int column, int row) {
        return maskLogits[row * maskSize + column] > 0;
    }

    /** The box x, y, w, h of the keypoints that are seen; null if they are too few. */
    public double[] box() {
        double[] low = {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY};
        double[] high = {Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY};
        int seen = 0;
        for (int row : BlazePose.keypoints()) {
            if ((float) (visible(row) * inside(row)) > LandmarkEstimator.MIN_CONFIDENCE) {
                seen++;
                for (int axis = 0; axis < 2; axis++) {
                    low[axis] = Math.min(low[axis], px(row, axis) + 0.5);
                    high[axis] = Math.max(high[axis], px(row, axis) + 0.5);
                }
            }
        }
        if (seen < LandmarkEstimator.MIN_KEYPOINTS) {
            return null;
        }
        double[] box = new double[4];
        for (int axis = 0; axis < 2; axis++) {
            box[2 + axis] = Math.max(high[axis] - low[axis], 1);
            box[axis] = (low[axis] + high[axis] - box[2 + axis]) / 2;
        }
        return box;
    }

    /** The lifter's input: (33, 7) with x and y in [-1, 1] of a square x, y, side, side. */
    public float[] inCrop(double[] crop) {
        float[] rows = points.clone();
        for (int row = 0; row < COUNT; row++) {
            for (int axis = 0; axis < 2; axis++) {
                double edge = points[row * COLUMNS + axis] + 0.5f; // In float32, as numpy.
                rows[row * COLUMNS + axis] = (float) (2 * (edge - crop[axis]) / crop[2] - 1);
            }
        }
        return rows;
    }
}
