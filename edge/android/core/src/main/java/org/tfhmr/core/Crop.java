package org.tfhmr.core;

/** The square crop that a network sees: crop_image and square_box of edge/run.py. */
public final class Crop {
    private Crop() {}

    /**
     * The square (x, y, side, side) around a box's centre, its longer side times `scale`.
     *
     * @param box x, y, w, h in pixel edges
     */
    public static double[] square(double[] box, double scale) {
        double side = Math.max(box[2], box[3]) * scale;
        return new double[] {
            box[0] + (box[2] - side) / 2, box[1] + (box[3] - side) / 2, side, side
        };
    }

    /** Whether a box of finite numbers and positive size shows some of a picture. */
    public static boolean overlaps(double[] box, int width, int height) {
        return box[2] > 0 && box[3] > 0
                && -box[2] < box[0] && box[0] < width
                && -box[3] < box[1] && box[1] < height;
    }

    /**
     * Cuts a square out, antialiased; outside the picture its border is repeated.
     *
     * @param image the picture
     * @param square x, y, side, side in pixel edges
     * @param size of the result
     */
    public static Image of(Image image, double[] square, int size) {
        double x = square[0];
        double y = square[1];
        double side = square[2];
        while (side > 4 * size) { // Halves the pixels around the box.
            double reach = side / 16 + 2;
            int left = (int) Math.max(0, Math.floor(x - reach));
            int top = (int) Math.max(0, Math.floor(y - reach));
            int right = (int) Math.min(image.width, Math.ceil(x + side + reach));
            int bottom = (int) Math.min(image.height, Math.ceil(y + side + reach));
            if (left >= right || top >= bottom) {
                throw new IllegalArgumentException("The crop lies outside the picture");
            }
            image = Sampling.halved(image, left, top, right, bottom);
            x = (x - left) / 2;
            y = (y - top) / 2;
            side /= 2;
        }
        int blocks = Math.max(1, (int) Math.ceil(side / size - 1e-6));
        double step = side / (size * blocks);
        double[] affine = {step, 0, step / 2 + x - 0.5, 0, step, step / 2 + y - 0.5};
        Image fine = Sampling.warp(image, affine, size * blocks, true);
        return blocks == 1 ? fine : Sampling.averageBlocks(fine, blocks);
    }
}
