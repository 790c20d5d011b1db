package org.tfhmr.core;

/** Resampling of pictures as OpenCV does it, to one grey level. */
final class Sampling {
    private static final int CHANNELS = 3;

    private Sampling() {}

    /**
     * Samples a picture bilinearly: cv2.warpAffine with WARP_INVERSE_MAP.
     *
     * @param image the picture
     * @param affine (2, 3) rows, from pixels of the result to those of the picture
     * @param size width and height of the result
     * @param repeatsBorder outside the picture its border is repeated; else it is black
     */
    static Image warp(Image image, double[] affine, int size, boolean repeatsBorder) {
        byte[] warped = new byte[size * size * CHANNELS];
        float[] m = new float[affine.length]; // In float32 as OpenCV, which settles ties.
        for (int i = 0; i < m.length; i++) {
            m[i] = (float) affine[i];
        }
        for (int row = 0; row < size; row++) {
            for (int column = 0; column < size; column++) {
                float x = fused(m[0], column, m[1] * row + m[2]);
                float y = fused(m[3], column, m[4] * row + m[5]);
                int start = (row * size + column) * CHANNELS;
                sample(image, x, y, repeatsBorder, warped, start);
            }
        }
        return new Image(warped, size, size);
    }

    private static void sample(
            Image image, float x, float y, boolean repeatsBorder, byte[] result, int start) {
        int left = (int) Math.floor(x);
        int top = (int) Math.floor(y);
        float xShare = x - left;
        float yShare = y - top;
        int upperLeft = offset(image, left, top, repeatsBorder);
        int upperRight = offset(image, left + 1, top, repeatsBorder);
        int lowerLeft = offset(image, left, top + 1, repeatsBorder);
        int lowerRight = offset(image, left + 1, top + 1, repeatsBorder);
        for (int channel = 0; channel < CHANNELS; channel++) {
            float a = level(image, upperLeft, channel);
            float b = level(image, lowerLeft, channel);
            float upper = fused(xShare, level(image, upperRight, channel) - a, a);
            float lower = fused(xShare, level(image, lowerRight, channel) - b, b);
            result[start + channel] = (byte) Math.rint(fused(yShare, lower - upper, upper));
        }
    }

    /** a * b + c, rounded once, as where OpenCV has AVX2 or NEON: by this ties fall. */
    private static float fused(float a, float b, float c) {
        return (float) ((double) a * b + c);
    }

    /** Where a pixel begins in the bytes; -1 is a black one. */
    private static int offset(Image image, int x, int y, boolean repeatsBorder) {
        int column = Math.min(Math.max(x, 0), image.width - 1);
        int row = Math.min(Math.max(y, 0), image.height - 1);
        if (!repeatsBorder && (column != x || row != y)) {
            return -1;
        }
        return (row * image.width + column) * CHANNELS;
    }

    private static float level(Image image, int offset, int channel) {
        return offset < 0 ? 0 : image.rgb[offset + channel] & 255;
    }

    /** Averages blocks of `blocks` x `blocks` pixels: cv2.resize with INTER_AREA. */
    static Image averageBlocks(Image image, int blocks) {
        int width = image.width / blocks;
        int height = image.height / blocks;
        byte[] result = new byte[width * height * CHANNELS];
        float share = 1f / (blocks * blocks);
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                for (int channel = 0; channel < CHANNELS; channel++) {
                    int sum = 0;
                    for (int y = row * blocks; y < (row + 1) * blocks; y++) {
                        for (int x = column * blocks; x < (column + 1) * blocks; x++) {
                            sum += image.rgb[(y * image.width + x) * CHANNELS + channel] & 255;
                        }
                    }
                    // OpenCV rounds halves up for 2 x 2 pixels, to even otherwise.
                    double mean = blocks == 2 ? (sum + 2) >> 2 : Math.rint(sum * share);
                    result[(row * width + column) * CHANNELS + channel] = (byte) mean;
                }
            }
        }
        return new Image(result, width, height);
    }

    /**
     * Halves the part of a picture from (left, top) to before (right, bottom); a part of odd
     * size repeats its last row or column.
     */
    static Image halved(Image image, int left, int top, int right, int bottom) {
        int width = (right - left + 1) / 2;
        int height = (bottom - top + 1) / 2;
        byte[] result = new byte[width * height * CHANNELS];
        for (int row = 0; row < height; row++) {
            int y = top + 2 * row;
            int upper = y * image.width;
            int lower = Math.min(y + 1, bottom - 1) * image.width;
            for (int column = 0; column < width; column++) {
                int x = left + 2 * column;
                int next = Math.min(x + 1, right - 1);
                for (int channel = 0; channel < CHANNELS; channel++) {
                    int sum = (image.rgb[(upper + x) * CHANNELS + channel] & 255)
                            + (image.rgb[(upper + next) * CHANNELS + channel] & 255)
                            + (image.rgb[(lower + x) * CHANNELS + channel] & 255)
                            + (image.rgb[(lower + next) * CHANNELS + channel] & 255);
                    result[(row * width + column) * CHANNELS + channel] = (byte) ((sum + 2) >> 2);
                }
            }
        }
        return new Image(result, width, height);
    }

    /** Shrinks a picture by any factor: cv2.resize with INTER_AREA. */
    static Image shrunk(Image image, int width, int height) {
        if (image.width == 2 * width && image.height == 2 * height) {
            return averageBlocks(image, 2);
        }
        Area columns = new Area(image.width, width);
        Area rows = new Area(image.height, height);
        byte[] result = new byte[width * height * CHANNELS];
        float[] sums = new float[width * CHANNELS];
        for (int row = 0; row < height; row++) {
            java.util.Arrays.fill(sums, 0);
            for (int tap = rows.first[row]; tap < rows.first[row + 1]; tap++) {
                columns.add(image, rows.source[tap], rows.share[tap], sums);
            }
            for (int i = 0; i < sums.length; i++) {
                result[row * sums.length + i] = (byte) Math.rint(Math.min(sums[i], 255));
            }
        }
        return new Image(result, width, height);
    }

    /** Which pixels of a line, and how much of each, make a pixel of a shorter line. */
    private static final class Area {
        final int[] first;
        final int[] source;
        final float[] share;

        Area(int length, int shorter) {
            double scale = (double) length / shorter;
            first = new int[shorter + 1];
            source = new int[length + 2 * shorter];
            share = new float[length + 2 * shorter];
            int count = 0;
            for (int pixel = 0; pixel < shorter; pixel++) {
                double start = pixel * scale;
                double end = Math.min(start + scale, length);
                first[pixel] = count;
                for (int i = (int) Math.floor(start); i < end; i++) {
                    double covered = Math.min(i + 1, end) - Math.max(i, start);
                    if (covered > 1e-3) {
                        source[count] = i;
                        share[count] = (float) (covered / (end - start));
                        count++;
                    }
                }
            }
            first[shorter] = count;
        }

        /** Adds a row of a picture, `weight` times, to the sums of a shorter row. */
        void add(Image image, int row, float weight, float[] sums) {
            for (int pixel = 0; pixel + 1 < first.length; pixel++) {
                for (int channel = 0; channel < CHANNELS; channel++) {
                    float sum = 0;
                    for (int tap = first[pixel]; tap < first[pixel + 1]; tap++) {
                        int at = (row * image.width + source[tap]) * CHANNELS + channel;
                        sum += share[tap] * (image.rgb[at] & 255);
                    }
                    sums[pixel * CHANNELS + channel] += weight * sum;
                }
            }
        }
    }
}
