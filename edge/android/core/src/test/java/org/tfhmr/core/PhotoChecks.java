package org.tfhmr.core;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.json.JSONArray;
import org.json.JSONObject;

/** Photos of all orientations, larger than memory, and damaged ones. */
final class PhotoChecks {
    private PhotoChecks() {}

    /** EXIF's eight orientations, and numbers that are none, as OpenCV turns them. */
    static String orientations(Vectors vectors) throws Exception {
        JSONArray photos = vectors.json().getJSONArray("orientations");
        for (int i = 0; i < photos.length(); i++) {
            JSONObject photo = photos.getJSONObject(i);
            int orientation = photo.getInt("orientation");
            Image stored = vectors.image(photo.getJSONObject("stored"));
            Image expected = vectors.image(photo.getJSONObject("upright"));
            Image upright = Photo.upright(stored, orientation);
            Checks.equal(orientation + "'s width", upright.width, expected.width);
            Checks.isTrue(
                    orientation + " is turned otherwise", Arrays.equals(upright.rgb, expected.rgb));
        }
        return photos.length() + " orientations";
    }

    /** A file's picture by a decoder that everybody has: whole, and at a lower scale. */
    static String files(Vectors vectors) throws Exception {
        JSONObject files = vectors.json().getJSONObject("files");
        byte[] small = vectors.read(files.getString("small"));
        Image image = Photo.read(new ByteArrayInputStream(small), new Desktop());
        Image expected = vectors.image(files.getJSONObject("pixels"));
        Checks.isTrue("the pixels", Arrays.equals(image.rgb, expected.rgb));
        byte[] large = vectors.read(files.getString("large"));
        image = Photo.read(new ByteArrayInputStream(large), new Desktop());
        Checks.equal("the large one's width", image.width, files.getInt("width") / 2);
        Checks.equal("the large one's height", image.height, files.getInt("height") / 2);
        refused("half a file", "", new ByteArrayInputStream(
                Arrays.copyOf(small, small.length / 2)), new Desktop());
        refused("no picture", "no picture that the system reads", stream(100), new Desktop());
        refused("an empty file", "no picture that the system reads", stream(0), new Desktop());
        return "2 pictures, 3 refusals";
    }

    static String samples(Vectors vectors) {
        int[][] cases = {
            {640, 480, 1}, {2000, 2000, 1}, {2001, 2000, 2}, {4000, 3000, 2}, {8000, 6000, 4},
            {12000, 9000, 8}, {1, 1, 1}, {4096, 10, 1}, {20000, 100, 8}, {100000, 100000, 64},
        };
        for (int[] one : cases) {
            Checks.equal(one[0] + " x " + one[1], Photo.sample(one[0], one[1]), one[2]);
        }
        return cases.length + " sizes";
    }

    /** Memory that holds fewer pixels than a picture's: it is read at a lower scale. */
    static String memory(Vectors vectors) throws Exception {
        Memory decoder = new Memory(4000, 3000, 400000);
        Image image = Photo.read(stream(10), decoder);
        Checks.equal("the scales", decoder.samples.toString(), "[2, 4, 8]");
        Checks.equal("the width", image.width, 500);
        Memory none = new Memory(4000, 3000, 0);
        refused("no memory at all", "larger than the memory", stream(10), none);
        Checks.isTrue("the scales end: " + none.samples, none.samples.size() < 10);
        return "scales " + decoder.samples;
    }

    static String refusals(Vectors vectors) {
        final IOException gone = new IOException("the card was taken out");
        InputStream broken = new InputStream() {
            @Override
            public int read() throws IOException {
                throw gone;
            }
        };
        refused("a stream that breaks", gone.getMessage(), broken, new Memory(9, 9, 99));
        InputStream endless = new InputStream() {
            @Override
            public int read() {
                return 7;
            }

            @Override
            public int read(byte[] bytes, int start, int count) {
                return count;
            }
        };
        refused("an endless file", "too large", endless, new Memory(9, 9, 99));
        refused("a damaged picture", "damaged", stream(10), new Memory(9, 9, 99) {
            @Override
            public Image decode(byte[] content, int sample) {
                return null;
            }
        });
        refused("a decoder that throws", "cannot be read: a\\d", stream(10), new Memory(9, 9, 99) {
            @Override
            public Image decode(byte[] content, int sample) {
                throw new IllegalStateException("a\\d");
            }
        });
        return "4 refusals";
    }

    private static InputStream stream(int length) {
        return new ByteArrayInputStream(new byte[length]);
    }

    private static void refused(
            String name, String words, InputStream stream, Photo.Decoder decoder) {
        try {
            Photo.read(stream, decoder);
        } catch (IOException error) {
            String says = String.valueOf(error.getMessage());
            Checks.isTrue(name + " says: " + says, says.contains(words) && !says.contains("\n"));
            return;
        }
        throw new AssertionError(name + " was not refused");
    }

    /** Holds no picture of more pixels than some. */
    private static class Memory implements Photo.Decoder {
        final List<Integer> samples = new ArrayList<Integer>();
        private final int width;
        private final int height;
        private final int pixels;

        Memory(int width, int height, int pixels) {
            this.width = width;
            this.height = height;
            this.pixels = pixels;
        }

        @Override
        public int[] size(byte[] content) {
            return new int[] {width, height};
        }

        @Override
        public Image decode(byte[] content, int sample) {
            samples.add(sample);
            int w = width / sample;
            int h = height / sample;
            if (w * h > pixels) {
                throw new OutOfMemoryError();
            }
            return new Image(new byte[w * h * 3], w, h);
        }

        @Override
        public int orientation(byte[] content) {
            return 1;
        }
    }

    /** Java's own decoder. */
    private static final class Desktop implements Photo.Decoder {
        private static ImageReader reader(byte[] content) throws IOException {
            ImageInputStream stream =
                    ImageIO.createImageInputStream(new ByteArrayInputStream(content));
            Iterator<ImageReader> readers = ImageIO.getImageReaders(stream);
            if (!readers.hasNext()) {
                return null;
            }
            ImageReader reader = readers.next();
            reader.setInput(stream);
            return reader;
        }

        @Override
        public int[] size(byte[] content) throws IOException {
            ImageReader reader = reader(content);
            return reader == null ? new int[2]
                    : new int[] {reader.getWidth(0), reader.getHeight(0)};
        }

        @Override
        public Image decode(byte[] content, int sample) throws IOException {
            ImageReader reader = reader(content);
            ImageReadParam param = reader.getDefaultReadParam();
            param.setSourceSubsampling(sample, sample, 0, 0);
            BufferedImage picture = reader.read(0, param);
            byte[] rgb = new byte[picture.getWidth() * picture.getHeight() * 3];
            int at = 0;
            for (int y = 0; y < picture.getHeight(); y++) {
                for (int x = 0; x < picture.getWidth(); x++) {
                    int colour = picture.getRGB(x, y);
                    rgb[at++] = (byte) (colour >> 16);
                    rgb[at++] = (byte) (colour >> 8);
                    rgb[at++] = (byte) colour;
                }
            }
            return new Image(rgb, picture.getWidth(), picture.getHeight());
        }

        @Override
        public int orientation(byte[] content) {
            return 1;
        }
    }
}
