package org.tfhmr.core;

/** A picture: RGB bytes, rows from the top. */
public final class Image {
    public final byte[] rgb;
    public final int width;
    public final int height;

    /**
     * Takes the bytes without a copy.
     *
     * @throws IllegalArgumentException their number is not width * height * 3
     */
    public Image(byte[] rgb, int width, int height) {
        if (width < 1 || height < 1 || rgb.length != (long) width * height * 3) {
            throw new IllegalArgumentException(
                    rgb.length + " bytes are no RGB picture of " + width + " x " + height);
        }
        this.rgb = rgb;
        this.width = width;
        this.height = height;
    }
}
