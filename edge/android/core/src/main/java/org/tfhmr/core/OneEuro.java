package org.tfhmr.core;

/** A low-pass filter whose cutoff rises with speed (Casiez et al. 2012), by row. */
final class OneEuro {
    private static final double SPEED_CUTOFF_HZ = 1;

    private final double leastHz;
    private final double rise;
    private final int columns;
    private double[] value;
    private double[] speed;

    /**
     * Makes a filter of rows.
     *
     * @param leastHz cutoff at rest
     * @param rise of the cutoff with the speed of a row
     * @param columns numbers of a row
     */
    OneEuro(double leastHz, double rise, int columns) {
        this.leastHz = leastHz;
        this.rise = rise;
        this.columns = columns;
    }

    /** The filtered numbers; the argument stays as it is. */
    double[] filter(double[] raw, double seconds) {
        if (value == null) {
            value = raw.clone();
            speed = new double[raw.length];
            return value.clone();
        }
        double radians = 2 * Math.PI * seconds; // A cutoff f keeps 1 / (1 + radians f).
        double share = 1 / (1 + 1 / (radians * SPEED_CUTOFF_HZ));
        for (int row = 0; row < raw.length; row += columns) {
            double squared = 0;
            for (int i = row; i < row + columns; i++) {
                speed[i] += ((raw[i] - value[i]) / seconds - speed[i]) * share;
                squared += speed[i] * speed[i];
            }
            double cutoffHz = leastHz + rise * Math.sqrt(squared);
            double kept = 1 / (1 + radians * cutoffHz);
            for (int i = row; i < row + columns; i++) {
                value[i] = raw[i] - (raw[i] - value[i]) * kept;
            }
        }
        return value.clone();
    }
}
