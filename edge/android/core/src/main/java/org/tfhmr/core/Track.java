package org.tfhmr.core;

import java.util.Arrays;

/** Follows one person from frame to frame: Track of edge/run.py, which says why each number. */
public final class Track {
    private static final double ROOM = 1.11;
    private static final double BOX_SHARE = 0.6;
    private static final double LEAST_SCALE = 0.25;
    private static final double LARGEST_SCALE = 4.0;
    private static final double LEAST_SECONDS = 1e-3;

    private final double[] startBox;
    private final boolean smooth;
    private final Colours colours = new Colours();
    private double[] box;
    private OneEuro rotationFilter;
    private OneEuro pointFilter;
    private OneEuro positionFilter;
    private double[] meanBetas;
    private int count;
    private double previousSeconds;

    /**
     * Makes a track.
     *
     * @param startBox x, y, w, h in pixel edges, where it starts; null is the whole frame
     * @param smooth false: as the network answers
     */
    public Track(double[] startBox, boolean smooth) {
        this.startBox = startBox;
        this.smooth = smooth;
        start();
    }

    private void start() {
        box = null;
        rotationFilter = new OneEuro(1.0, 2.0, 9);
        pointFilter = new OneEuro(1.0, 2.0, 3);
        positionFilter = new OneEuro(1.0, 8.0, 3);
        meanBetas = null;
        count = 0;
    }

    /** The person's box for the next frame, x, y, w, h; null if there is none. */
    public double[] box() {
        return box == null ? null : box.clone();
    }

    /** Where the person of the next frame is looked for, x, y, w, h; null: in all of it. */
    public double[] expectedBox() {
        double[] expected = box != null ? box : startBox;
        return expected == null ? null : expected.clone();
    }

    /**
     * Tracks the person into a frame.
     *
     * @param seconds of the frame, rising
     * @throws IllegalArgumentException the start box lies outside the frame
     */
    public TrackRecord update(Estimator estimator, Image frame, double seconds) {
        final long begin = System.nanoTime();
        double[] known = expectedBox();
        double[] from = known != null ? known : new double[] {0, 0, frame.width, frame.height};
        if (box == null && !Crop.overlaps(from, frame.width, frame.height)) {
            throw new IllegalArgumentException("The box " + Arrays.toString(from)
                    + " lies outside the picture of " + frame.width + " x " + frame.height);
        }
        double[] square = Crop.square(from, known != null ? estimator.cropScale() : 1);
        Image crop = Crop.of(frame, square, estimator.size());
        final long cropped = System.nanoTime();
        Answer answer = null;
        KeypointsInFrame keypoints = null;
        String reason;
        try {
            answer = estimator.answer(frame, square, crop);
            keypoints = new KeypointsInFrame(answer, square, frame);
            reason = implausible(answer, keypoints.visibleShare);
        } catch (NobodySeen nobody) {
            reason = nobody.getMessage();
        }
        final long answered = System.nanoTime();
        if (reason.isEmpty()) {
            reason = colours.lostReason(answer, crop, seconds);
        }
        String state = box != null ? TrackRecord.TRACKED : TrackRecord.START;
        TrackRecord.Body body = null;
        if (reason.isEmpty()) {
            double focalPx = estimator.focalPx(frame.width, frame.height);
            body = placement(answer, square, frame, focalPx, seconds);
            box = keypoints.nextBox(from, known != null ? BOX_SHARE : 1);
        } else {
            start();
            state = TrackRecord.LOST;
        }
        double[] ms = {
            (cropped - begin) / 1e6, (answered - cropped) / 1e6, (System.nanoTime() - answered) / 1e6
        };
        return new TrackRecord(state, reason, from.clone(), square, frame, body, ms);
    }

    private String implausible(Answer answer, double visibleShare) {
        java.util.List<String> names = answer.notFinite();
        float scale = answer.camera[0];
        if (!names.isEmpty() || scale <= 0) {
            return Reason.noAnswer(names, scale);
        }
        boolean isPlausible =
                visibleShare >= 0.5 && LEAST_SCALE < scale && scale < LARGEST_SCALE;
        if (!(box != null ? isPlausible : visibleShare > 0)) {
            return Reason.implausible(visibleShare, scale);
        }
        return "";
    }

    private TrackRecord.Body placement(
            Answer answer, double[] square, Image frame, double focalPx, double seconds) {
        double[] centre = {frame.width / 2.0, frame.height / 2.0};
        double pxPerMetre = square[2] * answer.camera[0] / 2;
        double[] position = new double[3];
        for (int axis = 0; axis < 2; axis++) {
            double middle = square[axis] + square[2] / 2 - centre[axis];
            position[axis] = middle / pxPerMetre + answer.camera[1 + axis];
        }
        position[2] = Math.log(focalPx / pxPerMetre);
        double[] rotations = doubles(answer.rotmats);
        double[] points = doubles(answer.joints, answer.vertices);
        double[] betas = doubles(answer.betas);
        if (smooth) {
            double elapsed =
                    box != null ? Math.max(LEAST_SECONDS, seconds - previousSeconds) : 1;
            rotations = rotationFilter.filter(rotations, elapsed);
            points = pointFilter.filter(points, elapsed);
            position = positionFilter.filter(position, elapsed);
            betas = averaged(betas);
        }
        position[2] = Math.exp(position[2]);
        double[] pixels = new double[points.length / 3 * 2];
        for (int i = 0; i < points.length / 3; i++) {
            for (int axis = 0; axis < 2; axis++) {
                pixels[2 * i + axis] =
                        (points[3 * i + axis] + position[axis]) * focalPx / position[2]
                                + centre[axis] - 0.5;
            }
        }
        previousSeconds = seconds;
        int joints = answer.joints.length;
        return new TrackRecord.Body(
                Rotations.vectors(rotations),
                betas,
                split(points, joints),
                split(pixels, joints / 3 * 2),
                position,
                focalPx);
    }

    private double[] averaged(double[] betas) {
        count++;
        if (meanBetas == null) {
            meanBetas = new double[betas.length];
        }
        for (int i = 0; i < betas.length; i++) {
            meanBetas[i] += (betas[i] - meanBetas[i]) / count;
        }
        return meanBetas.clone();
    }

    private static double[][] split(double[] values, int first) {
        return new double[][] {
            Arrays.copyOf(values, first), Arrays.copyOfRange(values, first, values.length)
        };
    }

    private static double[] doubles(float[]... parts) {
        int length = 0;
        for (float[] part : parts) {
            length += part.length;
        }
        double[] values = new double[length];
        int i = 0;
        for (float[] part : parts) {
            for (float value : part) {
                values[i++] = value;
            }
        }
        return values;
    }

    /** The keypoints of an answer in the frame: their box, and how many are inside. */
    private static final class KeypointsInFrame {
        final double visibleShare;
        private final double[] low = {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY};
        private final double[] high = {Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY};

        KeypointsInFrame(Answer answer, double[] square, Image frame) {
            int total = answer.keypoints.length / 2;
            int inside = 0;
            for (int i = 0; i < total; i++) {
                boolean isInside = true;
                for (int axis = 0; axis < 2; axis++) {
                    // In float32 as numpy: squares that differ at all ask for other pixels.
                    float inSquare = (answer.keypoints[2 * i + axis] + 1) * (float) square[2] / 2;
                    double px = inSquare + square[axis] - 0.5;
                    isInside &= px >= 0 && px < (axis == 0 ? frame.width : frame.height);
                    low[axis] = Math.min(low[axis], px + 0.5);
                    high[axis] = Math.max(high[axis], px + 0.5);
                }
                inside += isInside ? 1 : 0;
            }
            visibleShare = inside / (double) total;
        }

        /** The keypoints' box with some room, mixed with the last box. */
        double[] nextBox(double[] last, double share) {
            double[] box = new double[4];
            for (int axis = 0; axis < 2; axis++) {
                double side = Math.max(ROOM * (high[axis] - low[axis]), 1);
                double corner = (low[axis] + high[axis] - side) / 2;
                box[axis] = share * corner + (1 - share) * last[axis];
                box[2 + axis] = share * side + (1 - share) * last[2 + axis];
            }
            return box;
        }
    }
}
