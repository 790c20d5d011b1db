package org.tfhmr.core;

import java.util.HashMap;
import java.util.Map;

/** A network that sees the crop: it may also read where that lies (inputs_of of edge/run.py). */
public final class CropEstimator implements Estimator {
    private static final double FOCAL_OVER_SIDE = 5000.0 / 224;

    private final Network network;
    private final Card card;

    public CropEstimator(Network network, Card card) {
        this.network = network;
        this.card = card;
    }

    @Override
    public int size() {
        return card.size;
    }

    @Override
    public double cropScale() {
        return card.cropScale;
    }

    @Override
    public double focalPx(int width, int height) {
        int longer = Math.max(width, height);
        return card.inputs.contains("intrinsics") ? longer : FOCAL_OVER_SIDE * longer;
    }

    @Override
    public Answer answer(Image frame, double[] square, Image crop) {
        Map<String, Object> all = inputs(frame.width, frame.height, square, crop, 0);
        all.keySet().retainAll(card.inputs);
        return new Answer(network.run(all));
    }

    /**
     * All inputs but landmarks.
     *
     * @param focalPx of the camera; 0 is unknown: as in training, the frame's longer side
     */
    static Map<String, Object> inputs(
            int width, int height, double[] square, Image crop, double focalPx) {
        double side = square[2];
        double focal = 2 * (focalPx > 0 ? focalPx : Math.max(width, height)) / side;
        Map<String, Object> inputs = new HashMap<String, Object>();
        inputs.put("image", crop.rgb);
        inputs.put("box", new float[] {
            (float) square[0], (float) square[1], (float) side, (float) square[3]
        });
        inputs.put("image_size", new float[] {width, height});
        inputs.put("intrinsics", new float[] {
            (float) focal,
            (float) focal,
            (float) ((width - 2 * square[0]) / side - 1),
            (float) ((height - 2 * square[1]) / side - 1),
        });
        return inputs;
    }
}
