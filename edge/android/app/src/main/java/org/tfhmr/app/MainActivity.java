package org.tfhmr.app;

import android.Manifest;
import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.graphics.Bitmap;
import android.graphics.Color;
import android.net.Uri;
import android.os.Bundle;
import android.view.Gravity;
import android.view.Surface;
import android.view.View;
import android.widget.Button;
import android.widget.FrameLayout;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import org.tfhmr.core.Image;
import org.tfhmr.core.SharedFiles;
import org.tfhmr.core.TrackRecord;

/** The one screen: a large picture with the mesh, what happens in words, and the sources. */
public final class MainActivity extends Activity {
    private static final int PHOTO = 1;
    private static final int PERMISSION = 2;
    private static final int PANEL = 0xa0000000;

    private MeshView view;
    private TextView status;
    private TextView trouble;
    private CameraSource camera;
    private Pipeline pipeline;
    private volatile boolean isLive; // The camera's thread ends it.
    private boolean isFront;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        view = new MeshView(this, new ViewListener());
        View screen = layout();
        status.setText(R.string.hint);
        // Only now: it tells the view of the model from its own thread.
        pipeline = new Pipeline(getApplicationContext(), new PipelineListener());
        camera = new CameraSource(this, new CameraListener());
        setContentView(screen);
    }

    private View layout() {
        status = words(Color.WHITE);
        trouble = words(Color.rgb(255, 190, 120));
        trouble.setVisibility(View.GONE);
        LinearLayout top = new LinearLayout(this);
        top.setOrientation(LinearLayout.VERTICAL);
        top.setBackgroundColor(PANEL);
        top.setFitsSystemWindows(true);
        top.addView(status);
        top.addView(trouble);
        FrameLayout screen = new FrameLayout(this);
        screen.setBackgroundColor(Color.BLACK);
        screen.addView(view);
        screen.addView(top, sized(Gravity.TOP));
        screen.addView(buttons(), sized(Gravity.BOTTOM));
        return screen;
    }

    private TextView words(int colour) {
        TextView text = new TextView(this);
        text.setTextColor(colour);
        text.setPadding(24, 12, 24, 12);
        return text;
    }

    private static FrameLayout.LayoutParams sized(int gravity) {
        return new FrameLayout.LayoutParams(
                FrameLayout.LayoutParams.MATCH_PARENT,
                FrameLayout.LayoutParams.WRAP_CONTENT,
                gravity);
    }

    private View buttons() {
        LinearLayout rows = new LinearLayout(this);
        rows.setOrientation(LinearLayout.VERTICAL);
        rows.setFitsSystemWindows(true);
        int[][] texts = {
            {R.string.photo, R.string.camera, R.string.flip},
            {R.string.find, R.string.gpu, R.string.share},
        };
        for (int[] row : texts) {
            LinearLayout line = new LinearLayout(this);
            for (final int text : row) {
                Button button = new Button(this);
                button.setText(text);
                button.setOnClickListener(new View.OnClickListener() {
                    @Override
                    public void onClick(View clicked) {
                        press(text);
                    }
                });
                line.addView(button, new LinearLayout.LayoutParams(
                        0, LinearLayout.LayoutParams.WRAP_CONTENT, 1));
            }
            rows.addView(line);
        }
        return rows;
    }

    private void press(int text) {
        trouble.setVisibility(View.GONE);
        if (text == R.string.photo) {
            choosePhoto();
        } else if (text == R.string.camera) {
            startCamera();
        } else if (text == R.string.flip) {
            isFront = !isFront;
            startCamera();
        } else if (text == R.string.find) {
            pipeline.restart(null);
        } else if (text == R.string.gpu) {
            pipeline.askGpu();
        } else if (text == R.string.share) {
            share();
        }
    }

    private void choosePhoto() {
        stopCamera();
        Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT);
        intent.addCategory(Intent.CATEGORY_OPENABLE);
        intent.setType("image/*");
        try {
            startActivityForResult(intent, PHOTO);
        } catch (ActivityNotFoundException error) {
            showTrouble("This device has no app to choose photos with");
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent intent) {
        if (request != PHOTO || result != RESULT_OK || intent == null) {
            return;
        }
        final Uri uri = intent.getData();
        if (uri == null) {
            showTrouble("No photo was chosen");
            return;
        }
        new Thread("photo") {
            @Override
            public void run() {
                try {
                    pipeline.photo(PhotoSource.read(getContentResolver(), uri));
                } catch (IOException error) {
                    showTrouble(error.getMessage());
                }
            }
        }.start();
    }

    private void startCamera() {
        if (checkSelfPermission(Manifest.permission.CAMERA)
                != PackageManager.PERMISSION_GRANTED) {
            requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION);
            return;
        }
        isLive = true;
        pipeline.setLive(true);
        camera.open(isFront, displayDegrees());
    }

    private void stopCamera() {
        isLive = false;
        camera.close();
        pipeline.setLive(false);
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] names, int[] results) {
        if (request == PERMISSION && results.length > 0
                && results[0] == PackageManager.PERMISSION_GRANTED) {
            startCamera();
        } else {
            showTrouble("The camera is not allowed; choose a photo, or allow it in the system's"
                    + " settings");
        }
    }

    // getDisplay() is of Android 11.
    @SuppressWarnings("deprecation")
    private int displayDegrees() {
        switch (getWindowManager().getDefaultDisplay().getRotation()) {
            case Surface.ROTATION_90:
                return 90;
            case Surface.ROTATION_180:
                return 180;
            case Surface.ROTATION_270:
                return 270;
            default:
                return 0;
        }
    }

    @Override
    public void onConfigurationChanged(android.content.res.Configuration configuration) {
        super.onConfigurationChanged(configuration);
        if (isLive) { // Its frames are turned otherwise now.
            camera.open(isFront, displayDegrees());
        }
    }

    @Override
    protected void onResume() {
        super.onResume();
        view.onResume();
        if (isLive) {
            startCamera();
        }
    }

    @Override
    protected void onPause() {
        camera.close(); // Another app may want it; isLive says to open it again.
        view.onPause();
        super.onPause();
    }

    @Override
    protected void onDestroy() {
        camera.close();
        pipeline.close();
        super.onDestroy();
    }

    /** Gives another app the picture as PNG and the lines as .jsonl. */
    private void share() {
        if (!view.hasPicture()) {
            showTrouble("There is nothing to share yet: choose a photo, or the camera");
            return;
        }
        view.picture(new MeshView.PictureReceiver() {
            @Override
            public void onPicture(final Bitmap bitmap) {
                pipeline.lines(new Pipeline.LinesReceiver() {
                    @Override
                    public void onLines(List<String> lines) {
                        try {
                            send(bitmap, lines);
                        } catch (IOException error) {
                            showTrouble("It cannot be shared: " + error.getMessage());
                        }
                    }
                });
            }
        });
    }

    private void send(final Bitmap bitmap, List<String> lines) throws IOException {
        ArrayList<Uri> files = new ArrayList<Uri>();
        for (File file : ShareProvider.files(this).write(new PngOf(bitmap), lines)) {
            files.add(ShareProvider.uri(file));
        }
        final Intent intent = new Intent(Intent.ACTION_SEND_MULTIPLE);
        intent.setType("*/*");
        intent.putParcelableArrayListExtra(Intent.EXTRA_STREAM, files);
        intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
        runOnUiThread(new Runnable() {
            @Override
            public void run() {
                startActivity(Intent.createChooser(intent, getString(R.string.share)));
            }
        });
    }

    private static final class PngOf implements SharedFiles.Picture {
        private final Bitmap bitmap;

        PngOf(Bitmap bitmap) {
            this.bitmap = bitmap;
        }

        @Override
        public boolean write(OutputStream stream) {
            return bitmap.compress(Bitmap.CompressFormat.PNG, 100, stream);
        }
    }

    private void showTrouble(final String line) {
        runOnUiThread(new Runnable() {
            @Override
            public void run() {
                trouble.setText(line);
                trouble.setVisibility(View.VISIBLE);
            }
        });
    }

    private final class PipelineListener implements Pipeline.Listener {
        @Override
        public void onScene(Image picture, List<TrackRecord.Body> bodies, final String text) {
            view.show(new Scene(picture, bodies));
            runOnUiThread(new Runnable() {
                @Override
                public void run() {
                    status.setText(text);
                }
            });
        }

        @Override
        public void onTrouble(String line) {
            showTrouble(line);
        }

        @Override
        public void onModel(int[] faces) {
            view.setFaces(faces);
        }
    }

    private final class CameraListener implements CameraSource.Listener {
        @Override
        public void onFrame(Image image, double seconds) {
            pipeline.offer(image, seconds);
        }

        @Override
        public void onTrouble(String line) {
            isLive = false;
            showTrouble(line);
        }
    }

    private final class ViewListener implements MeshView.Listener {
        @Override
        public void onDrawn(double ms) {
            pipeline.drew(ms);
        }

        @Override
        public void onBox(double[] box) {
            pipeline.restart(box);
        }

        @Override
        public void onTrouble(String line) {
            showTrouble(line);
        }
    }
}
