package org.tfhmr.core;

import java.util.ArrayList;
import java.util.List;

/** Which of the GPU and the CPU answers, and what the screen says. */
final class GateChecks {
    private static final Image FRAME = new Image(new byte[12 * 12 * 3], 12, 12);
    private static final double[] SQUARE = {1, 1, 8, 8};

    private GateChecks() {}

    static String rightAnswer(Vectors vectors) {
        Memory memory = new Memory();
        Gate gate = new Gate(memory);
        Fake cpu = new Fake(0);
        Maker gpu = new Maker(new Fake(0.019), null);
        Estimator chosen = gate.choose(cpu, gpu, FRAME, SQUARE);
        Checks.isTrue("the GPU is taken", chosen == gpu.estimator && gate.onGpu());
        Checks.isTrue("says so: " + gate.says(), gate.says().startsWith("GPU: "));
        Checks.equal("the mark's life", memory.log.toString(), "[set, clear]");
        Checks.isTrue("the GPU is kept", !gpu.isReleased);
        return gate.says();
    }

    static String failureLater(Vectors vectors) {
        Gate gate = new Gate(new Memory());
        RuntimeException error = new RuntimeException("context lost");
        Checks.isTrue("the CPU's failures are its own", !gate.leave(error));
        gate.choose(new Fake(0), new Maker(new Fake(0), null), FRAME, SQUARE);
        Checks.isTrue("it was on the GPU", gate.leave(error));
        Checks.isTrue("it no longer is", !gate.onGpu() && !gate.leave(error));
        Checks.equal("what it says", gate.says(), "CPU: the GPU failed: context lost");
        return gate.says();
    }

    static String wrongAnswer(Vectors vectors) {
        Gate gate = new Gate(new Memory());
        Fake cpu = new Fake(0);
        Maker gpu = new Maker(new Fake(0.021), null);
        Checks.isTrue("the CPU is taken", gate.choose(cpu, gpu, FRAME, SQUARE) == cpu);
        Checks.isTrue("says: " + gate.says(), gate.says().contains("wrong")
                && gate.says().contains("21.0 mm") && gate.says().startsWith("CPU: "));
        Checks.isTrue("the GPU is released", gpu.isReleased);
        return gate.says();
    }

    static String answerOfNoNumbers(Vectors vectors) {
        Gate gate = new Gate(new Memory());
        Fake cpu = new Fake(0);
        Maker gpu = new Maker(new Fake(Float.NaN), null);
        Checks.isTrue("the CPU is taken", gate.choose(cpu, gpu, FRAME, SQUARE) == cpu);
        Checks.isTrue("says: " + gate.says(), gate.says().contains("wrong"));
        return gate.says();
    }

    static String refusal(Vectors vectors) {
        Memory memory = new Memory();
        Gate gate = new Gate(memory);
        Fake cpu = new Fake(0);
        RuntimeException error = new RuntimeException("no OpenCL\n here");
        Maker gpu = new Maker(null, error);
        Checks.isTrue("the CPU is taken", gate.choose(cpu, gpu, FRAME, SQUARE) == cpu);
        Checks.equal("what it says", gate.says(), "CPU: the GPU refuses: no OpenCL here");
        Checks.isTrue("no mark is left", !memory.isSet());
        Checks.isTrue("the GPU is released", gpu.isReleased);
        return gate.says();
    }

    static String missingLibrary(Vectors vectors) {
        Gate gate = new Gate(new Memory());
        Fake cpu = new Fake(0);
        Maker gpu = new Maker(null, new UnsatisfiedLinkError("libtensorflowlite_gpu_jni.so"));
        Checks.isTrue("the CPU is taken", gate.choose(cpu, gpu, FRAME, SQUARE) == cpu);
        Checks.isTrue("says: " + gate.says(), gate.says().contains("no GPU library"));
        return gate.says();
    }

    /** A process that ends in the GPU's first run leaves the mark; the next start sees it. */
    static String deathInTheMiddle(Vectors vectors) {
        final Memory memory = new Memory();
        Fake dying = new Fake(0) {
            @Override
            public Answer answer(Image frame, double[] square, Image crop) {
                Checks.isTrue("the mark is stored before the GPU runs", memory.isSet());
                throw new ThreadDeath(); // No handler of exceptions sees a process end.
            }
        };
        boolean isDead = false;
        try {
            new Gate(memory).choose(new Fake(0), new Maker(dying, null), FRAME, SQUARE);
        } catch (ThreadDeath death) {
            isDead = true;
        }
        Checks.isTrue("it died", isDead);
        Gate later = new Gate(memory);
        Fake cpu = new Fake(0);
        Maker gpu = new Maker(new Fake(0), null);
        for (int start = 0; start < 2; start++) {
            Checks.isTrue("CPU from then on", later.choose(cpu, gpu, FRAME, SQUARE) == cpu);
            Checks.isTrue("the GPU is left alone", gpu.made == 0);
            Checks.equal("what it says", later.says(), "CPU: the GPU ended the app");
            later = new Gate(memory);
        }
        later.askAgain();
        Checks.isTrue("asked again", later.choose(cpu, gpu, FRAME, SQUARE) == gpu.estimator);
        Checks.isTrue("the mark is gone", !memory.isSet());
        return "CPU until asked again";
    }

    private static final class Memory implements Gate.Mark {
        final List<String> log = new ArrayList<String>();
        private boolean mark;

        @Override
        public boolean isSet() {
            return mark;
        }

        @Override
        public void set() {
            mark = true;
            log.add("set");
        }

        @Override
        public void clear() {
            mark = false;
            log.add("clear");
        }
    }

    private static final class Maker implements Gate.Maker {
        final Estimator estimator;
        int made;
        boolean isReleased;
        private final Throwable error;

        Maker(Estimator estimator, Throwable error) {
            this.estimator = estimator;
            this.error = error;
        }

        @Override
        public Estimator make() throws Exception {
            made++;
            if (error instanceof Error) {
                throw (Error) error;
            }
            if (error != null) {
                throw (Exception) error;
            }
            return estimator;
        }

        @Override
        public void release() {
            isReleased = true;
        }
    }

    /** Answers two vertices, moved along x by some metres. */
    private static class Fake implements Estimator {
        private final float shift;

        Fake(double shift) {
            this.shift = (float) shift;
        }

        @Override
        public int size() {
            return 8;
        }

        @Override
        public double cropScale() {
            return 1;
        }

        @Override
        public double focalPx(int width, int height) {
            return 1;
        }

        @Override
        public Answer answer(Image frame, double[] square, Image crop) {
            int[] sizes = {6, 3, 2, 9, 1, 3};
            List<Tensor> outputs = new ArrayList<Tensor>();
            for (int i = 0; i < sizes.length; i++) {
                float[] values = new float[sizes[i]];
                for (int k = 0; k < values.length && i == 0; k += 3) {
                    values[k] = shift;
                }
                outputs.add(new Tensor(Answer.NAMES.get(i), new int[] {sizes[i]}, values));
            }
            return new Answer(outputs);
        }
    }
}
