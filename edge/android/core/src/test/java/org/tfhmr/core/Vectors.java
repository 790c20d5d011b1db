package org.tfhmr.core;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.json.JSONArray;
import org.json.JSONObject;

/** A folder of vectors.json and raw arrays: tests/support/phone_vectors. */
final class Vectors {
    final File folder;

    Vectors(String folder) {
        this.folder = new File(folder);
    }

    JSONObject json() throws Exception {
        return new JSONObject(new String(read("vectors.json"), StandardCharsets.UTF_8));
    }

    byte[] read(String name) {
        try {
            return Files.readAllBytes(new File(folder, name).toPath());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private ByteBuffer buffer(JSONObject entry) throws Exception {
        return ByteBuffer.wrap(read(entry.getString("file"))).order(ByteOrder.LITTLE_ENDIAN);
    }

    Image image(JSONObject entry) throws Exception {
        JSONArray shape = entry.getJSONArray("shape");
        return new Image(read(entry.getString("file")), shape.getInt(1), shape.getInt(0));
    }

    float[] floats(JSONObject entry) throws Exception {
        Checks.equal("dtype", entry.getString("dtype"), "float32");
        ByteBuffer bytes = buffer(entry);
        float[] values = new float[bytes.remaining() / 4];
        bytes.asFloatBuffer().get(values);
        return values;
    }

    double[] doubles(JSONObject entry) throws Exception {
        Checks.equal("dtype", entry.getString("dtype"), "float64");
        ByteBuffer bytes = buffer(entry);
        double[] values = new double[bytes.remaining() / 8];
        bytes.asDoubleBuffer().get(values);
        return values;
    }

    int[] shape(JSONObject entry) throws Exception {
        JSONArray shape = entry.getJSONArray("shape");
        int[] sides = new int[shape.length()];
        for (int i = 0; i < sides.length; i++) {
            sides[i] = shape.getInt(i);
        }
        return sides;
    }

    /** Numbers of nested lists, flat. */
    static double[] numbers(JSONArray list) throws Exception {
        if (list.length() > 0 && list.get(0) instanceof JSONArray) {
            int columns = list.getJSONArray(0).length();
            double[] values = new double[list.length() * columns];
            for (int row = 0; row < list.length(); row++) {
                double[] numbers = numbers(list.getJSONArray(row));
                System.arraycopy(numbers, 0, values, row * columns, columns);
            }
            return values;
        }
        double[] values = new double[list.length()];
        for (int i = 0; i < values.length; i++) {
            values[i] = list.getDouble(i);
        }
        return values;
    }
}
