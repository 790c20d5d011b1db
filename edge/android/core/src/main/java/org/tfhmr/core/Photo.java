package org.tfhmr.core;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** A photo of any size, upright, at a scale that memory and a texture hold. */
public final class Photo {
    static final int MAX_PIXELS = 4000000;
    /** Of a texture, on every phone that has GLES 3. */
    static final int MAX_SIDE = 4096;
    static final int MAX_BYTES = 100000000;
    /** A picture of fewer pixels in a side shows nobody. */
    private static final int LEAST_SIDE = 64;

    /** Decodes a file's content; a picture lies as in the file. */
    public interface Decoder {
        /** Width and height, without the pixels; below 1: no picture that it knows. */
        int[] size(byte[] content) throws IOException;

        /**
         * The picture, its sides divided by `sample`, a power of two; null: damaged.
         *
         * @throws OutOfMemoryError it is too large; asked again for a smaller one
         */
        Image decode(byte[] content, int sample) throws IOException;

        /** The orientation that EXIF says, 1 to 8; 1 where it says none. */
        int orientation(byte[] content) throws IOException;
    }

    private Photo() {}

    /**
     * Reads a photo.
     *
     * @param stream of the file, which stays open
     * @throws IOException it cannot be read or decoded; one line says why
     */
    public static Image read(InputStream stream, Decoder decoder) throws IOException {
        try {
            byte[] content = content(stream);
            int[] size = decoder.size(content);
            if (size[0] < 1 || size[1] < 1) {
                throw new IOException("This file is no picture that the system reads");
            }
            Image image = decoded(content, size, decoder);
            return upright(image, decoder.orientation(content));
        } catch (OutOfMemoryError error) {
            throw new IOException("This picture is larger than the memory");
        } catch (RuntimeException error) { // A decoder may throw any.
            throw new IOException("This picture cannot be read: " + oneLine(error));
        }
    }

    /** The power of two that takes a picture below MAX_PIXELS and MAX_SIDE. */
    static int sample(int width, int height) {
        int sample = 1;
        while ((long) width * height / ((long) sample * sample) > MAX_PIXELS
                || Math.max(width, height) / sample > MAX_SIDE) {
            sample *= 2;
        }
        return sample;
    }

    /** At half the scale again as long as memory does not hold it. */
    private static Image decoded(byte[] content, int[] size, Decoder decoder) throws IOException {
        int sample = sample(size[0], size[1]);
        while (true) {
            try {
                Image image = decoder.decode(content, sample);
                if (image == null) {
                    throw new IOException("This picture is damaged");
                }
                return image;
            } catch (OutOfMemoryError error) {
                sample *= 2;
                if (Math.min(size[0], size[1]) / sample < LEAST_SIDE) {
                    throw error;
                }
            }
        }
    }

    private static byte[] content(InputStream stream) throws IOException {
        ByteArrayOutputStream result = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
            result.write(buffer, 0, count);
            if (result.size() > MAX_BYTES) {
                throw new IOException("This file is too large for a picture");
            }
        }
        return result.toByteArray();
    }

    /**
     * Turns a picture as EXIF says: 2 to 4 are mirrored, turned by 180 degrees, upside down; 5 to
     * 8 lie on a side.
     */
    static Image upright(Image image, int orientation) {
        if (orientation < 2 || orientation > 8) { // 1, or none that there is.
            return image;
        }
        boolean lies = orientation > 4;
        boolean fromRight = orientation == 2 || orientation == 3
                || orientation == 7 || orientation == 8;
        boolean fromBelow = orientation == 3 || orientation == 4
                || orientation == 6 || orientation == 7;
        int width = lies ? image.height : image.width;
        int height = lies ? image.width : image.height;
        byte[] rgb = new byte[image.rgb.length];
        int at = 0;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int column = lies ? y : x;
                int row = lies ? x : y;
                column = fromRight ? image.width - 1 - column : column;
                row = fromBelow ? image.height - 1 - row : row;
                int from = (row * image.width + column) * 3;
                for (int channel = 0; channel < 3; channel++) {
                    rgb[at++] = image.rgb[from + channel];
                }
            }
        }
        return new Image(rgb, width, height);
    }

    static String oneLine(Throwable error) {
        String message = error.getMessage();
        String text = message == null ? error.getClass().getSimpleName() : message;
        return text.trim().replaceAll("\\s+", " ");
    }
}
