package org.tfhmr.core;

/** One likely answer of a detector, in pixel edges of the picture. */
final class Detection {
    /** x1, y1, x2, y2. */
    final double[] box;
    /** (K, 2) further points. */
    final double[] points;
    final double score;

    Detection(double[] box, double[] points, double score) {
        this.box = box;
        this.points = points;
        this.score = score;
    }
}
