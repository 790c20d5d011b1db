package org.tfhmr.core;

import java.util.Collections;

/** The lifter: a body from the landmarks of the person in the square, without pixels. */
public final class LandmarkEstimator implements Estimator {
    /** A landmark is seen if its probabilities of being visible and inside exceed this. */
    static final double MIN_CONFIDENCE = 0.3;
    /** A person with fewer landmarks that are seen has no body. */
    static final int MIN_KEYPOINTS = 6;

    private static final double FOCAL_OVER_SIDE = 5000.0 / 224;

    private final LandmarkNetwork landmarks;
    private final Network lifter;
    private final Card card;

    public LandmarkEstimator(LandmarkNetwork landmarks, Network lifter, Card card) {
        this.landmarks = landmarks;
        this.lifter = lifter;
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
        return FOCAL_OVER_SIDE * Math.max(width, height);
    }

    @Override
    public Answer answer(Image frame, double[] square, Image crop) {
        double half = square[2] / 2;
        Square start = new Square(square[0] + half, square[1] + half, square[2], 0);
        Landmarks seen = landmarks.lookTwice(new Pyramid(frame), start);
        if (seen.presence < LandmarkNetwork.MIN_PRESENCE) {
            throw new NobodySeen(seen.presence);
        }
        return lift(seen, square);
    }

    /** The body of landmarks in a square. */
    Answer lift(Landmarks seen, double[] square) {
        return new Answer(
                lifter.run(
                        Collections.<String, Object>singletonMap("landmarks", seen.inCrop(square))));
    }
}
