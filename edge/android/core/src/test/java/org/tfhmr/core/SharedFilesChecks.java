package org.tfhmr.core;

import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What the share button writes, and what another app may ask for. */
final class SharedFilesChecks {
    private static final List<String> NO_LINES = Collections.<String>emptyList();

    private SharedFilesChecks() {}

    static String written(Vectors vectors) throws Exception {
        File folder = new File(vectors.folder, "cache/share");
        SharedFiles files = new SharedFiles(folder);
        List<File> made = files.write(new Png("PNG"), Arrays.asList("{\"a\": 1}", "{\"b\": \"ü\"}"));
        Checks.equal("the picture", text(made.get(0)), "PNG");
        Checks.equal("the lines", text(made.get(1)), "{\"a\": 1}\n{\"b\": \"ü\"}\n");
        Checks.equal("asked for by name", files.named(made.get(1).getName()), made.get(1));
        Checks.equal("type", SharedFiles.type(made.get(0).getName()), "image/png");
        Checks.equal("type", SharedFiles.type(made.get(1).getName()), "application/x-ndjson");
        made = files.write(new Png("again"), NO_LINES);
        Checks.equal("files where nobody is seen", made.size(), 1);
        Checks.equal("the second picture", text(made.get(0)), "again");
        return Arrays.toString(folder.list());
    }

    /** A picture that cannot be written leaves the one before, and no part. */
    static String failures(Vectors vectors) throws Exception {
        File folder = new File(vectors.folder, "kept");
        SharedFiles files = new SharedFiles(folder);
        files.write(new Png("first"), NO_LINES);
        refused("a picture that is not encoded", "mesh.png cannot be written", files, new Png(null));
        refused("a full disk", "No space left", files, new SharedFiles.Picture() {
            @Override
            public boolean write(OutputStream stream) throws IOException {
                stream.write(1);
                throw new IOException("No space left on device");
            }
        });
        Checks.equal("what is left", Arrays.toString(folder.list()), "[mesh.png]");
        Checks.equal("the picture before", text(new File(folder, "mesh.png")), "first");
        File noFolder = new File(folder, "mesh.png");
        refused("a file for a folder", "no folder", new SharedFiles(noFolder), new Png("x"));
        return "3 failures";
    }

    static String names(Vectors vectors) {
        SharedFiles files = new SharedFiles(vectors.folder);
        String[] names = {
            "..", "../mesh.png", "mesh.png/..", "", ".hidden", "mesh.png.part", "vectors.json", null,
        };
        for (String name : names) {
            try {
                files.named(name);
            } catch (FileNotFoundException error) {
                continue;
            }
            throw new AssertionError(name + " was given");
        }
        return names.length + " names refused";
    }

    private static void refused(
            String name, String words, SharedFiles files, SharedFiles.Picture picture) {
        try {
            files.write(picture, NO_LINES);
        } catch (IOException error) {
            Checks.isTrue(name + ": " + error, error.getMessage().contains(words));
            return;
        }
        throw new AssertionError(name + " was not refused");
    }

    private static String text(File file) throws IOException {
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }

    private static final class Png implements SharedFiles.Picture {
        private final String content;

        Png(String content) {
            this.content = content;
        }

        @Override
        public boolean write(OutputStream stream) throws IOException {
            if (content != null) {
                stream.write(content.getBytes(StandardCharsets.UTF_8));
            }
            return content != null;
        }
    }
}
