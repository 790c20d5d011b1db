package org.tfhmr.app;

import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import org.tfhmr.core.ModelFiles;

/** The networks in the app. They are stored uncompressed, so that they are mapped, not read. */
final class ModelAssets {
    static final String PEOPLE = "pose_detection.tflite";
    static final String FACES = "face_detection_full_range_sparse.tflite";
    static final String LANDMARKS = "pose_landmark_full.tflite";

    private final AssetManager assets;

    ModelAssets(AssetManager assets) {
        this.assets = assets;
    }

    /** The exported model; an IllegalArgumentException says in a line what does not fit. */
    ModelFiles model() throws IOException {
        String card = new String(read("model.card.json"), StandardCharsets.UTF_8);
        return new ModelFiles(mapped("model.tflite"), card, read("model.mesh.npz"));
    }

    /** A network of MediaPipe. */
    ByteBuffer mapped(String name) throws IOException {
        AssetFileDescriptor asset = assets.openFd(name);
        FileInputStream stream = asset.createInputStream();
        try {
            return stream.getChannel().map(
                    FileChannel.MapMode.READ_ONLY,
                    asset.getStartOffset(),
                    asset.getDeclaredLength());
        } finally {
            stream.close();
            asset.close();
        }
    }

    private byte[] read(String name) throws IOException {
        InputStream stream = assets.open(name);
        try {
            return bytes(stream);
        } finally {
            stream.close();
        }
    }

    /** All bytes of a stream. */
    static byte[] bytes(InputStream stream) throws IOException {
        ByteArrayOutputStream result = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        for (int count = stream.read(buffer); count >= 0; count = stream.read(buffer)) {
            result.write(buffer, 0, count);
        }
        return result.toByteArray();
    }
}
