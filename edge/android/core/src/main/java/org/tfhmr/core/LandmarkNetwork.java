package org.tfhmr.core;

import java.util.Collections;
import java.util.List;

/** pose_landmark_full.tflite of MediaPipe (tf_hmr/detection/landmarks.py). */
public final class LandmarkNetwork {
    static final double MIN_PRESENCE = 0.5;
    // A second look that knows less of a person was led astray.
    private static final double LOSS_OF_PRESENCE = 0.1;
    private static final int SIZE = 256;
    private static final int POINTS = 39;
    // x, y, z in pixels; logits of being visible and of being inside.
    private static final int LOGITS = 3;
    private static final int NUMBERS = 5;
    // After the landmarks: middle and rim of the circle of the next square.
    private static final int MIDDLE = Landmarks.COUNT;
    private static final int RIM = Landmarks.COUNT + 1;

    private final Network network;

    public LandmarkNetwork(Network network) {
        this.network = network;
    }

    /** The landmarks of one square. */
    Landmarks look(Pyramid picture, Square requested) {
        Square square = requested.rounded();
        float[] input = Pixels.scaled(picture.crop(square, SIZE), 255, 0);
        List<Tensor> outputs = network.run(Collections.<String, Object>singletonMap("image", input));
        float[] rows = Tensor.shaped(outputs, POINTS * NUMBERS);
        float[] metres = Tensor.shaped(outputs, POINTS * 3);
        double[] m = square.toPicture(SIZE);
        double cos = Math.cos(square.angle);
        double sin = Math.sin(square.angle);
        float[] points = new float[Landmarks.COUNT * Landmarks.COLUMNS];
        for (int row = 0; row < Landmarks.COUNT; row++) {
            double x = metres[3 * row];
            double y = metres[3 * row + 1];
            double[] values = {
                edge(rows, row, m, 0) - 0.5,
                edge(rows, row, m, 3) - 0.5,
                cos * x - sin * y,
                sin * x + cos * y,
                metres[3 * row + 2],
                Pixels.probability(rows[row * NUMBERS + LOGITS]),
                Pixels.probability(rows[row * NUMBERS + LOGITS + 1]),
            };
            for (int column = 0; column < Landmarks.COLUMNS; column++) {
                points[row * Landmarks.COLUMNS + column] = (float) values[column];
            }
        }
        Square next = Square.ofCircle(
                edge(rows, MIDDLE, m, 0),
                edge(rows, MIDDLE, m, 3),
                edge(rows, RIM, m, 0),
                edge(rows, RIM, m, 3));
        return new Landmarks(
                points,
                Tensor.shaped(outputs, 1)[0],
                square,
                next,
                Tensor.shaped(outputs, SIZE, SIZE, 1),
                SIZE);
    }

    /** x or y of a point in pixel edges of the picture, by a row of the affine map. */
    private static double edge(float[] rows, int row, double[] m, int first) {
        return m[first] * rows[row * NUMBERS] + m[first + 1] * rows[row * NUMBERS + 1]
                + m[first + 2];
    }

    /**
     * The landmarks of the square that a first look asks for; the first look stays where it saw
     * nobody, or where the second is less sure of a person.
     */
    public Landmarks lookTwice(Pyramid picture, Square square) {
        Landmarks answer = look(picture, square);
        Square next = answer.nextSquare;
        if (answer.presence < MIN_PRESENCE || !next.isFinite() || next.side < 1) {
            return answer;
        }
        Landmarks closer = look(picture, next);
        return closer.presence >= answer.presence - LOSS_OF_PRESENCE ? closer : answer;
    }
}
