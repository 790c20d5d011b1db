package org.tfhmr.core;

/** A turned square of a picture in pixel edges (tf_hmr/detection/squares.py). */
public final class Square {
    private static final double ROOM = 1.25;
    private static final int STEPS_A_PIXEL = 4;
    private static final int STEPS_A_TURN = 2048;

    /** Of the centre. */
    public final double x;
    /** Of the centre. */
    public final double y;
    public final double side;
    /** Radians, clockwise as seen; 0 is upright. */
    public final double angle;

    public Square(double x, double y, double side, double angle) {
        this.x = x;
        this.y = y;
        this.side = side;
        this.angle = angle;
    }

    /** The square around a circle, turned so that the rim's point is above the middle. */
    static Square ofCircle(double middleX, double middleY, double rimX, double rimY) {
        double dx = rimX - middleX;
        double dy = rimY - middleY;
        return new Square(
                middleX, middleY, 2 * ROOM * Math.hypot(dx, dy), Math.atan2(dx, -dy));
    }

    /** The upright square around a person's box x, y, w, h. */
    public static Square ofBox(double[] box) {
        return new Square(
                box[0] + box[2] / 2, box[1] + box[3] / 2, ROOM * Math.hypot(box[2], box[3]), 0);
    }

    /** The nearest square of a grid: one and the same for answers that differ in last digits. */
    Square rounded() {
        double turn = Math.floor(angle / (2 * Math.PI) * STEPS_A_TURN + 0.5);
        return new Square(
                rounded(x),
                rounded(y),
                Math.max(rounded(side), 1.0 / STEPS_A_PIXEL),
                turn * (2 * Math.PI) / STEPS_A_TURN);
    }

    private static double rounded(double px) {
        return Math.floor(STEPS_A_PIXEL * px + 0.5) / STEPS_A_PIXEL;
    }

    boolean isFinite() {
        double sum = x + y + side + angle;
        return !Double.isNaN(sum) && !Double.isInfinite(sum);
    }

    /** Rows (2, 3) from edges of the square's image of `size` to those of the picture. */
    double[] toPicture(int size) {
        double cos = side / size * Math.cos(angle);
        double sin = side / size * Math.sin(angle);
        double half = size / 2.0;
        return new double[] {
            cos, -sin, x - half * (cos - sin), sin, cos, y - half * (sin + cos)
        };
    }

    /** The inverse of an affine map (2, 3). */
    static double[] inverse(double[] m) {
        double determinant = m[0] * m[4] - m[1] * m[3];
        double a = m[4] / determinant;
        double b = -m[1] / determinant;
        double c = -m[3] / determinant;
        double d = m[0] / determinant;
        return new double[] {a, b, -a * m[2] - b * m[5], c, d, -c * m[2] - d * m[5]};
    }
}
