package org.tfhmr.core;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** The triangles of NAME.mesh.npz: the coarse ones where the body has some. */
public final class Mesh {
    private static final Pattern HEADER =
            Pattern.compile(
                    "'descr': *'<i4'.*'fortran_order': *False.*"
                            + "'shape': *\\((\\d+),? *(\\d*),?\\)");
    private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    private static final int MAX_BYTES = 100000000;

    /** (F, 3) indices of vertices. */
    public final int[] faces;

    private Mesh(int[] faces) {
        this.faces = faces;
    }

    /**
     * Reads the triangles.
     *
     * @param npz content of the file
     * @param vertices number of the network's vertices
     * @throws IllegalArgumentException it is damaged, or of another body
     */
    public static Mesh parse(byte[] npz, int vertices) {
        Map<String, int[]> arrays;
        try {
            arrays = read(npz);
        } catch (IOException error) {
            throw new IllegalArgumentException(
                    "The .mesh.npz is damaged: " + error.getMessage());
        }
        int[] faces = arrays.get("faces.npy");
        int[] liteFaces = arrays.get("lite_faces.npy");
        int[] liteVertices = arrays.get("lite_vertices.npy");
        if (liteFaces != null && liteVertices != null) {
            faces = new int[liteFaces.length];
            for (int i = 0; i < faces.length; i++) {
                check(liteFaces[i], liteVertices.length);
                faces[i] = liteVertices[liteFaces[i]];
            }
        }
        if (faces == null || faces.length == 0 || faces.length % 3 != 0) {
            throw new IllegalArgumentException("The .mesh.npz holds no triangles");
        }
        for (int index : faces) {
            check(index, vertices);
        }
        return new Mesh(faces);
    }

    private static void check(int index, int length) {
        if (index < 0 || index >= length) {
            throw new IllegalArgumentException("The .mesh.npz is of another body: vertex " + index
                    + " of " + length);
        }
    }

    private static Map<String, int[]> read(byte[] npz) throws IOException {
        Map<String, int[]> arrays = new HashMap<String, int[]>();
        ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(npz));
        for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
            arrays.put(entry.getName(), array(content(zip), entry.getName()));
        }
        if (arrays.isEmpty()) {
            throw new IOException("no archive");
        }
        return arrays;
    }

    private static byte[] content(InputStream stream) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        for (int read = stream.read(buffer); read >= 0; read = stream.read(buffer)) {
            bytes.write(buffer, 0, read);
            if (bytes.size() > MAX_BYTES) {
                throw new IOException("an array of more than " + MAX_BYTES + " bytes");
            }
        }
        return bytes.toByteArray();
    }

    /** The numbers of a .npy of version 1.0 and int32. */
    private static int[] array(byte[] npy, String name) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(npy).order(ByteOrder.LITTLE_ENDIAN);
        byte[] magic = new byte[MAGIC.length];
        if (npy.length < 10) {
            throw new IOException(name + " is cut short");
        }
        bytes.get(magic);
        int headerLength = bytes.getShort() & 0xffff;
        if (!java.util.Arrays.equals(magic, MAGIC) || bytes.remaining() < headerLength) {
            throw new IOException(name + " is no array of NumPy");
        }
        byte[] header = new byte[headerLength];
        bytes.get(header);
        Matcher matcher = HEADER.matcher(new String(header, "US-ASCII"));
        if (!matcher.find() || bytes.remaining() % 4 != 0) {
            throw new IOException(name + " is not of int32 in C order");
        }
        long count = Long.parseLong(matcher.group(1));
        count *= matcher.group(2).isEmpty() ? 1 : Long.parseLong(matcher.group(2));
        if (count * 4 != bytes.remaining()) {
            throw new IOException(name + " is cut short");
        }
        int[] values = new int[(int) count];
        bytes.asIntBuffer().get(values);
        return values;
    }
}
