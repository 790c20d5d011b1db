package org.tfhmr.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** MediaPipe's detectors: squares in which a person may be (tf_hmr/detection/detectors.py). */
public final class Detector {
    private static final double MOST_OVERLAP = 0.3;
    private static final int BOX_NUMBERS = 4;
    // Side of the networks' pictures.
    private static final int PEOPLE_SIZE = 224;
    private static final int FACES_SIZE = 192;
    // In heights of the face: the middle of a standing body below its face, and the side of the
    // square around it.
    private static final double DROP = 2.6;
    private static final double SIDE = 8.2;

    private final Network network;
    private final int size;
    private final List<double[]> anchors = new ArrayList<double[]>();
    private final int points;
    private final double minScore;
    private final boolean ofFaces;

    private Detector(Network network, int size, int points, double minScore, boolean ofFaces) {
        this.network = network;
        this.size = size;
        this.points = points;
        this.minScore = minScore;
        this.ofFaces = ofFaces;
    }

    /** BlazePose's own detector, pose_detection.tflite. */
    public static Detector ofPeople(Network network) {
        Detector detector = new Detector(network, PEOPLE_SIZE, 4, 0.5, false);
        Anchors.addGrid(detector.anchors, 28, 2);
        Anchors.addGrid(detector.anchors, 14, 2);
        Anchors.addGrid(detector.anchors, 7, 6);
        return detector;
    }

    /** Faces, below which a body is expected: face_detection_full_range_sparse.tflite. */
    public static Detector ofFaces(Network network) {
        Detector detector = new Detector(network, FACES_SIZE, 6, 0.6, true);
        Anchors.addGrid(detector.anchors, 48, 1);
        return detector;
    }

    /** Squares around people of one or more windows of a picture, the best first. */
    List<Square> candidates(Pyramid picture, List<Square> windows) {
        List<Detection> detections = new ArrayList<Detection>();
        for (Square window : windows) {
            look(picture, window, detections);
        }
        Collections.sort(
                detections,
                new Comparator<Detection>() {
                    @Override
                    public int compare(Detection a, Detection b) {
                        return Double.compare(b.score, a.score);
                    }
                });
        List<Square> squares = new ArrayList<Square>();
        for (List<Detection> group : Anchors.suppressed(detections, MOST_OVERLAP)) {
            squares.add(ofFaces ? belowFace(group.get(0).box) : aroundHips(group));
        }
        return squares;
    }

    private void look(Pyramid picture, Square window, List<Detection> detections) {
        float[] input = Pixels.scaled(picture.crop(window, size), 127.5f, -1);
        List<Tensor> outputs = network.run(Collections.<String, Object>singletonMap("image", input));
        int columns = BOX_NUMBERS + 2 * points;
        float[] logits = Tensor.shaped(outputs, anchors.size(), 1);
        float[] rows = Tensor.shaped(outputs, anchors.size(), columns);
        double left = window.x - window.side / 2;
        double top = window.y - window.side / 2;
        for (int i = 0; i < anchors.size(); i++) {
            double score = Pixels.probability(logits[i]);
            if (score <= minScore) {
                continue;
            }
            double[] xy = new double[columns];
            for (int k = 0; k < columns; k++) {
                // The middle and the points are relative to an anchor of size 1.
                boolean isPlace = k < 2 || k >= BOX_NUMBERS;
                double share = rows[i * columns + k] / size;
                double corner = k % 2 == 0 ? left : top;
                xy[k] = isPlace ? (share + anchors.get(i)[k % 2]) * window.side + corner
                        : share * window.side / 2;
            }
            double[] box = {xy[0] - xy[2], xy[1] - xy[3], xy[0] + xy[2], xy[1] + xy[3]};
            double[] further = java.util.Arrays.copyOfRange(xy, BOX_NUMBERS, columns);
            detections.add(new Detection(box, further, score));
        }
    }

    /** MediaPipe's weighted suppression: the mean circle by score. */
    private static Square aroundHips(List<Detection> group) {
        double total = 0;
        double[] circle = new double[4];
        for (Detection detection : group) {
            total += detection.score;
            for (int k = 0; k < circle.length; k++) {
                circle[k] += detection.score * detection.points[k];
            }
        }
        return Square.ofCircle(
                circle[0] / total, circle[1] / total, circle[2] / total, circle[3] / total);
    }

    private static Square belowFace(double[] box) {
        double height = Math.max(box[2] - box[0], box[3] - box[1]);
        double middle = (box[1] + box[3]) / 2 + DROP * height;
        return new Square((box[0] + box[2]) / 2, middle, SIDE * height, 0);
    }
}
