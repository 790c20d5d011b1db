package org.tfhmr.core;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/** Exported files on the JVM: the answers of ai-edge-litert, and a person followed live. */
final class InferenceChecks {
    private static final double FLOAT = 1e-5;
    private static final double MM = 0.5;
    // Runtimes round the sums of int8 in ways of their own; so do phones'.
    private static final double OTHER_INT8_MM = 4;
    private static final double PX = 2;

    private InferenceChecks() {}

    /** What runs a .tflite on a JVM. */
    interface Runtime {
        Network open(String path);

        /** Whether it is the one whose answers are expected, and not only of its kind. */
        boolean isPythons();
    }

    private static Runtime runtime() throws Exception {
        Class<?> type = Class.forName(System.getProperty("runtime"));
        return (Runtime) type.getDeclaredConstructor().newInstance();
    }

    static String networks(Vectors vectors) throws Exception {
        JSONArray networks = vectors.json().getJSONArray("networks");
        StringBuilder text = new StringBuilder();
        Runtime runtime = runtime();
        for (int i = 0; i < networks.length(); i++) {
            JSONObject entry = networks.getJSONObject(i);
            String path = new File(vectors.folder, entry.getString("tflite")).getPath();
            text.append(entry.getString("name")).append(' ');
            text.append(people(vectors, entry, runtime, path)).append(", ");
        }
        Checks.isTrue("there are networks", networks.length() > 0);
        return text.toString();
    }

    private static String people(
            Vectors vectors, JSONObject entry, Runtime runtime, String path) throws Exception {
        Network network = runtime.open(path);
        String text = new String(vectors.read(entry.getString("card")), StandardCharsets.UTF_8);
        String precision = Card.parse(text).precision;
        boolean isFloat = precision.startsWith("float");
        JSONArray people = entry.getJSONArray("people");
        double worst = 0;
        double meanMm = 0;
        for (int n = 0; n < people.length(); n++) {
            JSONObject person = people.getJSONObject(n);
            Answer answer =
                    new Answer(network.run(inputs(vectors, person.getJSONObject("inputs"))));
            Answer expected = new Answer(outputs(vectors, person.getJSONObject("outputs")));
            meanMm += Gate.differenceMm(answer, expected) / people.length();
            worst = Math.max(worst, difference(answer.vertices, expected.vertices));
            worst = Math.max(worst, difference(answer.joints, expected.joints));
            worst = Math.max(worst, difference(answer.keypoints, expected.keypoints));
            worst = Math.max(worst, difference(answer.rotmats, expected.rotmats));
            worst = Math.max(worst, difference(answer.betas, expected.betas));
            worst = Math.max(worst, difference(answer.camera, expected.camera));
        }
        String measured = String.format(
                Locale.ROOT, "(%s) largest %.2g, vertices %.2g mm", precision, worst, meanMm);
        boolean isOther = precision.equals("int8") && !runtime.isPythons();
        double mm = isOther ? OTHER_INT8_MM : MM;
        Checks.isTrue(
                entry.getString("name") + " " + measured,
                isFloat ? worst <= FLOAT : meanMm <= mm);
        return measured;
    }

    private static double difference(float[] values, float[] expected) {
        Checks.equal("length", values.length, expected.length);
        double worst = 0;
        for (int i = 0; i < values.length; i++) {
            double difference = Math.abs(values[i] - expected[i]);
            worst = difference <= worst ? worst : difference; // NaN stays.
        }
        return worst;
    }

    private static Map<String, Object> inputs(Vectors vectors, JSONObject entries)
            throws Exception {
        Map<String, Object> inputs = new HashMap<String, Object>();
        for (Iterator<String> names = entries.keys(); names.hasNext(); ) {
            String name = names.next();
            JSONObject entry = entries.getJSONObject(name);
            boolean isBytes = entry.getString("dtype").equals("uint8");
            inputs.put(
                    name,
                    isBytes ? vectors.read(entry.getString("file")) : vectors.floats(entry));
        }
        return inputs;
    }

    private static List<Tensor> outputs(Vectors vectors, JSONObject entries) throws Exception {
        List<Tensor> outputs = new java.util.ArrayList<Tensor>();
        for (String name : Answer.NAMES) {
            JSONObject entry = entries.getJSONObject(name);
            outputs.add(new Tensor(name, vectors.shape(entry), vectors.floats(entry)));
        }
        return outputs;
    }

    /**
     * The walker of the tracks, by BlazePose and the lifter that ships.
     *
     * <p>Runtimes and processors round otherwise. Squares are rounded to a grid, so that the next
     * frame's pixels are the same ones all the same: each keypoint is held.
     */
    static String live(Vectors vectors) throws Exception {
        String path = System.getProperty("lifter");
        byte[] text = Files.readAllBytes(
                new File(path.replace(".tflite", ".card.json")).toPath());
        Card card = Card.parse(new String(text, StandardCharsets.UTF_8));
        Runtime runtime = runtime();
        Network lifter = runtime.open(path);
        String blazePose = System.getProperty("landmarks");
        Estimator estimator = new LandmarkEstimator(
                new LandmarkNetwork(runtime.open(blazePose)), lifter, card);
        Vectors tracks = new Vectors(System.getProperty("tracks"));
        JSONObject walk = null;
        JSONArray all = tracks.json().getJSONArray("tracks");
        for (int i = 0; i < all.length(); i++) {
            boolean isWalk = all.getJSONObject(i).getString("name").equals("walk");
            walk = isWalk ? all.getJSONObject(i) : walk;
        }
        Track track = new Track(Vectors.numbers(walk.getJSONArray("start_box")), true);
        JSONArray frames = walk.getJSONArray("frames");
        double worst = 0;
        double largest = 0;
        for (int i = 0; i < frames.length(); i++) {
            JSONObject frame = frames.getJSONObject(i);
            Image image = tracks.image(frame.getJSONObject("image"));
            TrackRecord record = track.update(estimator, image, frame.getDouble("time_s"));
            JSONObject expected = frame.getJSONObject("record");
            Checks.equal(i + "'s state", record.state, expected.getString("state"));
            double[] keypoints = Vectors.numbers(expected.getJSONArray("keypoints_px"));
            double sum = 0;
            for (int k = 0; k < keypoints.length; k += 2) {
                double distance = Math.hypot(
                        record.body.keypointsPx[k] - keypoints[k],
                        record.body.keypointsPx[k + 1] - keypoints[k + 1]);
                sum += distance;
                largest = Math.max(largest, distance);
            }
            double mean = sum / (keypoints.length / 2);
            worst = Math.max(worst, mean);
            Checks.isTrue(i + "'s keypoints differ by " + largest + " px", largest <= PX);
        }
        Checks.isTrue("there are 30 frames", frames.length() == 30);
        return String.format(
                Locale.ROOT,
                "30 frames, keypoints %.2g px in the mean of the worst frame, one %.2g px",
                worst,
                largest);
    }
}
