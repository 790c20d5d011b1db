package org.tfhmr.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** Which answers are people, and which are one person (tf_hmr/detection/merging.py). */
final class Merging {
    private static final double MIN_QUALITY = 0.8;
    private static final double SHARED = 0.35;
    private static final double ON_MASK = 0.65;
    private static final double ALIKE = 0.1;
    private static final double PART = 0.8;
    private static final int FEW = 3;
    private static final int CLEAREST = 6;
    private static final double[] WEIGHTS = {0.31, 0.48, -0.76, 1.08, 5.10, 1.37};
    private static final double BIAS = -7.67;
    private static final double MOST_PRESENCE = 0.999;
    private static final double LEAST_MOVE = 0.005;
    private static final double NEAR = 0.06;
    private static final int SAMPLES = 32;
    private static final int[] JOINTS = BlazePose.joints();
    private static final int[] SHOULDERS = BlazePose.both("shoulder");
    private static final int[] HIPS = BlazePose.both("hip");
    private static final int[][] BONES = BlazePose.bones();

    private Merging() {}

    /** Estimates the probability that an answer is one person's. */
    static double quality(Landmarks answer) {
        if (!answer.isFinite()) {
            return 0;
        }
        double presence =
                Math.min(Math.max(answer.presence, 1 - MOST_PRESENCE), MOST_PRESENCE);
        double[] visible = new double[JOINTS.length];
        for (int i = 0; i < JOINTS.length; i++) {
            visible[i] = answer.visible(JOINTS[i]);
        }
        Arrays.sort(visible);
        double clearest = 0;
        for (int i = JOINTS.length - CLEAREST; i < JOINTS.length; i++) {
            clearest += visible[i] / CLEAREST;
        }
        double move = Math.hypot(
                answer.nextSquare.x - answer.square.x, answer.nextSquare.y - answer.square.y);
        double[] signs = {
            Math.log(presence / (1 - presence)),
            clearest,
            Math.log(move / answer.square.side + LEAST_MOVE),
            shareOnMask(answer, answer),
            maskNearBones(answer),
            uprightness(answer),
        };
        double value = BIAS;
        for (int i = 0; i < signs.length; i++) {
            value += WEIGHTS[i] * signs[i];
        }
        boolean isFinite = !Double.isNaN(value) && !Double.isInfinite(value);
        return isFinite ? Pixels.probability(value) : 0;
    }

    /** Chooses one answer for each person, the best person first. */
    static List<Landmarks> select(List<Landmarks> answers) {
        List<Landmarks> sorted = new ArrayList<Landmarks>(answers);
        Collections.sort(
                sorted,
                new Comparator<Landmarks>() {
                    @Override
                    public int compare(Landmarks a, Landmarks b) {
                        return Double.compare(quality(b), quality(a));
                    }
                });
        List<Landmarks> people = new ArrayList<Landmarks>();
        for (Landmarks answer : sorted) {
            if (quality(answer) < MIN_QUALITY) {
                break;
            }
            boolean isNew = answer.presence >= LandmarkNetwork.MIN_PRESENCE;
            for (Landmarks person : people) {
                isNew = isNew && shared(answer, person) < SHARED;
            }
            if (isNew) {
                people.add(answer);
            }
        }
        List<Landmarks> separate = new ArrayList<Landmarks>();
        for (int rank = 0; rank < people.size(); rank++) {
            boolean isPart = false;
            for (int owner = 0; owner < people.size(); owner++) {
                isPart |= owner != rank
                        && isPart(people.get(rank), people.get(owner), rank < owner);
            }
            if (!isPart) {
                separate.add(people.get(rank));
            }
        }
        return separate;
    }

    /** Diagonal in pixels of the box of the joints inside the picture. */
    static double size(Landmarks answer) {
        return diagonal(answer, inside(answer, answer));
    }

    /** Which joints are inside the picture for both; all where those are few. */
    private static boolean[] inside(Landmarks a, Landmarks b) {
        boolean[] inside = new boolean[JOINTS.length];
        int count = 0;
        for (int i = 0; i < JOINTS.length; i++) {
            inside[i] = Math.min(a.inside(JOINTS[i]), b.inside(JOINTS[i])) > 0.5;
            count += inside[i] ? 1 : 0;
        }
        if (count < FEW) {
            Arrays.fill(inside, true);
        }
        return inside;
    }

    private static double diagonal(Landmarks answer, boolean[] counts) {
        double[] low = {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY};
        double[] high = {Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY};
        for (int i = 0; i < JOINTS.length; i++) {
            for (int axis = 0; axis < 2 && (counts == null || counts[i]); axis++) {
                low[axis] = Math.min(low[axis], answer.px(JOINTS[i], axis));
                high[axis] = Math.max(high[axis], answer.px(JOINTS[i], axis));
            }
        }
        return Math.hypot(high[0] - low[0], high[1] - low[1]);
    }

    /** The share of joints that two answers place alike. */
    private static double shared(Landmarks answer, Landmarks reference) {
        boolean[] inside = inside(answer, reference);
        double extent = Math.min(diagonal(answer, null), diagonal(reference, null));
        double alike = 0;
        double count = 0;
        for (int i = 0; i < JOINTS.length; i++) {
            if (inside[i]) {
                double distance = Math.hypot(
                        answer.px(JOINTS[i], 0) - reference.px(JOINTS[i], 0),
                        answer.px(JOINTS[i], 1) - reference.px(JOINTS[i], 1));
                alike += distance < ALIKE * extent ? 1 : 0;
                count++;
            }
        }
        return alike / count;
    }

    /** Whether an answer is a part of another person, or that person again. */
    private static boolean isPart(Landmarks answer, Landmarks owner, boolean isBetter) {
        double ratio = size(answer) / Math.max(size(owner), 1e-6);
        boolean isAgain = ratio < 1 / PART && !isBetter;
        return (ratio < PART || isAgain) && shareOnMask(answer, owner) > ON_MASK;
    }

    /** The share of an answer's visible joints on the mask of another. */
    private static double shareOnMask(Landmarks answer, Landmarks owner) {
        double sum = 0;
        double total = 0;
        for (int row : JOINTS) {
            double weight = answer.visible(row) * answer.inside(row);
            sum += weight * owner.onMask(answer.px(row, 0) + 0.5, answer.px(row, 1) + 0.5);
            total += weight;
        }
        return sum / (total + 1e-6);
    }

    /** The share of an answer's mask that lies near its bones. */
    private static double maskNearBones(Landmarks answer) {
        int side = answer.maskSize();
        int step = Math.max(1, side / SAMPLES);
        double[] m = answer.square.toPicture(side);
        double most = NEAR * diagonal(answer, null);
        int near = 0;
        int total = 0;
        for (int row = step / 2; row < side; row += step) {
            for (int column = step / 2; column < side; column += step) {
                if (answer.isOnMask(column, row)) {
                    double u = column + 0.5;
                    double v = row + 0.5;
                    double x = m[0] * u + m[1] * v + m[2] - 0.5;
                    double y = m[3] * u + m[4] * v + m[5] - 0.5;
                    near += distanceToBones(answer, x, y) < most ? 1 : 0;
                    total++;
                }
            }
        }
        return total == 0 ? 0 : (double) near / total;
    }

    /** Pixels from a point of the picture to the nearest bone. */
    private static double distanceToBones(Landmarks answer, double x, double y) {
        double least = Double.POSITIVE_INFINITY;
        for (int[] ends : BONES) {
            double startX = answer.px(ends[0], 0);
            double startY = answer.px(ends[0], 1);
            double alongX = answer.px(ends[1], 0) - startX;
            double alongY = answer.px(ends[1], 1) - startY;
            double squared = Math.max(alongX * alongX + alongY * alongY, 1e-6);
            double share = ((x - startX) * alongX + (y - startY) * alongY) / squared;
            share = Math.min(Math.max(share, 0), 1);
            least = Math.min(
                    least,
                    Math.hypot(x - startX - share * alongX, y - startY - share * alongY));
        }
        return least;
    }

    /** Cosine of the trunk's turn in the picture: 1 upright, -1 head down. */
    private static double uprightness(Landmarks answer) {
        double[] trunk = new double[2];
        for (int axis = 0; axis < 2; axis++) {
            for (int side = 0; side < 2; side++) {
                trunk[axis] +=
                        (answer.px(HIPS[side], axis) - answer.px(SHOULDERS[side], axis)) / 2;
            }
        }
        return trunk[1] / Math.max(Math.hypot(trunk[0], trunk[1]), 1e-6);
    }
}
