package org.tfhmr.core;

/** Rotation vectors of matrices that are nearly rotations. */
public final class Rotations {
    private static final int SWEEPS = 50;
    // Of Horn's matrix: axis and angle as a unit quaternion w, x, y, z.
    private static final int SIZE = 4;

    private Rotations() {}

    /**
     * Rotation vectors of the nearest rotations.
     *
     * <p>The rotation R that maximises trace(R^T M) has the quaternion that is the eigenvector of
     * the largest eigenvalue of a symmetric 4 x 4 matrix (Horn, JOSA A 1987); near pi, where the
     * matrix's own differences vanish, it is as exact as elsewhere.
     *
     * @param rotmats n times 3 x 3, by rows
     * @return n times 3, radians
     */
    public static double[] vectors(double[] rotmats) {
        double[] vectors = new double[rotmats.length / 3];
        for (int n = 0; n < rotmats.length / 9; n++) {
            double[] q = quaternion(rotmats, 9 * n);
            double sign = q[0] < 0 ? -1 : 1;
            double length = Math.sqrt(q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
            double angle = 2 * Math.atan2(length, sign * q[0]);
            double factor = length < 1e-12 ? 2 : angle / length;
            for (int axis = 0; axis < 3; axis++) {
                vectors[3 * n + axis] = sign * factor * q[1 + axis];
            }
        }
        return vectors;
    }

    private static double[] quaternion(double[] m, int at) {
        double xx = m[at];
        double yy = m[at + 4];
        double zz = m[at + 8];
        double[][] horn = {
            {xx + yy + zz, m[at + 7] - m[at + 5], m[at + 2] - m[at + 6], m[at + 3] - m[at + 1]},
            {0, xx - yy - zz, m[at + 1] + m[at + 3], m[at + 2] + m[at + 6]},
            {0, 0, yy - xx - zz, m[at + 5] + m[at + 7]},
            {0, 0, 0, zz - xx - yy},
        };
        double[][] vectors = new double[SIZE][SIZE];
        for (int i = 0; i < SIZE; i++) {
            vectors[i][i] = 1;
            for (int j = 0; j < i; j++) {
                horn[i][j] = horn[j][i];
            }
        }
        for (int sweep = 0; sweep < SWEEPS && offDiagonal(horn) > 1e-28; sweep++) {
            for (int p = 0; p < SIZE; p++) {
                for (int q = p + 1; q < SIZE; q++) {
                    turn(horn, vectors, p, q);
                }
            }
        }
        int best = 0;
        for (int i = 1; i < SIZE; i++) {
            best = horn[i][i] > horn[best][best] ? i : best;
        }
        double[] quaternion = new double[SIZE];
        for (int i = 0; i < SIZE; i++) {
            quaternion[i] = vectors[i][best];
        }
        return quaternion;
    }

    private static double offDiagonal(double[][] matrix) {
        double sum = 0;
        for (int i = 0; i < SIZE; i++) {
            for (int j = 0; j < i; j++) {
                sum += matrix[i][j] * matrix[i][j];
            }
        }
        return sum;
    }

    /** A Jacobi rotation, which makes entry (p, q) zero. */
    private static void turn(double[][] matrix, double[][] vectors, int p, int q) {
        if (matrix[p][q] == 0) {
            return;
        }
        double theta = (matrix[q][q] - matrix[p][p]) / (2 * matrix[p][q]);
        double tan = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        double cos = 1 / Math.sqrt(tan * tan + 1);
        double sin = tan * cos;
        for (int k = 0; k < SIZE; k++) {
            double left = matrix[k][p];
            double right = matrix[k][q];
            matrix[k][p] = cos * left - sin * right;
            matrix[k][q] = sin * left + cos * right;
        }
        for (int k = 0; k < SIZE; k++) {
            double upper = matrix[p][k];
            double lower = matrix[q][k];
            matrix[p][k] = cos * upper - sin * lower;
            matrix[q][k] = sin * upper + cos * lower;
            double left = vectors[k][p];
            double right = vectors[k][q];
            vectors[k][p] = cos * left - sin * right;
            vectors[k][q] = sin * left + cos * right;
        }
    }
}
