package org.tfhmr.core;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONObject;

/** Tracks of edge/run.py: the same recorded answers give the same lines. */
final class TrackChecks {
    private static final double PX = 1e-3;
    private static final double DRAWN_PX = 1e-2; // The matrix is of float32.
    private static final double METRES = 1e-6;
    private static final double RADIANS = 1e-4;
    // The vectors' numbers are rounded to 6 decimals.
    private static final double ROUNDED = 1e-6;

    private TrackChecks() {}

    static String tracks(Vectors vectors) throws Exception {
        JSONArray tracks = vectors.json().getJSONArray("tracks");
        Worst worst = new Worst(1e-3);
        int frames = 0;
        List<String> lines = new ArrayList<String>();
        for (int i = 0; i < tracks.length(); i++) {
            frames += new Replay(vectors, tracks.getJSONObject(i), worst, lines).run();
        }
        Checks.isTrue("there are frames", frames > 0);
        String path = System.getProperty("lines");
        if (path != null) { // For a test that reads them as a user does.
            Files.write(new File(path).toPath(), lines, StandardCharsets.UTF_8);
        }
        return tracks.length() + " tracks, " + frames + " frames, " + worst.says();
    }

    /** One track, with an estimator that answers what was recorded. */
    private static final class Replay implements Estimator {
        private final Vectors vectors;
        private final JSONObject entry;
        private final JSONObject model;
        private final Worst worst;
        private final List<String> lines;
        private JSONObject frame;

        Replay(Vectors vectors, JSONObject entry, Worst worst, List<String> lines)
                throws Exception {
            this.vectors = vectors;
            this.entry = entry;
            this.model = entry.getJSONObject("model");
            this.worst = worst;
            this.lines = lines;
        }

        int run() throws Exception {
            boolean isWhole = entry.isNull("start_box");
            double[] box = isWhole ? null : Vectors.numbers(entry.getJSONArray("start_box"));
            Track track = new Track(box, entry.getBoolean("smooth"));
            JSONArray frames = entry.getJSONArray("frames");
            for (int i = 0; i < frames.length(); i++) {
                frame = frames.getJSONObject(i);
                String name = entry.getString("name") + " " + i;
                double seconds = frame.getDouble("time_s");
                Image image = vectors.image(frame.getJSONObject("image"));
                TrackRecord record = track.update(this, image, seconds);
                compare(name, record, frame.getJSONObject("record"));
                boolean hasBox = !frame.isNull("next_box");
                Checks.equal(name + " has a next box", track.box() != null, hasBox);
                if (hasBox) {
                    double[] next = Vectors.numbers(frame.getJSONArray("next_box"));
                    worst.compare("next_box_px", track.box(), next, PX);
                }
                lines.add(Line.of(record, i, seconds, 0, model.getString("topology"), 1.25));
            }
            return frames.length();
        }

        private void compare(String name, TrackRecord record, JSONObject expected)
                throws Exception {
            Checks.equal(name, record.state, expected.getString("state"));
            Checks.equal(name + "'s reason", record.reason, expected.optString("reason", ""));
            worst.compare("box_px", record.boxPx, list(expected, "box_px"), PX);
            worst.compare("crop_box_px", record.cropBoxPx, list(expected, "crop_box_px"), PX);
            if (record.body == null) {
                Checks.isTrue(name + " has no body", !expected.has("joints_m"));
                return;
            }
            TrackRecord.Body body = record.body;
            worst.compareRotations(
                    "pose_rotvec", body.poseRotvec, list(expected, "pose_rotvec"), RADIANS);
            worst.compare("betas", body.betas, list(expected, "betas"), ROUNDED);
            worst.compare("joints_m", body.joints, list(expected, "joints_m"), METRES);
            worst.compare("keypoints_px", body.keypointsPx, list(expected, "keypoints_px"), PX);
            double[] focal = {expected.getDouble("focal_px")};
            worst.compare("focal_px", new double[] {body.focalPx}, focal, ROUNDED);
            double[] translation = list(expected, "translation_m");
            // It is the focal length over a number of 7 digits: as many are right.
            double bar = Math.max(METRES, 3e-6 * translation[2]);
            worst.compare("translation_m", body.translation, translation, bar);
            JSONObject mesh = frame.getJSONObject("mesh");
            double[] vertices = vectors.doubles(mesh.getJSONObject("vertices"));
            worst.compare("vertices_m", body.vertices, vertices, METRES);
            double[] pixels = vectors.doubles(mesh.getJSONObject("pixels"));
            worst.compare("vertices_px", body.verticesPx, pixels, PX);
            worst.compare("drawn_px", drawn(body, record), pixels, DRAWN_PX);
        }

        /** Where OpenGL draws the vertices: clip space is the frame from edge to edge. */
        private static double[] drawn(TrackRecord.Body body, TrackRecord record) {
            float[] m = Drawing.toClip(body, record.width, record.height);
            double[] pixels = new double[body.verticesPx.length];
            for (int i = 0; i < pixels.length / 2; i++) {
                double x = m[0] * body.vertices[3 * i] + m[12];
                double y = m[5] * body.vertices[3 * i + 1] + m[13];
                pixels[2 * i] = (x + 1) / 2 * record.width - 0.5;
                pixels[2 * i + 1] = (1 - y) / 2 * record.height - 0.5;
            }
            return pixels;
        }

        private static double[] list(JSONObject record, String name) throws Exception {
            return Vectors.numbers(record.getJSONArray(name));
        }

        @Override
        public int size() {
            return model.optInt("size");
        }

        @Override
        public double cropScale() {
            return model.optDouble("crop_scale");
        }

        @Override
        public double focalPx(int width, int height) {
            Card card = null; // The rule of a network that reads no intrinsics needs none.
            return new LandmarkEstimator(null, null, card).focalPx(width, height);
        }

        @Override
        public Answer answer(Image image, double[] square, Image crop) {
            try {
                worst.compare(
                        "square_px", square, Vectors.numbers(frame.getJSONArray("square")), PX);
                worst.comparePixels(crop, vectors.image(frame.getJSONObject("crop")));
                List<Tensor> outputs = new ArrayList<Tensor>();
                JSONObject entries = frame.getJSONObject("outputs");
                for (String name : Answer.NAMES) {
                    JSONObject array = entries.getJSONObject(name);
                    outputs.add(new Tensor(name, vectors.shape(array), vectors.floats(array)));
                }
                return new Answer(outputs);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }
    }

    /** A tetrahedron's normals point outwards, as long as its faces are large. */
    static String normals(Vectors vectors) {
        double[] vertices = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
        int[] faces = {0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3};
        float[] normals = Drawing.normals(vertices, faces);
        double[] expected = {-1, -1, -1, 1, 0, 0, 0, 1, 0, 0, 0, 1};
        for (int i = 0; i < expected.length; i++) {
            Checks.isTrue(i + " is " + normals[i], Math.abs(normals[i] - expected[i]) < 1e-6);
        }
        return "4 vertices";
    }
}
