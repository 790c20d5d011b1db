package org.tfhmr.core;

import java.util.Locale;

/**
 * Decides whether a network runs on the GPU: only if that did not end the process, and its answer
 * to the first crop is the CPU's.
 *
 * <p>A GPU's driver may end the whole process, which no catch sees. So a mark is stored before the
 * GPU's first run and deleted after it: if the mark is there at a start, the last first run never
 * came back.
 */
public final class Gate {
    /** Largest mean distance of the GPU's vertices from the CPU's. */
    public static final double MAX_DIFFERENCE_MM = 20;

    /** Keeps a mark where it outlives the process. */
    public interface Mark {
        boolean isSet();

        /** Returns only when it is stored. */
        void set();

        void clear();
    }

    /** Makes the estimator on the GPU. */
    public interface Maker {
        /** Throws any exception if the delegate refuses the network. */
        Estimator make() throws Exception;

        /** Frees what it made. */
        void release();
    }

    private final Mark mark;
    private boolean onGpu;
    private String reason = "not tried yet";

    public Gate(Mark mark) {
        this.mark = mark;
    }

    /** Whether the GPU was taken. */
    public boolean onGpu() {
        return onGpu;
    }

    /** One line for the screen: which of the two, and why. */
    public String says() {
        return (onGpu ? "GPU: " : "CPU: ") + reason;
    }

    /** Lets the next `choose` try the GPU, although it ended the process. */
    public void askAgain() {
        mark.clear();
    }

    /** Notes that the GPU, if it was taken, failed later; returns whether it was taken. */
    public boolean leave(RuntimeException error) {
        boolean wasOnGpu = onGpu;
        if (wasOnGpu) {
            onGpu = false;
            reason = "the GPU failed: " + oneLine(error);
        }
        return wasOnGpu;
    }

    /**
     * Chooses by a first crop.
     *
     * @param cpu the estimator on the CPU
     * @param gpu makes the one on the GPU; released unless it is chosen
     * @param frame a picture
     * @param square the person in it
     * @return the estimator to use
     */
    public Estimator choose(Estimator cpu, Maker gpu, Image frame, double[] square) {
        onGpu = false;
        if (mark.isSet()) {
            reason = "the GPU ended the app";
            return cpu;
        }
        Image crop = Crop.of(frame, square, cpu.size());
        Answer expected = cpu.answer(frame, square, crop);
        Estimator estimator = null;
        Answer answer = null;
        mark.set();
        try {
            estimator = gpu.make();
            answer = estimator.answer(frame, square, crop);
        } catch (Exception error) {
            reason = "the GPU refuses: " + oneLine(error);
        } catch (LinkageError error) { // Its library is not in the app, or not for this processor.
            reason = "no GPU library: " + oneLine(error);
        }
        mark.clear();
        if (answer != null) {
            double mm = differenceMm(answer, expected);
            onGpu = mm <= MAX_DIFFERENCE_MM;
            reason = String.format(Locale.ROOT, "its mesh is %.1f mm from the CPU's", mm);
            if (!onGpu) {
                reason = "the GPU is wrong, " + reason;
            }
        }
        if (!onGpu) {
            gpu.release();
            return cpu;
        }
        return estimator;
    }

    /** Mean distance of the vertices; NaN, or infinite where their numbers differ. */
    static double differenceMm(Answer answer, Answer expected) {
        if (answer.vertices.length != expected.vertices.length) {
            return Double.POSITIVE_INFINITY;
        }
        double sum = 0;
        for (int i = 0; i < answer.vertices.length; i += 3) {
            double squared = 0;
            for (int axis = 0; axis < 3; axis++) {
                double d = (double) answer.vertices[i + axis] - expected.vertices[i + axis];
                squared += d * d;
            }
            sum += Math.sqrt(squared);
        }
        return 1000 * sum / (expected.vertices.length / 3);
    }

    private static String oneLine(Throwable error) {
        String message = error.getMessage();
        String text = message == null ? error.getClass().getSimpleName() : message;
        String line = text.trim().replaceAll("\\s+", " ");
        return line.length() > 120 ? line.substring(0, 120) + "..." : line;
    }
}
