package org.tfhmr.core;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** The largest differences by name, each held to a bar. */
final class Worst {
    private static final int GREY_LEVELS = 1;
    private static final double NEAR_HALF_A_TURN = 1e-3;

    private final double shareOfBytes;
    private final Map<String, Double> differences = new TreeMap<String, Double>();
    private long bytes;
    private long different;

    /** Allows that share of the bytes of pictures to differ at all. */
    Worst(double shareOfBytes) {
        this.shareOfBytes = shareOfBytes;
    }

    void compare(String name, double[] values, double[] expected, double bar) {
        Checks.equal("length of " + name, values.length, expected.length);
        double worst = differences.containsKey(name) ? differences.get(name) : 0;
        for (int i = 0; i < values.length; i++) {
            double difference = Math.abs(values[i] - expected[i]);
            if (!(difference <= bar)) {
                throw new AssertionError(
                        name + "[" + i + "] is " + values[i] + ", expected " + expected[i]
                                + " within " + bar);
            }
            worst = Math.max(worst, difference);
        }
        differences.put(name, worst);
    }

    /** Vectors of rotations, radians; near half a turn, where two are alike, the rotations. */
    void compareRotations(String name, double[] values, double[] expected, double bar) {
        Checks.equal("length of " + name, values.length, expected.length);
        double[] angles = new double[values.length / 3];
        for (int i = 0; i < angles.length; i++) {
            double[] difference = product(quaternion(values, 3 * i), quaternion(expected, 3 * i));
            double length = Math.sqrt(difference[1] * difference[1]
                    + difference[2] * difference[2] + difference[3] * difference[3]);
            angles[i] = 2 * Math.atan2(length, Math.abs(difference[0]));
            double[] vector = java.util.Arrays.copyOfRange(expected, 3 * i, 3 * i + 3);
            double turn = Math.sqrt(vector[0] * vector[0] + vector[1] * vector[1]
                    + vector[2] * vector[2]);
            if (turn < Math.PI - NEAR_HALF_A_TURN) {
                double[] own = java.util.Arrays.copyOfRange(values, 3 * i, 3 * i + 3);
                compare(name, own, vector, bar);
            }
        }
        compare(name, angles, new double[angles.length], bar);
    }

    private static double[] quaternion(double[] vectors, int at) {
        double angle = Math.sqrt(vectors[at] * vectors[at]
                + vectors[at + 1] * vectors[at + 1] + vectors[at + 2] * vectors[at + 2]);
        double factor = angle < 1e-12 ? 0.5 : Math.sin(angle / 2) / angle;
        return new double[] {
            Math.cos(angle / 2),
            factor * vectors[at],
            factor * vectors[at + 1],
            factor * vectors[at + 2],
        };
    }

    /** p times the conjugate of q. */
    private static double[] product(double[] p, double[] q) {
        return new double[] {
            p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3],
            -p[0] * q[1] + p[1] * q[0] - p[2] * q[3] + p[3] * q[2],
            -p[0] * q[2] + p[1] * q[3] + p[2] * q[0] - p[3] * q[1],
            -p[0] * q[3] - p[1] * q[2] + p[2] * q[1] + p[3] * q[0],
        };
    }

    /** Pixels: within a grey level, and few that differ at all. */
    void comparePixels(Image image, Image expected) {
        Checks.equal("width", image.width, expected.width);
        Checks.equal("height", image.height, expected.height);
        double worst = differences.containsKey("levels") ? differences.get("levels") : 0;
        for (int i = 0; i < image.rgb.length; i++) {
            int difference = Math.abs((image.rgb[i] & 255) - (expected.rgb[i] & 255));
            if (difference > GREY_LEVELS) {
                throw new AssertionError("byte " + i + " of a picture of " + image.width
                        + " pixels differs by " + difference);
            }
            worst = Math.max(worst, difference);
            different += difference > 0 ? 1 : 0;
        }
        bytes += image.rgb.length;
        differences.put("levels", worst);
    }

    /** What was measured; checks the share of bytes. */
    String says() {
        double share = bytes == 0 ? 0 : (double) different / bytes;
        if (share > shareOfBytes) {
            throw new AssertionError(100 * share + " % of the bytes differ");
        }
        StringBuilder text = new StringBuilder();
        for (Map.Entry<String, Double> entry : differences.entrySet()) {
            text.append(String.format(
                    Locale.ROOT, "%s %.3g, ", entry.getKey(), entry.getValue()));
        }
        return text.append(String.format(Locale.ROOT, "%.4f %% of bytes", 100 * share)).toString();
    }
}
