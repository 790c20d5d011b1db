package org.tfhmr.core;

/** What a Track follows a person with: a network and what it needs to see. */
public interface Estimator {
    /** Side of its crop in pixels. */
    int size();

    /** Side of a crop over the longer side of the person's box. */
    double cropScale();

    /** Focal length in pixels of a camera whose frames have that size. */
    double focalPx(int width, int height);

    /**
     * The answer about the person in a square of a frame.
     *
     * @param frame the whole picture
     * @param square x, y, side, side in pixel edges
     * @param crop its pixels, of size()
     * @throws NobodySeen there is no person to answer about
     */
    Answer answer(Image frame, double[] square, Image crop);
}
