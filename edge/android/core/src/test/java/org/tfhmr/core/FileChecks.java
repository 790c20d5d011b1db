package org.tfhmr.core;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.json.JSONArray;
import org.json.JSONObject;

/** The three files of an export, whole and damaged. */
final class FileChecks {
    private static byte[] network;
    private static String card;
    private static byte[] mesh;

    private FileChecks() {}

    private static void read(Vectors vectors, JSONObject entry) throws Exception {
        network = vectors.read(entry.getString("tflite"));
        card = new String(vectors.read(entry.getString("card")), StandardCharsets.UTF_8);
        mesh = vectors.read(entry.getString("mesh"));
    }

    private static JSONObject first(Vectors vectors) throws Exception {
        return vectors.json().getJSONArray("networks").getJSONObject(0);
    }

    static String exports(Vectors vectors) throws Exception {
        JSONArray networks = vectors.json().getJSONArray("networks");
        for (int i = 0; i < networks.length(); i++) {
            JSONObject entry = networks.getJSONObject(i);
            read(vectors, entry);
            ModelFiles files = new ModelFiles(ByteBuffer.wrap(network), card, mesh);
            JSONArray reads = entry.getJSONArray("reads");
            Checks.equal("inputs", files.card.inputs.size(), reads.length());
            for (int k = 0; k < reads.length(); k++) {
                Checks.isTrue("reads", files.card.inputs.contains(reads.getString(k)));
            }
            Checks.isTrue("many triangles", files.mesh.faces.length > 3000);
        }
        return networks.length() + " exports";
    }

    static String damaged(Vectors vectors) throws Exception {
        read(vectors, first(vectors));
        byte[] cut = Arrays.copyOf(network, network.length - 1);
        refused("a cut network", "its card says", cut, card, mesh);
        byte[] altered = network.clone();
        altered[altered.length / 2] ^= 1;
        refused("an altered network", "sha256", altered, card, mesh);
        refused("no card", "card", network, "no json", mesh);
        refused("half a card", "card", network, card.substring(0, card.length() / 2), mesh);
        for (String field : new String[] {"inputs", "crop", "topology", "bytes", "sha256"}) {
            JSONObject json = new JSONObject(card);
            json.remove(field);
            refused("no " + field, field, network, json.toString(), mesh);
        }
        JSONObject json = new JSONObject(card);
        json.getJSONObject("crop").put("scale", 0);
        refused("a crop scale of 0", "crop scale", network, json.toString(), mesh);
        json = new JSONObject(card);
        json.getJSONObject("inputs").put("depth", new JSONObject());
        refused("an input of another kind", "depth", network, json.toString(), mesh);
        json = new JSONObject(card);
        json.getJSONObject("outputs").getJSONObject("vertices").put(
                "shape", new JSONArray(Arrays.asList(1, 500, 3)));
        refused("another body", "another body", network, json.toString(), mesh);
        refused("no mesh", "damaged", network, card, new byte[] {1, 2, 3});
        refused("half a mesh", ".mesh.npz", network, card, Arrays.copyOf(mesh, mesh.length / 2));
        byte[] other = mesh.clone();
        other[other.length - 1] ^= 1; // Of the archive's end, which no reader needs.
        refused("the mesh of another export", "another export", network, card, other);
        return "14 refusals";
    }

    private static void refused(
            String name, String words, final byte[] content, final String text, final byte[] npz) {
        Checks.refused(name, words, new Runnable() {
            @Override
            public void run() {
                new ModelFiles(ByteBuffer.wrap(content), text, npz);
            }
        });
    }
}
