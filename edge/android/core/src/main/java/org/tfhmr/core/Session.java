package org.tfhmr.core;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/**
 * What happens to a picture: find, track, report. One thread uses it.
 *
 * <p>Whatever fails becomes one line for the screen, and the next picture is tried all the same.
 */
public final class Session {
    static final double SECONDS_BETWEEN_LOOKS = 1;
    /** The last ones are kept: some minutes of a camera, and 15 MB. */
    static final int MAX_LINES = 5000;
    // A pause of the camera is no rate of frames.
    private static final double LONGEST_PAUSE = 5;
    private static final double RATE_SHARE = 0.1;

    /** The networks, once they are loaded. */
    public interface Networks {
        Card card();

        /** The people of a picture, the surest first. */
        List<Landmarks> find(Image image);

        /**
         * The estimator for a person; the first one decides which processor it runs on.
         *
         * @throws NobodySeen there is no person to decide by
         */
        Estimator estimator(Image image, double[] square);

        /** Lets the next person decide again. */
        void askAgain();

        /** Goes on with the CPU where the GPU fails; false if it was the CPU that failed. */
        boolean leaveGpu(RuntimeException error);

        /** One line: which processor, and why. */
        String says();
    }

    /** What the screen is told. */
    public interface Listener {
        void onScene(Image picture, List<TrackRecord.Body> bodies, String status);

        /** One line about something that failed; the app goes on. */
        void onTrouble(String line);
    }

    private final Listener listener;
    private Networks networks;
    private Track track;
    private Image photo;
    private boolean isLive;
    private boolean hasFingerBox;
    private double lastLook = Double.NEGATIVE_INFINITY;
    private double lastSeconds;
    private double framesPerSecond;
    private volatile double drawMs; // Of the thread that draws.
    private int count;
    private final ArrayDeque<String> lines = new ArrayDeque<String>();

    public Session(Listener listener) {
        this.listener = listener;
    }

    /** Gives it the networks; a photo that came before them is recovered now. */
    public void start(Networks loaded) {
        networks = loaded;
        if (photo != null) {
            recover(null);
        }
    }

    /** The line for networks that cannot be loaded. */
    public static String loadingTrouble(Throwable error) {
        String why = error instanceof IOException ? "A network is not in this app: "
                : error instanceof LinkageError ? "This app has no library for this processor: "
                : "The model cannot be used: ";
        return why + Photo.oneLine(error);
    }

    /** Starts or ends the camera's frames. */
    public void setLive(boolean live) {
        isLive = live;
        photo = null;
        lines.clear();
        count = 0;
        framesPerSecond = 0;
        reset(null);
    }

    private void reset(double[] box) {
        track = box == null ? null : new Track(box, true);
        hasFingerBox = box != null;
        lastLook = Double.NEGATIVE_INFINITY;
    }

    /** Notes how long the last drawing took. */
    public void drew(double ms) {
        drawMs = ms;
    }

    /** The lines of the .jsonl so far, the last ones if they are many. */
    public List<String> lines() {
        return new ArrayList<String>(lines);
    }

    /** Recovers everybody in a photo. */
    public void photo(Image image) {
        photo = image;
        reset(null);
        recover(null);
    }

    /** Follows whoever is in a box x, y, w, h of the picture; null: whoever is found. */
    public void restart(double[] box) {
        reset(box);
        if (!isLive && photo != null) {
            recover(box);
        }
    }

    /** Tries the GPU again, although it was wrong or ended the app. */
    public void askGpu() {
        if (networks != null) {
            networks.askAgain();
        }
        restart(null);
    }

    /** Takes a frame of the camera. */
    public void frame(Image image, double seconds) {
        if (networks == null || !isLive) {
            return;
        }
        try {
            TrackRecord record = tracked(image, seconds);
            List<TrackRecord.Body> bodies = record == null || record.body == null
                    ? Collections.<TrackRecord.Body>emptyList()
                    : Collections.singletonList(record.body);
            if (record != null) {
                write(record, count++, seconds, 0);
            }
            double elapsed = seconds - lastSeconds;
            lastSeconds = seconds;
            if (elapsed > 0 && elapsed < LONGEST_PAUSE) {
                double rate = framesPerSecond > 0 ? framesPerSecond : 1 / elapsed;
                framesPerSecond = rate + RATE_SHARE * (1 / elapsed - rate);
            }
            listener.onScene(image, bodies, status(record));
        } catch (RuntimeException error) {
            track = null;
            if (!networks.leaveGpu(error)) {
                listener.onTrouble(Photo.oneLine(error));
            }
        }
    }

    /** The record of the frame; null where nobody is found. */
    private TrackRecord tracked(Image image, double seconds) {
        boolean isLost = track == null || track.box() == null && !hasFingerBox;
        if (isLost && seconds - lastLook >= SECONDS_BETWEEN_LOOKS) {
            lastLook = seconds;
            double[] box = largest(networks.find(image));
            track = box == null ? null : new Track(box, true);
        }
        if (track == null) {
            return null;
        }
        Estimator estimator = estimator(image, track.expectedBox());
        return estimator == null ? null : track.update(estimator, image, seconds);
    }

    /** The estimator; null where the first person, who decides, is not seen. */
    private Estimator estimator(Image image, double[] box) {
        double[] person = box != null ? box : new double[] {0, 0, image.width, image.height};
        try {
            return networks.estimator(image, Crop.square(person, networks.card().cropScale));
        } catch (NobodySeen nobody) {
            return null;
        }
    }

    private static double[] largest(List<Landmarks> people) {
        double[] largest = null;
        for (Landmarks person : people) {
            double[] box = person.box();
            if (box != null && (largest == null || box[2] * box[3] > largest[2] * largest[3])) {
                largest = box;
            }
        }
        return largest;
    }

    /** Everybody in the photo, or whoever is in a box. */
    private void recover(double[] fingerBox) {
        if (networks == null) {
            return;
        }
        try {
            List<TrackRecord.Body> bodies = new ArrayList<TrackRecord.Body>();
            lines.clear();
            TrackRecord last = null;
            for (double[] box : boxes(fingerBox)) {
                Estimator estimator = estimator(photo, box);
                if (estimator == null) {
                    continue;
                }
                last = new Track(box, false).update(estimator, photo, 0);
                write(last, 0, 0, bodies.size());
                if (last.body != null) {
                    bodies.add(last.body);
                }
            }
            listener.onScene(photo, bodies, status(last));
        } catch (RuntimeException error) {
            if (networks.leaveGpu(error)) {
                recover(fingerBox);
            } else {
                listener.onTrouble(Photo.oneLine(error));
            }
        }
    }

    private List<double[]> boxes(double[] fingerBox) {
        List<double[]> boxes = new ArrayList<double[]>();
        if (fingerBox != null) {
            boxes.add(fingerBox);
            return boxes;
        }
        for (Landmarks person : networks.find(photo)) {
            double[] box = person.box();
            if (box != null) {
                boxes.add(box);
            }
        }
        return boxes;
    }

    private void write(TrackRecord record, int frame, double seconds, int person) {
        if (lines.size() == MAX_LINES) {
            lines.remove();
        }
        String topology = networks.card().topology;
        lines.add(Line.of(record, frame, seconds, person, topology, drawMs));
    }

    private String status(TrackRecord record) {
        String state = record == null ? "nobody found"
                : record.state + (record.reason.isEmpty() ? "" : ": " + record.reason);
        String text = state + "\n" + networks.says();
        if (record != null) {
            text += "\n" + (isLive ? rounded("%.0f frames/s   ", framesPerSecond) : "")
                    + rounded("crop %.0f  networks %.0f  ", record.ms[0], record.ms[1])
                    + rounded("smoothing %.0f  drawing %.0f ms", record.ms[2], drawMs);
        }
        return text;
    }

    private static String rounded(String format, Object... numbers) {
        return String.format(Locale.ROOT, format, numbers);
    }
}
