package org.tfhmr.core;

import java.util.Locale;

/** Writes a TrackRecord as edge/run.py does: a line of its .jsonl. */
public final class Line {
    private static final double DECIMALS = 1e6;

    private final StringBuilder text = new StringBuilder("{");

    private Line() {}

    /**
     * The line, without its end.
     *
     * @param record what the track says
     * @param frame number of the frame
     * @param seconds of the frame
     * @param track number of the person
     * @param topology of the body, from the card
     * @param drawMs milliseconds of the drawing
     */
    public static String of(
            TrackRecord record, int frame, double seconds, int track, String topology, double drawMs) {
        Line line = new Line();
        line.add("frame", String.valueOf(frame)).add("time_s", number(seconds));
        line.add("state", quoted(record.state));
        line.add("box_px", list(record.boxPx)).add("crop_box_px", list(record.cropBoxPx));
        line.add("image_size_px", "[" + record.width + ", " + record.height + "]");
        if (record.body == null) {
            line.add("reason", quoted(record.reason));
        } else {
            line.addBody(record.body, record.width, record.height);
        }
        line.add("ms", "{\"crop\": " + ms(record.ms[0]) + ", \"model\": " + ms(record.ms[1])
                + ", \"smooth\": " + ms(record.ms[2]) + ", \"draw\": " + ms(drawMs) + "}");
        line.add("track", String.valueOf(track)).add("topology", quoted(topology));
        return line.text.append('}').toString();
    }

    private void addBody(TrackRecord.Body body, int width, int height) {
        add("pose_rotvec", rows(body.poseRotvec, 3));
        add("betas", list(rounded(body.betas)));
        add("joints_m", rows(body.joints, 3));
        add("keypoints_px", rows(body.keypointsPx, 2));
        add("focal_px", number(Math.rint(body.focalPx * DECIMALS) / DECIMALS));
        add("principal_point_px", list(new double[] {width / 2.0 - 0.5, height / 2.0 - 0.5}));
        add("translation_m", list(rounded(body.translation)));
    }

    private Line add(String key, String value) {
        text.append(text.length() > 1 ? ", " : "").append(quoted(key)).append(": ").append(value);
        return this;
    }

    private static double[] rounded(double[] values) {
        double[] result = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            result[i] = Math.rint(values[i] * DECIMALS) / DECIMALS;
        }
        return result;
    }

    private static String rows(double[] values, int columns) {
        double[] all = rounded(values);
        StringBuilder list = new StringBuilder("[");
        for (int row = 0; row < all.length; row += columns) {
            list.append(row > 0 ? ", " : "");
            list.append(list(java.util.Arrays.copyOfRange(all, row, row + columns)));
        }
        return list.append(']').toString();
    }

    private static String list(double[] values) {
        StringBuilder list = new StringBuilder("[");
        for (int i = 0; i < values.length; i++) {
            list.append(i > 0 ? ", " : "").append(number(values[i]));
        }
        return list.append(']').toString();
    }

    private static String number(double value) {
        return Double.toString(value); // JSON reads 1.0E-6, too.
    }

    private static String ms(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    private static String quoted(String text) {
        StringBuilder result = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            if (character == '"' || character == '\\') {
                result.append('\\').append(character);
            } else if (character < ' ' || character > '~') {
                result.append(String.format(Locale.ROOT, "\\u%04x", (int) character));
            } else {
                result.append(character);
            }
        }
        return result.append('"').toString();
    }
}
