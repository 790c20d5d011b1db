package org.tfhmr.app;

import android.content.Context;
import android.graphics.ImageFormat;
import android.hardware.DataSpace;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Build;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import java.util.Collections;
import org.tfhmr.core.Yuv;

/** A camera's frames, upright; of frames that wait only the newest is taken. */
final class CameraSource {
    // Near it: more pixels are not seen by a network, and cost time.
    private static final int PIXELS = 640 * 480;
    private static final int BUFFERS = 3;

    /** What the source gives, on its own thread. */
    interface Listener {
        void onFrame(org.tfhmr.core.Image image, double seconds);

        /** One line; the source is closed. */
        void onTrouble(String line);
    }

    private final CameraManager manager;
    private final Listener listener;
    private HandlerThread thread;
    private Handler handler;
    private CameraDevice device;
    private ImageReader reader;
    private int degrees;
    private boolean isFront;

    CameraSource(Context context, Listener listener) {
        manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        this.listener = listener;
    }

    /**
     * Opens a camera; without permission the listener is told.
     *
     * @param front one that looks at the user, if there is one; else any
     * @param displayDegrees how the screen is turned from its natural position
     */
    synchronized void open(boolean front, int displayDegrees) {
        close();
        try {
            String id = chooseId(front);
            if (id == null) {
                listener.onTrouble("This device has no camera; choose a photo");
                return;
            }
            CameraCharacteristics camera = manager.getCameraCharacteristics(id);
            Integer facing = camera.get(CameraCharacteristics.LENS_FACING);
            Integer sensor = camera.get(CameraCharacteristics.SENSOR_ORIENTATION);
            isFront = facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
            int turn = isFront ? displayDegrees : -displayDegrees;
            degrees = ((sensor == null ? 0 : sensor) + turn + 360) % 360;
            Size size = chooseSize(camera);
            thread = new HandlerThread("camera");
            thread.start();
            handler = new Handler(thread.getLooper());
            reader = ImageReader.newInstance(
                    size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, BUFFERS);
            reader.setOnImageAvailableListener(new NewestFrame(), handler);
            manager.openCamera(id, new Opening(), handler);
        } catch (SecurityException error) {
            fail("The camera is not allowed; allow it in the system's settings, or choose a photo");
        } catch (CameraAccessException error) {
            fail("The camera cannot be opened: " + error.getMessage());
        } catch (RuntimeException error) { // A driver may throw any.
            fail("The camera cannot be opened: " + error.getMessage());
        }
    }

    private String chooseId(boolean front) throws CameraAccessException {
        String any = null;
        for (String id : manager.getCameraIdList()) {
            Integer facing =
                    manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING);
            boolean looksAtUser =
                    facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
            if (looksAtUser == front) {
                return id;
            }
            any = any == null ? id : any;
        }
        return any;
    }

    private static Size chooseSize(CameraCharacteristics camera) {
        StreamConfigurationMap map =
                camera.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        Size[] sizes = map == null ? null : map.getOutputSizes(ImageFormat.YUV_420_888);
        if (sizes == null || sizes.length == 0) {
            throw new IllegalStateException("it gives no pictures");
        }
        Size best = sizes[0];
        for (Size size : sizes) {
            long pixels = Math.abs((long) size.getWidth() * size.getHeight() - PIXELS);
            long fewest = Math.abs((long) best.getWidth() * best.getHeight() - PIXELS);
            boolean isEven = size.getWidth() % 2 == 0 && size.getHeight() % 2 == 0;
            best = isEven && pixels < fewest ? size : best;
        }
        return best;
    }

    /** Ends the frames; `open` starts them again. */
    synchronized void close() {
        if (device != null) {
            device.close();
            device = null;
        }
        if (thread != null) {
            // On the thread that reads its pictures: they go with it.
            final ImageReader closing = reader;
            handler.post(new Runnable() {
                @Override
                public void run() {
                    if (closing != null) {
                        closing.close();
                    }
                }
            });
            thread.quitSafely();
            thread = null;
            reader = null;
        }
    }

    private void fail(String line) {
        close();
        listener.onTrouble(line);
    }

    private final class Opening extends CameraDevice.StateCallback {
        @Override
        public void onOpened(CameraDevice camera) {
            synchronized (CameraSource.this) {
                if (reader == null) { // Closed while it opened.
                    camera.close();
                    return;
                }
                device = camera;
                try {
                    start(camera);
                } catch (CameraAccessException error) {
                    fail("The camera gives no pictures: " + error.getMessage());
                } catch (RuntimeException error) {
                    fail("The camera gives no pictures: " + error.getMessage());
                }
            }
        }

        // The session of a list of surfaces is the one that Android 7 knows.
        @SuppressWarnings("deprecation")
        private void start(CameraDevice camera) throws CameraAccessException {
            final CaptureRequest.Builder request =
                    camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
            request.addTarget(reader.getSurface());
            camera.createCaptureSession(
                    Collections.singletonList(reader.getSurface()),
                    new CameraCaptureSession.StateCallback() {
                        @Override
                        public void onConfigured(CameraCaptureSession session) {
                            try {
                                session.setRepeatingRequest(request.build(), null, handler);
                            } catch (CameraAccessException error) {
                                fail("The camera gives no pictures: " + error.getMessage());
                            } catch (IllegalStateException error) { // Closed meanwhile.
                                close();
                            }
                        }

                        @Override
                        public void onConfigureFailed(CameraCaptureSession session) {
                            fail("The camera gives no pictures of this size");
                        }
                    },
                    handler);
        }

        @Override
        public void onDisconnected(CameraDevice camera) {
            fail("The camera was taken by another app; press Camera to go on");
        }

        @Override
        public void onError(CameraDevice camera, int error) {
            fail("The camera failed (" + error + "); press Camera to try again");
        }
    }

    private final class NewestFrame implements ImageReader.OnImageAvailableListener {
        @Override
        public void onImageAvailable(ImageReader source) {
            org.tfhmr.core.Image upright;
            double seconds;
            try {
                Image image = source.acquireLatestImage();
                if (image == null) {
                    return;
                }
                try {
                    seconds = image.getTimestamp() / 1e9;
                    upright = rgb(image);
                } finally {
                    image.close();
                }
            } catch (IllegalStateException error) { // Closed meanwhile.
                return;
            } catch (IllegalArgumentException error) {
                fail("The camera's pictures are of an unknown kind: " + error.getMessage());
                return;
            }
            listener.onFrame(upright, seconds);
        }
    }

    private org.tfhmr.core.Image rgb(Image image) {
        Yuv.Plane[] planes = new Yuv.Plane[3];
        for (int i = 0; i < planes.length; i++) {
            Image.Plane plane = image.getPlanes()[i];
            planes[i] = new Yuv.Plane(
                    plane.getBuffer(), plane.getRowStride(), plane.getPixelStride());
        }
        // What looks at the user is shown as a mirror.
        return Yuv.toRgb(
                planes, image.getWidth(), image.getHeight(), degrees, isFront, isFullRange(image));
    }

    /** Cameras give all levels (JFIF) unless they say otherwise, which Android 13 can. */
    private static boolean isFullRange(Image image) {
        if (Build.VERSION.SDK_INT < 33) {
            return true;
        }
        return DataSpace.getRange(image.getDataSpace()) != DataSpace.RANGE_LIMITED;
    }
}
