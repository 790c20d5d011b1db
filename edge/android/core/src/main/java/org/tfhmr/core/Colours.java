package org.tfhmr.core;

/** The colours of a person, by which another one is told: as Track of edge/run.py. */
final class Colours {
    private static final double MIN_LIKENESS = 0.65;
    private static final double PATIENCE_S = 3.0;
    private static final double FRESH_SHARE = 0.02;
    private static final int LEVELS = 6;
    private static final int LEVEL_WIDTH = 43;

    private double[] histogram;
    private double seenSeconds;

    /** Why an answer shows another person, "" if it does not; learns from those that do not. */
    String lostReason(Answer answer, Image crop, double seconds) {
        double[] fresh = histogramOf(answer, crop);
        if (histogram == null || seconds > seenSeconds + PATIENCE_S) {
            histogram = fresh;
        }
        double likeness = 0;
        for (int bin = 0; bin < fresh.length; bin++) {
            likeness += Math.sqrt(fresh[bin] * histogram[bin]);
        }
        if (likeness < MIN_LIKENESS) {
            return Reason.otherColours(likeness);
        }
        double[] mixed = new double[fresh.length];
        for (int bin = 0; bin < fresh.length; bin++) {
            mixed[bin] = (1 - FRESH_SHARE) * histogram[bin] + FRESH_SHARE * fresh[bin];
        }
        histogram = mixed;
        seenSeconds = seconds;
        return "";
    }

    /** Shares of colours under the vertices, six levels a channel. */
    private static double[] histogramOf(Answer answer, Image crop) {
        double[] histogram = new double[LEVELS * LEVELS * LEVELS];
        float scale = answer.camera[0];
        int vertices = answer.vertices.length / 3;
        int[] pixel = new int[2];
        for (int i = 0; i < vertices; i++) {
            for (int axis = 0; axis < 2; axis++) {
                float ndc = scale * (answer.vertices[3 * i + axis] + answer.camera[1 + axis]);
                ndc = Math.min(Math.max(ndc, -1), 0.999f);
                pixel[axis] = (int) ((ndc + 1) * crop.width / 2);
            }
            int at = (pixel[1] * crop.width + pixel[0]) * 3;
            int bin = 0;
            for (int channel = 0; channel < 3; channel++) {
                bin = LEVELS * bin + (crop.rgb[at + channel] & 255) / LEVEL_WIDTH;
            }
            histogram[bin]++;
        }
        for (int bin = 0; bin < histogram.length; bin++) {
            histogram[bin] /= vertices;
        }
        return histogram;
    }
}
