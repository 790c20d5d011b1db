package org.tfhmr.core;

/** Numbers of networks. */
final class Pixels {
    private Pixels() {}

    /** Levels as a network of float32 reads them: level / divisor + offset. */
    static float[] scaled(Image image, float divisor, float offset) {
        float[] values = new float[image.rgb.length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (image.rgb[i] & 255) / divisor + offset;
        }
        return values;
    }

    static double probability(double logit) {
        return 1 / (1 + Math.exp(-logit));
    }

    /** Of a network's number: in float32, as scipy's expit. */
    static float probability(float logit) {
        return 1 / (1 + (float) Math.exp(-logit));
    }
}
