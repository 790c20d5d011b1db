package org.tfhmr.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Finds everybody in a picture (tf_hmr/detection/finder.py, windows.py). */
public final class Finder {
    // Side of the windows over the longer side of the picture; people from whom on there may be
    // more, and the size below which others may be too small.
    private static final double[][] CLOSER_LOOKS = {{0.6, 2, 0.7}, {0.4, 3, 0.35}};
    private static final double WINDOW_OVERLAP = 0.5;
    private static final double SAME_PLACE = 0.1;
    private static final double SAME_SIDE = 1.25;
    private static final double LEAST_SIDE = 8;

    private final List<Detector> detectors;
    private final LandmarkNetwork network;

    public Finder(Detector people, Detector faces, LandmarkNetwork network) {
        this.detectors = Arrays.asList(people, faces);
        this.network = network;
    }

    /** The people of a picture, the surest first. */
    public List<Landmarks> find(Image image) {
        Pyramid picture = new Pyramid(image);
        double longer = Math.max(image.width, image.height);
        Square full = new Square(image.width / 2.0, image.height / 2.0, longer, 0);
        List<Landmarks> answers = new ArrayList<Landmarks>();
        look(picture, Collections.singletonList(full), answers);
        List<Landmarks> people = Merging.select(answers);
        for (double[] closer : CLOSER_LOOKS) {
            if (!people.isEmpty() && people.size() < closer[1]) {
                double smallest = Double.POSITIVE_INFINITY;
                for (Landmarks person : people) {
                    smallest = Math.min(smallest, Merging.size(person));
                }
                if (smallest > closer[2] * longer) {
                    break;
                }
            }
            look(picture, windows(image, closer[0] * longer), answers);
            people = Merging.select(answers);
        }
        return people;
    }

    /** Adds answers about squares that detectors see in windows of the picture. */
    private void look(Pyramid picture, List<Square> windows, List<Landmarks> answers) {
        List<Square> looked = new ArrayList<Square>();
        for (Landmarks answer : answers) {
            looked.add(answer.square);
            looked.add(answer.nextSquare);
        }
        for (Detector detector : detectors) {
            for (Square square : detector.candidates(picture, windows)) {
                if (!isPossible(square, picture) || isAlikeAny(square, looked)) {
                    continue;
                }
                Landmarks answer = network.lookTwice(picture, square);
                looked.add(square);
                looked.add(answer.square);
                looked.add(answer.nextSquare);
                answers.add(answer);
            }
        }
    }

    private static List<Square> windows(Image image, double side) {
        List<Square> windows = new ArrayList<Square>();
        for (double y : middles(image.height, side)) {
            for (double x : middles(image.width, side)) {
                windows.add(new Square(x, y, side, 0));
            }
        }
        return windows;
    }

    /** Middles of evenly spread intervals that cover a length. */
    private static double[] middles(int length, double side) {
        if (side >= length) {
            return new double[] {length / 2.0};
        }
        int steps = (int) Math.ceil((length - side) / (side * (1 - WINDOW_OVERLAP)) - 1e-6);
        double[] middles = new double[steps + 1];
        for (int i = 0; i <= steps; i++) {
            middles[i] = side / 2 + (length - side) * i / steps;
        }
        return middles;
    }

    private static boolean isPossible(Square square, Pyramid picture) {
        double largest = 8.0 * Math.max(picture.width(), picture.height());
        return square.isFinite()
                && LEAST_SIDE <= square.side && square.side <= largest
                && -square.side < square.x && square.x < picture.width() + square.side
                && -square.side < square.y && square.y < picture.height() + square.side;
    }

    private static boolean isAlikeAny(Square square, List<Square> references) {
        for (Square reference : references) {
            double distance = Math.hypot(square.x - reference.x, square.y - reference.y);
            double turn = Math.IEEEremainder(square.angle - reference.angle, 2 * Math.PI);
            double ratio = square.side / reference.side;
            if (distance < SAME_PLACE * reference.side
                    && 1 / SAME_SIDE < ratio && ratio < SAME_SIDE
                    && Math.abs(turn) < SAME_PLACE * Math.PI) {
                return true;
            }
        }
        return false;
    }
}
