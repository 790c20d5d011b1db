package org.tfhmr.core;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;

/** The three files of edge.export, checked against each other before a runtime reads one. */
public final class ModelFiles {
    public final ByteBuffer network;
    public final Card card;
    public final Mesh mesh;

    /**
     * Checks the files.
     *
     * @param network content of NAME.tflite
     * @param card content of NAME.card.json
     * @param mesh content of NAME.mesh.npz
     * @throws IllegalArgumentException they do not fit each other; one line says why
     */
    public ModelFiles(ByteBuffer network, String card, byte[] mesh) {
        this.network = network;
        this.card = Card.parse(card);
        if (network.limit() != this.card.bytes) { // A runtime would end the process.
            throw new IllegalArgumentException("The .tflite has " + network.limit()
                    + " bytes, its card says " + this.card.bytes);
        }
        if (!sha256(network).equals(this.card.sha256)) {
            throw new IllegalArgumentException(
                    "The .tflite is damaged: its sha256 is not that of its card");
        }
        this.mesh = Mesh.parse(mesh, this.card.vertices);
        if (!sha256(ByteBuffer.wrap(mesh)).equals(this.card.meshSha256)) {
            throw new IllegalArgumentException(
                    "The .mesh.npz is of another export: its sha256 is not that of the card");
        }
    }

    private static String sha256(ByteBuffer content) {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) { // Every Java has it.
            throw new IllegalStateException(error);
        }
        ByteBuffer bytes = content.duplicate();
        bytes.position(0);
        digest.update(bytes);
        StringBuilder text = new StringBuilder();
        for (byte value : digest.digest()) {
            text.append(String.format(Locale.ROOT, "%02x", value & 255));
        }
        return text.toString();
    }
}
