package org.tfhmr.core;

import java.io.FileNotFoundException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.json.JSONObject;

/** What the screen is told of photos, of the camera's frames, and of what fails. */
final class SessionChecks {
    private static final Image PICTURE = new Image(new byte[120 * 90 * 3], 120, 90);
    private static final double[] BOX = {30, 20, 20, 40};

    private SessionChecks() {}

    static String photo(Vectors vectors) throws Exception {
        Networks networks = new Networks(person(10), person(60));
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        session.drew(7);
        session.photo(PICTURE);
        Checks.equal("bodies", screen.bodies, 2);
        String[] lines = screen.status.split("\n");
        Checks.equal("state", lines[0], "start");
        Checks.equal("processor", lines[1], "CPU: as asked");
        Checks.isTrue("times: " + lines[2], lines[2].matches(
                "crop \\d+  networks \\d+  smoothing \\d+  drawing 7 ms"));
        List<String> records = session.lines();
        Checks.equal("lines", records.size(), 2);
        for (int i = 0; i < records.size(); i++) {
            JSONObject record = new JSONObject(records.get(i));
            Checks.equal("frame", record.getInt("frame"), 0);
            Checks.equal("track", record.getInt("track"), i);
            Checks.equal("topology", record.getString("topology"), "a body");
        }
        session.photo(PICTURE);
        Checks.equal("lines of the second photo alone", session.lines().size(), 2);
        return screen.status.replace('\n', '|');
    }

    static String photoBeforeTheNetworks(Vectors vectors) {
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.photo(PICTURE);
        session.askGpu();
        session.frame(PICTURE, 0);
        Checks.equal("scenes so far", screen.scenes, 0);
        session.start(new Networks(person(10)));
        Checks.equal("scenes", screen.scenes, 1);
        Checks.equal("bodies", screen.bodies, 1);
        return "recovered once they are there";
    }

    static String nobody(Vectors vectors) {
        Networks networks = new Networks();
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        session.photo(PICTURE);
        Checks.equal("says", screen.status, "nobody found\nCPU: as asked");
        Checks.equal("the picture is shown", screen.scenes, 1);
        networks.people = Arrays.asList(person(10));
        networks.nobodySeen = true; // The first person, who decides about the GPU.
        session.photo(PICTURE);
        Checks.equal("says", screen.status, "nobody found\nCPU: as asked");
        Checks.equal("lines", session.lines().size(), 0);
        Checks.equal("trouble", screen.trouble, null);
        return "nobody found";
    }

    static String cameraFrames(Vectors vectors) throws Exception {
        Networks networks = new Networks();
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        session.frame(PICTURE, 9);
        Checks.equal("scenes before the camera is on", screen.scenes, 0);
        session.setLive(true);
        for (int i = 0; i < 21; i++) {
            session.frame(PICTURE, 10 + 0.1 * i);
        }
        Checks.equal("looks in 2 s without anybody", networks.looks, 3);
        Checks.equal("says", screen.status, "nobody found\nCPU: as asked");
        networks.people = Arrays.asList(person(10, 20), person(60, 40), person(40, 30));
        session.frame(PICTURE, 13);
        Checks.equal("looks", networks.looks, 4);
        Checks.equal("bodies", screen.bodies, 1);
        double[] largest = networks.people.get(1).box();
        Checks.isTrue("the largest is followed", Arrays.equals(
                networks.squares.get(networks.squares.size() - 1),
                Crop.square(largest, networks.card().cropScale)));
        for (int i = 1; i <= 10; i++) {
            session.frame(PICTURE, 13 + 0.1 * i);
        }
        Checks.equal("looks while somebody is followed", networks.looks, 4);
        Checks.isTrue(screen.status, screen.status.startsWith("tracked\nCPU: as asked\n10 frames/s"));
        Checks.equal("lines", session.lines().size(), 11);
        Checks.equal("frame", new JSONObject(session.lines().get(10)).getInt("frame"), 10);
        networks.estimator.scale = -1;
        session.frame(PICTURE, 14.1);
        Checks.isTrue(screen.status, screen.status.startsWith("lost: [] not finite, or a scale of 0"));
        Checks.equal("bodies", screen.bodies, 0);
        networks.estimator.scale = 1;
        session.frame(PICTURE, 15.2);
        Checks.equal("looks after that", networks.looks, 5);
        Checks.isTrue(screen.status, screen.status.startsWith("start\n"));
        session.setLive(false);
        int scenes = screen.scenes;
        session.frame(PICTURE, 16);
        Checks.equal("scenes after the camera is off", screen.scenes, scenes);
        Checks.equal("lines", session.lines().size(), 0);
        return "5 looks in 5 s";
    }

    static String boxOfAFinger(Vectors vectors) {
        Networks networks = new Networks();
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        session.photo(PICTURE);
        session.restart(BOX);
        Checks.equal("bodies in the photo", screen.bodies, 1);
        Checks.equal("looks", networks.looks, 1);
        session.restart(null);
        Checks.equal("bodies", screen.bodies, 0);
        Checks.equal("looks", networks.looks, 2);
        session.setLive(true);
        session.restart(BOX);
        session.frame(PICTURE, 1);
        Checks.equal("bodies in the frame", screen.bodies, 1);
        networks.estimator.scale = -1;
        session.frame(PICTURE, 1.1);
        networks.estimator.scale = 1;
        session.frame(PICTURE, 2.5); // Lost, it is looked for in the box.
        Checks.equal("bodies", screen.bodies, 1);
        Checks.equal("looks", networks.looks, 2);
        session.restart(new double[] {500, 500, 20, 20});
        session.frame(PICTURE, 3);
        Checks.isTrue(screen.trouble, screen.trouble.contains("lies outside the picture"));
        session.frame(PICTURE, 4);
        Checks.equal("then somebody is looked for", networks.looks, 3);
        return screen.trouble;
    }

    /** A view that is taller than the picture, and what a finger draws there. */
    static String touches(Vectors vectors) {
        int[] port = Drawing.viewport(PICTURE, 240, 400);
        Checks.equal("the viewport", Arrays.toString(port), "[0, 110, 240, 180]");
        double[] drawn = Drawing.box(PICTURE, 240, 400, new double[] {100, 210, 20, 130});
        Checks.equal("the box", Arrays.toString(drawn), "[10.0, 10.0, 40.0, 40.0]");
        double[] beyond = Drawing.box(PICTURE, 240, 400, new double[] {-50, 0, 500, 399});
        Checks.equal("beyond it", Arrays.toString(beyond), "[0.0, 0.0, 120.0, 90.0]");
        double[][] none = {{50, 150, 55, 200}, {50, 0, 100, 100}, {0, 300, 200, 390}};
        for (double[] touch : none) {
            Checks.equal("no box", Drawing.box(PICTURE, 240, 400, touch), null);
        }
        return "2 boxes, 3 touches that are none";
    }

    static String failures(Vectors vectors) {
        Networks networks = new Networks(person(10));
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        networks.failure = new IllegalStateException("status 1\n  in node 7");
        session.photo(PICTURE);
        Checks.equal("of the photo", screen.take(), "status 1 in node 7");
        session.setLive(true);
        session.frame(PICTURE, 1);
        Checks.equal("of the camera", screen.take(), "status 1 in node 7");
        networks.failure = new IllegalStateException();
        session.frame(PICTURE, 3);
        Checks.equal("without words", screen.take(), "IllegalStateException");
        networks.failure = null;
        session.frame(PICTURE, 5);
        Checks.equal("the camera goes on", screen.bodies, 1);
        session.setLive(false);
        session.photo(PICTURE);
        Checks.equal("and photos", screen.bodies, 1);
        Checks.equal("trouble", screen.trouble, null);
        return "3 lines";
    }

    static String gpuThatFails(Vectors vectors) {
        Networks networks = new Networks(person(10));
        networks.onGpu = true;
        Screen screen = new Screen();
        Session session = new Session(screen);
        session.start(networks);
        networks.failure = new IllegalStateException("context lost");
        session.photo(PICTURE);
        Checks.equal("bodies of the CPU", screen.bodies, 1);
        Checks.equal("trouble", screen.trouble, null);
        networks.onGpu = true;
        networks.failure = new IllegalStateException("context lost");
        session.setLive(true);
        session.frame(PICTURE, 1);
        session.frame(PICTURE, 3);
        Checks.equal("bodies of the CPU", screen.bodies, 1);
        Checks.equal("trouble", screen.trouble, null);
        session.askGpu();
        Checks.isTrue("asked again", networks.onGpu);
        return "the CPU goes on";
    }

    static String loading(Vectors vectors) {
        Throwable[] errors = {
            new FileNotFoundException("model.tflite"),
            new IllegalArgumentException("The .tflite is damaged:\n its sha256"),
            new UnsatisfiedLinkError("libtensorflowlite_jni.so"),
        };
        String[] expected = {
            "A network is not in this app: model.tflite",
            "The model cannot be used: The .tflite is damaged: its sha256",
            "This app has no library for this processor: libtensorflowlite_jni.so",
        };
        for (int i = 0; i < errors.length; i++) {
            Checks.equal("trouble", Session.loadingTrouble(errors[i]), expected[i]);
        }
        return errors.length + " lines";
    }

    static String manyLines(Vectors vectors) throws Exception {
        Session session = new Session(new Screen());
        session.start(new Networks(person(10)));
        session.setLive(true);
        for (int i = 0; i < Session.MAX_LINES + 3; i++) {
            session.frame(PICTURE, 0.01 * i);
        }
        List<String> lines = session.lines();
        Checks.equal("lines", lines.size(), Session.MAX_LINES);
        Checks.equal("the first", new JSONObject(lines.get(0)).getInt("frame"), 3);
        return lines.size() + " lines";
    }

    private static Landmarks person(double x) {
        return person(x, 30);
    }

    /** Somebody whose box begins at (x, 10) and has that side. */
    private static Landmarks person(double x, double side) {
        float[] points = new float[Landmarks.COUNT * Landmarks.COLUMNS];
        for (int row = 0; row < Landmarks.COUNT; row++) {
            int at = row * Landmarks.COLUMNS;
            points[at] = (float) (x + side * (row % 2));
            points[at + 1] = (float) (10 + side * (row % 3) / 2);
            points[at + Landmarks.VISIBLE] = 1;
            points[at + Landmarks.INSIDE] = 1;
        }
        Square square = new Square(x, 10, side, 0);
        return new Landmarks(points, 1, square, square, new float[1], 1);
    }

    private static final class Screen implements Session.Listener {
        int scenes;
        int bodies;
        String status;
        String trouble;

        @Override
        public void onScene(Image picture, List<TrackRecord.Body> bodies, String status) {
            scenes++;
            this.bodies = bodies.size();
            this.status = status;
        }

        @Override
        public void onTrouble(String line) {
            trouble = line;
        }

        String take() {
            String line = trouble;
            trouble = null;
            return line;
        }
    }

    /** Finds some people; its network answers a body in the middle of the square. */
    private static final class Networks implements Session.Networks {
        final Middle estimator = new Middle();
        final List<double[]> squares = new ArrayList<double[]>();
        List<Landmarks> people;
        RuntimeException failure;
        boolean nobodySeen;
        boolean onGpu;
        int looks;

        Networks(Landmarks... people) {
            this.people = Arrays.asList(people);
        }

        @Override
        public Card card() {
            return Card.parse("{'inputs': {'landmarks': {}}, 'crop': {'scale': 1.2}, 'bytes': 1, "
                    + "'topology': 'a body', 'method': 'm', 'precision': 'float32', "
                    + "'sha256': '', 'mesh': {'sha256': ''}, "
                    + "'outputs': {'vertices': {'shape': [1, 2, 3]}}}");
        }

        @Override
        public List<Landmarks> find(Image image) {
            looks++;
            return people;
        }

        @Override
        public Estimator estimator(Image image, double[] square) {
            squares.add(square);
            if (nobodySeen) {
                throw new NobodySeen(0.2);
            }
            if (failure != null) {
                throw failure;
            }
            return estimator;
        }

        @Override
        public void askAgain() {
            onGpu = true;
        }

        @Override
        public boolean leaveGpu(RuntimeException error) {
            boolean wasOnGpu = onGpu;
            onGpu = false;
            failure = wasOnGpu ? null : failure;
            return wasOnGpu;
        }

        @Override
        public String says() {
            return "CPU: as asked";
        }
    }

    /** Answers joints in the corners of the middle of the crop. */
    private static final class Middle implements Estimator {
        float scale = 1;

        @Override
        public int size() {
            return 8;
        }

        @Override
        public double cropScale() {
            return 1.2;
        }

        @Override
        public double focalPx(int width, int height) {
            return 1000;
        }

        @Override
        public Answer answer(Image frame, double[] square, Image crop) {
            float[][] values = {
                {-0.5f, -0.5f, 0, 0.5f, 0.5f, 0}, {-0.7f, -0.7f, 0, 0.7f, 0.7f, 0},
                {-0.7f, -0.7f, 0.7f, 0.7f}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, {0}, {scale, 0, 0},
            };
            List<Tensor> outputs = new ArrayList<Tensor>();
            for (int i = 0; i < values.length; i++) {
                int[] shape = {values[i].length};
                outputs.add(new Tensor(Answer.NAMES.get(i), shape, values[i]));
            }
            return new Answer(outputs);
        }
    }
}
