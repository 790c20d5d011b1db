package org.tfhmr.core;

import java.util.ArrayList;
import java.util.List;

/** Anchors of single-shot detectors, and what overlaps (tf_hmr/detection/anchors.py). */
final class Anchors {
    private Anchors() {}

    /** Adds middles x, y of the cells of a map, in 0..1, each `count` times. */
    static void addGrid(List<double[]> anchors, int side, int count) {
        for (int row = 0; row < side; row++) {
            for (int column = 0; column < side; column++) {
                for (int repeat = 0; repeat < count; repeat++) {
                    anchors.add(new double[] {(column + 0.5) / side, (row + 0.5) / side});
                }
            }
        }
    }

    /** Intersection over union of two boxes x1, y1, x2, y2. */
    static double overlap(double[] a, double[] b) {
        double width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
        double height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
        double common = Math.max(width, 0) * Math.max(height, 0);
        double union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common;
        return common / Math.max(union, 1e-9);
    }

    /**
     * Groups detections by what overlaps, the best first: non-maximum suppression.
     *
     * @param detections sorted, the best first
     * @param mostOverlap above it two are of one group
     */
    static List<List<Detection>> suppressed(List<Detection> detections, double mostOverlap) {
        List<List<Detection>> groups = new ArrayList<List<Detection>>();
        List<Detection> rest = new ArrayList<Detection>(detections);
        while (!rest.isEmpty()) {
            Detection best = rest.get(0);
            List<Detection> group = new ArrayList<Detection>();
            List<Detection> others = new ArrayList<Detection>();
            for (Detection detection : rest) {
                // A box of no area overlaps nothing, not even itself.
                boolean isSame = detection == best
                        || overlap(best.box, detection.box) > mostOverlap;
                (isSame ? group : others).add(detection);
            }
            groups.add(group);
            rest = others;
        }
        return groups;
    }
}
