package org.tfhmr.app;

import android.content.Context;
import android.os.Handler;
import android.os.HandlerThread;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import org.tfhmr.core.Crop;
import org.tfhmr.core.Estimator;
import org.tfhmr.core.Image;
import org.tfhmr.core.Landmarks;
import org.tfhmr.core.Line;
import org.tfhmr.core.NobodySeen;
import org.tfhmr.core.Track;
import org.tfhmr.core.TrackRecord;

/** What happens to a frame: find, track, report. Its one thread owns all networks. */
final class Pipeline {
    private static final double SECONDS_BETWEEN_LOOKS = 1;
    private static final int MAX_LINES = 20000;

    /** What the screen is told, on the pipeline's thread. */
    interface Listener {
        void onScene(Scene scene, String status);

        /** One line about something that failed; the app goes on. */
        void onTrouble(String line);

        void onModel(int[] faces);
    }

    /** A frame of the camera. */
    private static final class Frame {
        final Image image;
        final double seconds;

        Frame(Image image, double seconds) {
            this.image = image;
            this.seconds = seconds;
        }
    }

    private final HandlerThread thread = new HandlerThread("networks");
    private final Handler handler;
    private final Context context;
    private final Listener listener;
    private final AtomicReference<Frame> newest = new AtomicReference<Frame>();
    private final Runnable takeNewest = new Runnable() {
        @Override
        public void run() {
            Frame frame = newest.getAndSet(null);
            if (frame != null) {
                follow(frame);
            }
        }
    };
    private volatile double drawMs;
    private volatile boolean isLive;
    private Networks networks;
    private Track track;
    private Image lastPhoto;
    private boolean hasFingerBox;
    private double lastLook = Double.NEGATIVE_INFINITY;
    private double lastSeconds;
    private double framesPerSecond;
    private int count;
    private final List<String> lines = new ArrayList<String>();

    Pipeline(Context context, Listener listener) {
        this.context = context;
        this.listener = listener;
        thread.start();
        handler = new Handler(thread.getLooper());
        handler.post(new Runnable() {
            @Override
            public void run() {
                load();
            }
        });
    }

    private void load() {
        try {
            ModelAssets assets = new ModelAssets(context.getAssets());
            networks = new Networks(assets, new StoredMark(context));
            listener.onModel(networks.mesh.faces);
        } catch (IOException error) {
            listener.onTrouble("A network is not in this app: " + error.getMessage());
        } catch (RuntimeException error) {
            listener.onTrouble("The model cannot be used: " + error.getMessage());
        } catch (LinkageError error) {
            listener.onTrouble("This app has no library for this processor: "
                    + error.getMessage());
        }
    }

    /** Takes a frame of the camera; one that is not yet begun gives way to it. */
    void offer(Image image, double seconds) {
        if (isLive && newest.getAndSet(new Frame(image, seconds)) == null) {
            handler.post(takeNewest);
        }
    }

    /** Starts or ends taking frames. */
    void setLive(boolean live) {
        isLive = live;
        newest.set(null);
        handler.post(new Runnable() {
            @Override
            public void run() {
                lastPhoto = null;
                lines.clear();
                reset(null);
            }
        });
    }

    private void reset(double[] box) {
        track = box == null ? null : new Track(box, true);
        hasFingerBox = box != null;
        lastLook = Double.NEGATIVE_INFINITY;
        count = 0;
    }

    /** Recovers everybody in a photo. */
    void photo(final Image image) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                lastPhoto = image;
                reset(null);
                recover(image, null);
            }
        });
    }

    /** Follows whoever is in a box x, y, w, h of the picture; null: whoever is found. */
    void restart(final double[] box) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                reset(box);
                if (!isLive && lastPhoto != null) {
                    recover(lastPhoto, box);
                }
            }
        });
    }

    /** Tries the GPU again, although it was wrong or ended the app. */
    void askGpu() {
        handler.post(new Runnable() {
            @Override
            public void run() {
                if (networks != null) {
                    networks.askAgain();
                }
            }
        });
        restart(null);
    }

    /** Notes how long the last drawing took. */
    void drew(double ms) {
        drawMs = ms;
    }

    /** The lines of the .jsonl so far. */
    interface LinesReceiver {
        void onLines(List<String> lines);
    }

    void lines(final LinesReceiver receiver) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                receiver.onLines(new ArrayList<String>(lines));
            }
        });
    }

    void close() {
        isLive = false;
        handler.post(new Runnable() {
            @Override
            public void run() {
                if (networks != null) {
                    networks.close();
                    networks = null;
                }
                thread.quitSafely();
            }
        });
    }

    private void follow(Frame frame) {
        if (networks == null || !isLive) {
            return;
        }
        try {
            TrackRecord record = tracked(frame);
            List<TrackRecord.Body> bodies = record == null || record.body == null
                    ? Collections.<TrackRecord.Body>emptyList()
                    : Collections.singletonList(record.body);
            if (record != null) {
                write(record, count++, frame.seconds, 0);
            }
            double elapsed = frame.seconds - lastSeconds;
            lastSeconds = frame.seconds;
            if (elapsed > 0 && elapsed < 5) {
                framesPerSecond += 0.1 * (1 / elapsed - framesPerSecond);
            }
            listener.onScene(new Scene(frame.image, bodies), status(record));
        } catch (RuntimeException error) {
            track = null;
            if (!networks.leaveGpu(error)) {
                listener.onTrouble(line(error));
            }
        }
    }

    /** The record of the frame; null where nobody is found. */
    private TrackRecord tracked(Frame frame) {
        boolean isLost = track == null || track.box() == null && !hasFingerBox;
        if (isLost && frame.seconds - lastLook >= SECONDS_BETWEEN_LOOKS) {
            lastLook = frame.seconds;
            double[] box = largest(networks.finder.find(frame.image));
            track = box == null ? null : new Track(box, true);
        }
        if (track == null) {
            return null;
        }
        Estimator estimator = estimator(frame.image, track.expectedBox());
        if (estimator == null) {
            return null;
        }
        return track.update(estimator, frame.image, frame.seconds);
    }

    /** The estimator; null where the first person, who decides, is not seen. */
    private Estimator estimator(Image image, double[] box) {
        double[] person = box != null ? box : new double[] {0, 0, image.width, image.height};
        try {
            return networks.estimator(image, Crop.square(person, networks.card.cropScale));
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

    /** Everybody in a photo, or whoever is in a box. */
    private void recover(Image image, double[] fingerBox) {
        if (networks == null) {
            return;
        }
        try {
            List<double[]> boxes = new ArrayList<double[]>();
            if (fingerBox != null) {
                boxes.add(fingerBox);
            } else {
                for (Landmarks person : networks.finder.find(image)) {
                    if (person.box() != null) {
                        boxes.add(person.box());
                    }
                }
            }
            List<TrackRecord.Body> bodies = new ArrayList<TrackRecord.Body>();
            lines.clear();
            TrackRecord last = null;
            for (double[] box : boxes) {
                Estimator estimator = estimator(image, box);
                if (estimator == null) {
                    continue;
                }
                last = new Track(box, false).update(estimator, image, 0);
                write(last, 0, 0, bodies.size());
                if (last.body != null) {
                    bodies.add(last.body);
                }
            }
            framesPerSecond = 0;
            listener.onScene(new Scene(image, bodies), status(last));
        } catch (RuntimeException error) {
            if (networks.leaveGpu(error)) {
                recover(image, fingerBox);
            } else {
                listener.onTrouble(line(error));
            }
        }
    }

    private void write(TrackRecord record, int frame, double seconds, int person) {
        if (lines.size() < MAX_LINES) {
            lines.add(Line.of(record, frame, seconds, person, networks.card.topology, drawMs));
        }
    }

    private String status(TrackRecord record) {
        String state = record == null ? "nobody found"
                : record.state + (record.reason.isEmpty() ? "" : ": " + record.reason);
        String text = state + "\n" + networks.says();
        if (record != null) {
            text += String.format(
                    Locale.ROOT,
                    "\n%.0f frames/s   crop %.0f  networks %.0f  smoothing %.0f  drawing %.0f ms",
                    framesPerSecond,
                    record.ms[0],
                    record.ms[1],
                    record.ms[2],
                    drawMs);
        }
        return text;
    }

    private static String line(Throwable error) {
        String message = error.getMessage();
        return message == null ? error.getClass().getSimpleName() : message.replace('\n', ' ');
    }
}
