package org.tfhmr.core;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONObject;

/** The finder of tf_hmr/detection: the same calls of the networks give the same people. */
final class FinderChecks {
    private static final double PX = 1e-3;
    private static final double RADIANS = 1e-6;
    private static final double METRES = 1e-6;
    private static final double PROBABILITY = 1e-5;

    // One picture of smooth colours, cut at 2 / 3, is full of halves that round either way.
    private static final double SHARE_OF_BYTES = 2e-3;

    private FinderChecks() {}

    static String people(Vectors vectors) throws Exception {
        JSONArray photos = vectors.json().getJSONArray("photos");
        Worst worst = new Worst(SHARE_OF_BYTES);
        int people = 0;
        int calls = 0;
        for (int i = 0; i < photos.length(); i++) {
            JSONObject photo = photos.getJSONObject(i);
            Calls recorded = new Calls(vectors, photo.getJSONArray("calls"), worst);
            LandmarkNetwork landmarks = new LandmarkNetwork(recorded.network("landmarks"));
            Finder finder = new Finder(
                    Detector.ofPeople(recorded.network("people")),
                    Detector.ofFaces(recorded.network("faces")),
                    landmarks);
            List<Landmarks> answers = finder.find(vectors.image(photo.getJSONObject("image")));
            Checks.equal(photo.getString("name") + "'s calls", recorded.count, recorded.total());
            JSONArray expected = photo.getJSONArray("people");
            Checks.equal(photo.getString("name") + "'s people", answers.size(), expected.length());
            for (int n = 0; n < answers.size(); n++) {
                compare(vectors, answers.get(n), expected.getJSONObject(n), worst);
            }
            people += answers.size();
            calls += recorded.count;
        }
        Checks.isTrue("there are people", people > 0);
        return people + " people, " + calls + " calls, " + worst.says();
    }

    private static void compare(
            Vectors vectors, Landmarks answer, JSONObject expected, Worst worst)
            throws Exception {
        double[] presence = {answer.presence, Merging.quality(answer)};
        double[] probabilities = {
            expected.getDouble("presence"), expected.getDouble("quality")
        };
        worst.compare("presence, quality", presence, probabilities, PROBABILITY);
        compareSquares(answer.square, expected.getJSONArray("square"), worst);
        compareSquares(answer.nextSquare, expected.getJSONArray("next_square"), worst);
        comparePoints(
                "points", answer.points, vectors.floats(expected.getJSONObject("points")), worst);
        Checks.equal("has a box", answer.box() != null, expected.has("box"));
        if (answer.box() != null) {
            worst.compare(
                    "box_px", answer.box(), Vectors.numbers(expected.getJSONArray("box")), PX);
            double[] square = Vectors.numbers(expected.getJSONArray("crop_box"));
            worst.compare("crop_box_px", Crop.square(answer.box(), 1.2), square, PX);
            float[] input = vectors.floats(expected.getJSONObject("lifter_input"));
            comparePoints("lifter_input", answer.inCrop(square), input, worst);
        }
    }

    private static void compareSquares(Square square, JSONArray expected, Worst worst)
            throws Exception {
        double[] numbers = Vectors.numbers(expected);
        double[] angle = {Math.IEEEremainder(square.angle - numbers[3], 2 * Math.PI)};
        worst.compare("angle", angle, new double[1], RADIANS);
        double[] values = {square.x, square.y, square.side};
        worst.compare("square_px", values, java.util.Arrays.copyOf(numbers, 3), PX);
    }

    private static void comparePoints(String name, float[] points, float[] expected, Worst worst) {
        for (int column = 0; column < Landmarks.COLUMNS; column++) {
            double[] values = new double[Landmarks.COUNT];
            double[] numbers = new double[Landmarks.COUNT];
            for (int row = 0; row < Landmarks.COUNT; row++) {
                values[row] = points[row * Landmarks.COLUMNS + column];
                numbers[row] = expected[row * Landmarks.COLUMNS + column];
            }
            double bar = column < 2 ? PX : column < Landmarks.VISIBLE ? METRES : PROBABILITY;
            worst.compare(name + " " + column, values, numbers, bar);
        }
    }

    /** Networks that give the answers that were recorded, if they are called in that order. */
    private static final class Calls {
        private final Vectors vectors;
        private final JSONArray calls;
        private final Worst worst;
        int count;

        Calls(Vectors vectors, JSONArray calls, Worst worst) {
            this.vectors = vectors;
            this.calls = calls;
            this.worst = worst;
        }

        int total() {
            return calls.length();
        }

        Network network(final String name) {
            return new Network() {
                @Override
                public List<Tensor> run(Map<String, Object> inputs) {
                    try {
                        return answer(name, (float[]) inputs.get("image"));
                    } catch (Exception error) {
                        throw new IllegalStateException(error);
                    }
                }
            };
        }

        private List<Tensor> answer(String name, float[] input) throws Exception {
            Checks.isTrue("more calls than Python's", count < calls.length());
            JSONObject call = calls.getJSONObject(count++);
            Checks.equal("network of call " + count, name, call.getString("network"));
            Image expected = vectors.image(call.getJSONObject("crop"));
            worst.comparePixels(levels(input, expected.width, name), expected);
            List<Tensor> outputs = new ArrayList<Tensor>();
            JSONArray entries = call.getJSONArray("outputs");
            for (int i = 0; i < entries.length(); i++) {
                JSONObject entry = entries.getJSONObject(i);
                outputs.add(new Tensor("", vectors.shape(entry), vectors.floats(entry)));
            }
            return outputs;
        }

        /** The picture that a network was given. */
        private static Image levels(float[] input, int size, String name) {
            byte[] rgb = new byte[input.length];
            boolean isLandmarks = name.equals("landmarks");
            for (int i = 0; i < rgb.length; i++) {
                float level = isLandmarks ? input[i] * 255 : (input[i] + 1) * 127.5f;
                rgb[i] = (byte) Math.round(level);
            }
            return new Image(rgb, size, size);
        }
    }
}
