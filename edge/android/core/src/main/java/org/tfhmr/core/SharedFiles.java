package org.tfhmr.core;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** What another app is given: the picture as PNG, and the lines of the .jsonl. */
public final class SharedFiles {
    static final String PICTURE = "mesh.png";
    static final String LINES = "mesh.jsonl";

    /** Writes the PNG. */
    public interface Picture {
        /** Returns false if it cannot be encoded. */
        boolean write(OutputStream stream) throws IOException;
    }

    private final File folder;

    /** Files of a folder, which is made when they are written. */
    public SharedFiles(File folder) {
        this.folder = folder;
    }

    /**
     * Writes the files; each is whole, or the one before.
     *
     * @param lines none: nobody is in the picture, and it is shared alone
     * @return the files
     * @throws IOException there is no room; one line says so
     */
    public List<File> write(final Picture picture, final List<String> lines) throws IOException {
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException("no folder can be made in the app's cache");
        }
        List<File> files = new ArrayList<File>();
        files.add(replace(PICTURE, picture));
        if (!lines.isEmpty()) {
            files.add(replace(LINES, new Picture() {
                @Override
                public boolean write(OutputStream stream) throws IOException {
                    for (String line : lines) {
                        stream.write((line + "\n").getBytes(StandardCharsets.UTF_8));
                    }
                    return true;
                }
            }));
        }
        return files;
    }

    private File replace(String name, Picture content) throws IOException {
        File file = new File(folder, name);
        File part = new File(folder, name + ".part");
        boolean isWhole = false;
        try {
            FileOutputStream stream = new FileOutputStream(part);
            try {
                isWhole = content.write(stream);
            } finally {
                stream.close();
            }
            isWhole = isWhole && part.renameTo(file);
        } finally {
            part.delete();
        }
        if (!isWhole) {
            throw new IOException(name + " cannot be written");
        }
        return file;
    }

    /**
     * The file that another app asks for by its name.
     *
     * @throws FileNotFoundException it was never shared
     */
    public File named(String name) throws FileNotFoundException {
        if (!PICTURE.equals(name) && !LINES.equals(name)) {
            throw new FileNotFoundException(String.valueOf(name));
        }
        return new File(folder, name);
    }

    /** The MIME type of a file by its name. */
    public static String type(String name) {
        return PICTURE.equals(name) ? "image/png" : "application/x-ndjson";
    }
}
