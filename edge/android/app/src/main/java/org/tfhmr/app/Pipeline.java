package org.tfhmr.app;

import android.content.Context;
import android.os.Handler;
import android.os.HandlerThread;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.tfhmr.core.Image;
import org.tfhmr.core.Session;

/** The one thread that owns all networks, and runs the Session on it. */
final class Pipeline {
    /** What the screen is told, on the pipeline's thread. */
    interface Listener extends Session.Listener {
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
    private final Session session;
    private final AtomicReference<Frame> newest = new AtomicReference<Frame>();
    private final Runnable takeNewest = new Runnable() {
        @Override
        public void run() {
            Frame frame = newest.getAndSet(null);
            if (frame != null) {
                session.frame(frame.image, frame.seconds);
            }
        }
    };
    private volatile boolean isLive;
    private Networks networks;

    Pipeline(Context context, Listener listener) {
        this.context = context;
        this.listener = listener;
        session = new Session(listener);
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
            session.start(networks);
        } catch (IOException error) {
            listener.onTrouble(Session.loadingTrouble(error));
        } catch (RuntimeException error) {
            listener.onTrouble(Session.loadingTrouble(error));
        } catch (LinkageError error) {
            listener.onTrouble(Session.loadingTrouble(error));
        }
    }

    /** Takes a frame of the camera; one that is not yet begun gives way to it. */
    void offer(Image image, double seconds) {
        if (isLive && newest.getAndSet(new Frame(image, seconds)) == null) {
            handler.post(takeNewest);
        }
    }

    /** Starts or ends taking frames. */
    void setLive(final boolean live) {
        isLive = live;
        newest.set(null);
        handler.post(new Runnable() {
            @Override
            public void run() {
                session.setLive(live);
            }
        });
    }

    /** Recovers everybody in a photo. */
    void photo(final Image image) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                session.photo(image);
            }
        });
    }

    /** Follows whoever is in a box x, y, w, h of the picture; null: whoever is found. */
    void restart(final double[] box) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                session.restart(box);
            }
        });
    }

    /** Tries the GPU again, although it was wrong or ended the app. */
    void askGpu() {
        handler.post(new Runnable() {
            @Override
            public void run() {
                session.askGpu();
            }
        });
    }

    /** Notes how long the last drawing took. */
    void drew(double ms) {
        session.drew(ms);
    }

    /** The lines of the .jsonl so far. */
    interface LinesReceiver {
        void onLines(List<String> lines);
    }

    void lines(final LinesReceiver receiver) {
        handler.post(new Runnable() {
            @Override
            public void run() {
                receiver.onLines(session.lines());
            }
        });
    }

    void close() {
        isLive = false;
        handler.post(new Runnable() {
            @Override
            public void run() {
                session.setLive(false);
                if (networks != null) {
                    networks.close();
                    networks = null;
                }
                thread.quitSafely();
            }
        });
    }
}
