package org.tfhmr.core;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Set;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What NAME.card.json of edge.export says of a network. */
public final class Card {
    /** Inputs that an app fills. */
    static final Set<String> KNOWN_INPUTS =
            Collections.unmodifiableSet(
                    new HashSet<String>(
                            Arrays.asList(
                                    "image", "box", "image_size", "intrinsics", "landmarks")));
    // The crop of a network without pixels: where its landmarks lie.
    private static final int SIZE_WITHOUT_IMAGE = 224;
    private static final int MAX_WORDS = 80;

    public final Set<String> inputs;
    /** Side of the crop in pixels. */
    public final int size;
    public final double cropScale;
    public final String topology;
    public final String method;
    public final String precision;
    /** Length of the .tflite. */
    public final long bytes;
    /** Of the .tflite, in hexadecimal digits. */
    public final String sha256;
    /** Of the .mesh.npz, in hexadecimal digits. */
    public final String meshSha256;
    /** Length of the output "vertices". */
    public final int vertices;

    private Card(JSONObject json) throws JSONException {
        JSONObject inputShapes = json.getJSONObject("inputs");
        Set<String> names = new HashSet<String>();
        for (Iterator<String> keys = inputShapes.keys(); keys.hasNext(); ) {
            names.add(keys.next());
        }
        inputs = Collections.unmodifiableSet(names);
        size = inputShapes.has("image") ? shape(inputShapes, "image").getInt(1)
                : SIZE_WITHOUT_IMAGE;
        cropScale = json.getJSONObject("crop").getDouble("scale");
        topology = json.getString("topology");
        method = json.getString("method");
        precision = json.getString("precision");
        bytes = json.getLong("bytes");
        sha256 = json.getString("sha256");
        meshSha256 = json.getJSONObject("mesh").getString("sha256");
        vertices = shape(json.getJSONObject("outputs"), "vertices").getInt(1);
    }

    private static JSONArray shape(JSONObject tensors, String name) throws JSONException {
        return tensors.getJSONObject(name).getJSONArray("shape");
    }

    /**
     * Reads a card.
     *
     * @throws IllegalArgumentException it is damaged, lacks a field or wants what no app has
     */
    public static Card parse(String text) {
        Card card;
        try {
            card = new Card(new JSONObject(text));
        } catch (JSONException error) {
            // JSON's own words may quote all of the card.
            String words = String.valueOf(error.getMessage()).split("\n")[0];
            throw new IllegalArgumentException("The card of the model is damaged or old: "
                    + words.substring(0, Math.min(words.length(), MAX_WORDS)));
        }
        if (!KNOWN_INPUTS.containsAll(card.inputs) || card.inputs.isEmpty()) {
            throw new IllegalArgumentException("The model reads " + card.inputs
                    + "; an app fills " + KNOWN_INPUTS);
        }
        boolean isScale = card.cropScale > 0 && card.cropScale < Double.POSITIVE_INFINITY;
        if (card.size < 1 || !isScale || card.vertices < 1) {
            throw new IllegalArgumentException(
                    "The card's image shape, crop scale or number of vertices is not over 0");
        }
        return card;
    }

    /** Whether the network reads BlazePose's landmarks. */
    public boolean readsLandmarks() {
        return inputs.contains("landmarks");
    }
}
