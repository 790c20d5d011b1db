package org.tfhmr.core;

import java.nio.ByteBuffer;

/** A camera's frame: a plane of brightness and two of colour, of half the size. */
public final class Yuv {
    /** One plane, as android.media.Image.Plane describes it. */
    public static final class Plane {
        final byte[] bytes;
        final int rowStride;
        final int pixelStride;

        /** Copies the bytes: the camera takes its buffer back. */
        public Plane(ByteBuffer bytes, int rowStride, int pixelStride) {
            this.bytes = new byte[bytes.limit()]; // Direct buffers are slow byte by byte.
            ByteBuffer copy = bytes.duplicate();
            copy.position(0);
            copy.get(this.bytes);
            this.rowStride = rowStride;
            this.pixelStride = pixelStride;
        }
    }

    // ITU-R BT.601. Cameras give the full range (JFIF); videos 16 to 235.
    private static final double[] FULL = {1, 0, 1.402, -0.714136, -0.344136, 1.772};
    private static final double[] LIMITED = {
        255 / 219.0, 16, 1.596027, -0.812968, -0.391762, 2.017232
    };
    private static final int BITS = 16;

    private Yuv() {}

    /**
     * Converts a frame to RGB, upright.
     *
     * @param planes Y, U and V; width and height are even
     * @param width of the frame as it lies in memory
     * @param height of the frame as it lies in memory
     * @param degrees 0, 90, 180 or 270: turns the picture clockwise
     * @param mirror also swaps left and right of the upright picture
     * @param fullRange 0..255 of brightness as JFIF, else 16..235
     * @throws IllegalArgumentException the planes are too short, or the size or the turn is odd
     */
    public static Image toRgb(
            Plane[] planes, int width, int height, int degrees, boolean mirror, boolean fullRange) {
        if (width < 2 || height < 2 || width % 2 != 0 || height % 2 != 0 || degrees % 90 != 0) {
            throw new IllegalArgumentException(
                    "A frame of " + width + " x " + height + ", turned by " + degrees);
        }
        checkLength(planes[0], width, height);
        checkLength(planes[1], width / 2, height / 2);
        checkLength(planes[2], width / 2, height / 2);
        int turns = ((degrees / 90) % 4 + 4) % 4;
        int uprightWidth = turns % 2 == 0 ? width : height;
        int uprightHeight = turns % 2 == 0 ? height : width;
        Converter converter = new Converter(fullRange ? FULL : LIMITED);
        byte[] rgb = new byte[width * height * 3];
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                int x = turns == 0 ? column : turns == 1 ? height - 1 - row
                        : turns == 2 ? width - 1 - column : row;
                int y = turns == 0 ? row : turns == 1 ? column
                        : turns == 2 ? height - 1 - row : width - 1 - column;
                x = mirror ? uprightWidth - 1 - x : x;
                converter.convert(
                        level(planes[0], row, column),
                        level(planes[1], row / 2, column / 2),
                        level(planes[2], row / 2, column / 2),
                        rgb,
                        (y * uprightWidth + x) * 3);
            }
        }
        return new Image(rgb, uprightWidth, uprightHeight);
    }

    private static void checkLength(Plane plane, int width, int height) {
        long last = (long) (height - 1) * plane.rowStride + (long) (width - 1) * plane.pixelStride;
        if (last >= plane.bytes.length) {
            throw new IllegalArgumentException(
                    "A plane of " + plane.bytes.length + " bytes is too short for " + width + " x "
                            + height);
        }
    }

    private static int level(Plane plane, int row, int column) {
        return plane.bytes[row * plane.rowStride + column * plane.pixelStride] & 255;
    }

    /** The products of a pixel in integers. */
    private static final class Converter {
        private final int black;
        private final int[] factors = new int[6];

        Converter(double[] coefficients) {
            black = (int) coefficients[1];
            for (int i = 0; i < factors.length; i++) {
                factors[i] = (int) Math.round(coefficients[i] * (1 << BITS));
            }
        }

        void convert(int y, int u, int v, byte[] rgb, int at) {
            int light = Math.max(y - black, 0) * factors[0] + (1 << (BITS - 1));
            int blue = u - 128;
            int red = v - 128;
            rgb[at] = clipped(light + factors[2] * red);
            rgb[at + 1] = clipped(light + factors[3] * red + factors[4] * blue);
            rgb[at + 2] = clipped(light + factors[5] * blue);
        }

        private static byte clipped(int value) {
            return (byte) Math.min(Math.max(value >> BITS, 0), 255);
        }
    }
}
