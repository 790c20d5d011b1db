package org.tfhmr.core;

import java.util.ArrayList;
import java.util.List;

/** A picture and its halves: turned squares of any size are cut from it quickly. */
public final class Pyramid {
    // Above this shrinkage bilinear interpolation would skip pixels.
    private static final double SHARP = 1.25;

    private final List<Image> levels = new ArrayList<Image>();

    public Pyramid(Image image) {
        levels.add(image);
    }

    int width() {
        return levels.get(0).width;
    }

    int height() {
        return levels.get(0).height;
    }

    /** Cuts a square out, antialiased; black outside the picture. */
    Image crop(Square square, int size) {
        // The exponent of a number from 1 on is the whole part of its logarithm to base 2.
        Image image = level(Math.getExponent(Math.max(square.side / size, 1)));
        // Sides of odd length end within a pixel: the factor is not 2 ** level.
        double xFactor = (double) image.width / width();
        double yFactor = (double) image.height / height();
        double shrinkage = square.side / size * Math.max(xFactor, yFactor);
        int blocks = shrinkage <= SHARP ? 1 : (int) Math.ceil(shrinkage);
        double[] m = square.toPicture(size * blocks);
        // From edges to the centres of pixels, on both sides.
        double[] affine = {
            m[0] * xFactor,
            m[1] * xFactor,
            (m[2] + (m[0] + m[1]) / 2) * xFactor - 0.5,
            m[3] * yFactor,
            m[4] * yFactor,
            (m[5] + (m[3] + m[4]) / 2) * yFactor - 0.5,
        };
        Image crop = Sampling.warp(image, affine, size * blocks, false);
        return blocks == 1 ? crop : Sampling.averageBlocks(crop, blocks);
    }

    private Image level(int level) {
        while (levels.size() <= level) {
            Image image = levels.get(levels.size() - 1);
            int width = Math.max(1, image.width / 2);
            int height = Math.max(1, image.height / 2);
            levels.add(Sampling.shrunk(image, width, height));
        }
        return levels.get(level);
    }
}
