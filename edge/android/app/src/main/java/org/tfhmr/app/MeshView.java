package org.tfhmr.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.opengl.GLES30;
import android.opengl.GLSurfaceView;
import android.view.MotionEvent;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import javax.microedition.khronos.egl.EGLConfig;
import javax.microedition.khronos.opengles.GL10;
import org.tfhmr.core.Drawing;
import org.tfhmr.core.Image;
import org.tfhmr.core.TrackRecord;

/** Draws a picture and the bodies over it, by the shaders of edge/shaders. */
final class MeshView extends GLSurfaceView {
    private static final float[] COLOUR = {166 / 255f, 189 / 255f, 219 / 255f};
    private static final float[] NO_TURN = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    private static final int POSITION = 0;
    private static final int NORMAL = 1;

    /** What the view tells; onBox on the screen's thread, the others on OpenGL's. */
    interface Listener {
        void onDrawn(double ms);

        /** A box x, y, w, h of the picture, drawn by a finger. */
        void onBox(double[] box);

        void onTrouble(String line);
    }

    /** Takes a picture of the view, on OpenGL's thread. */
    interface PictureReceiver {
        void onPicture(Bitmap bitmap);
    }

    private final Listener listener;
    private volatile Scene scene;
    private volatile int[] faces;
    private volatile PictureReceiver receiver;
    private float startX;
    private float startY;

    MeshView(Context context, Listener listener) {
        super(context);
        this.listener = listener;
        setEGLContextClientVersion(3);
        setEGLConfigChooser(8, 8, 8, 8, 16, 0);
        setRenderer(new Painter());
        setRenderMode(RENDERMODE_WHEN_DIRTY);
    }

    void setFaces(int[] faces) {
        this.faces = faces;
    }

    void show(Scene scene) {
        this.scene = scene;
        requestRender();
    }

    /** Whether there is anything to see. */
    boolean hasPicture() {
        return scene != null;
    }

    void picture(PictureReceiver receiver) {
        this.receiver = receiver;
        requestRender();
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        Scene shown = scene;
        if (event.getAction() == MotionEvent.ACTION_DOWN) {
            startX = event.getX();
            startY = event.getY();
            return true;
        }
        if (event.getAction() != MotionEvent.ACTION_UP || shown == null) {
            return true;
        }
        performClick();
        double[] touches = {startX, startY, event.getX(), event.getY()};
        double[] box = Drawing.box(shown.picture, getWidth(), getHeight(), touches);
        if (box != null) {
            listener.onBox(box);
        }
        return true;
    }

    @Override
    public boolean performClick() {
        return super.performClick();
    }

    private final class Painter implements Renderer {
        private int pictureProgram;
        private int meshProgram;
        private int texture;
        private int width;
        private int height;

        @Override
        public void onSurfaceCreated(GL10 unused, EGLConfig config) {
            try {
                pictureProgram = program("picture");
                meshProgram = program("mesh");
            } catch (IOException error) {
                listener.onTrouble("The shaders cannot be used: " + error.getMessage());
            }
            int[] names = new int[1];
            GLES30.glGenTextures(1, names, 0);
            texture = names[0];
            GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, texture);
            int[] parameters = {
                GLES30.GL_TEXTURE_MIN_FILTER, GLES30.GL_LINEAR,
                GLES30.GL_TEXTURE_MAG_FILTER, GLES30.GL_LINEAR,
                GLES30.GL_TEXTURE_WRAP_S, GLES30.GL_CLAMP_TO_EDGE,
                GLES30.GL_TEXTURE_WRAP_T, GLES30.GL_CLAMP_TO_EDGE,
            };
            for (int i = 0; i < parameters.length; i += 2) {
                GLES30.glTexParameteri(
                        GLES30.GL_TEXTURE_2D, parameters[i], parameters[i + 1]);
            }
        }

        @Override
        public void onSurfaceChanged(GL10 unused, int newWidth, int newHeight) {
            width = newWidth;
            height = newHeight;
        }

        @Override
        public void onDrawFrame(GL10 unused) {
            final long begin = System.nanoTime();
            Scene shown = scene;
            GLES30.glViewport(0, 0, width, height);
            GLES30.glClearColor(0, 0, 0, 1);
            GLES30.glClear(GLES30.GL_COLOR_BUFFER_BIT | GLES30.GL_DEPTH_BUFFER_BIT);
            if (shown == null || meshProgram == 0) {
                return;
            }
            int[] port = Drawing.viewport(shown.picture, width, height);
            GLES30.glViewport(port[0], port[1], port[2], port[3]);
            drawPicture(shown.picture);
            for (TrackRecord.Body body : shown.bodies) {
                GLES30.glClear(GLES30.GL_DEPTH_BUFFER_BIT);
                drawBody(body, shown.picture);
            }
            GLES30.glFinish();
            listener.onDrawn((System.nanoTime() - begin) / 1e6);
            PictureReceiver waiting = receiver;
            if (waiting != null) {
                receiver = null;
                waiting.onPicture(pixels(port));
            }
        }

        private void drawPicture(Image picture) {
            GLES30.glDisable(GLES30.GL_DEPTH_TEST);
            GLES30.glUseProgram(pictureProgram);
            GLES30.glActiveTexture(GLES30.GL_TEXTURE0);
            GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, texture);
            GLES30.glPixelStorei(GLES30.GL_UNPACK_ALIGNMENT, 1);
            ByteBuffer rgb = ByteBuffer.allocateDirect(picture.rgb.length);
            rgb.put(picture.rgb).rewind();
            GLES30.glTexImage2D(
                    GLES30.GL_TEXTURE_2D, 0, GLES30.GL_RGB8, picture.width, picture.height, 0,
                    GLES30.GL_RGB, GLES30.GL_UNSIGNED_BYTE, rgb);
            GLES30.glUniform1i(GLES30.glGetUniformLocation(pictureProgram, "picture"), 0);
            GLES30.glDrawArrays(GLES30.GL_TRIANGLE_STRIP, 0, 4);
        }

        private void drawBody(TrackRecord.Body body, Image picture) {
            int[] triangles = faces;
            if (triangles == null) {
                return;
            }
            GLES30.glEnable(GLES30.GL_DEPTH_TEST);
            GLES30.glUseProgram(meshProgram);
            float[] toClip = Drawing.toClip(body, picture.width, picture.height);
            GLES30.glUniformMatrix4fv(uniform("to_clip"), 1, false, toClip, 0);
            GLES30.glUniformMatrix3fv(uniform("turn"), 1, false, NO_TURN, 0);
            GLES30.glUniform3fv(uniform("colour"), 1, COLOUR, 0);
            attribute(POSITION, Drawing.floats(body.vertices));
            attribute(NORMAL, Drawing.normals(body.vertices, triangles));
            ByteBuffer indices = buffer(triangles.length);
            indices.asIntBuffer().put(triangles);
            GLES30.glDrawElements(
                    GLES30.GL_TRIANGLES, triangles.length, GLES30.GL_UNSIGNED_INT, indices);
            GLES30.glDisableVertexAttribArray(POSITION);
            GLES30.glDisableVertexAttribArray(NORMAL);
        }

        private int uniform(String name) {
            return GLES30.glGetUniformLocation(meshProgram, name);
        }

        private void attribute(int location, float[] values) {
            ByteBuffer bytes = buffer(values.length);
            bytes.asFloatBuffer().put(values);
            GLES30.glVertexAttribPointer(location, 3, GLES30.GL_FLOAT, false, 0, bytes);
            GLES30.glEnableVertexAttribArray(location);
        }

        private ByteBuffer buffer(int numbers) {
            return ByteBuffer.allocateDirect(4 * numbers).order(ByteOrder.nativeOrder());
        }

        /** The drawn picture; OpenGL's first row is the lowest. */
        private Bitmap pixels(int[] port) {
            ByteBuffer rgba = buffer(port[2] * port[3]);
            GLES30.glReadPixels(
                    port[0], port[1], port[2], port[3], GLES30.GL_RGBA, GLES30.GL_UNSIGNED_BYTE,
                    rgba);
            Bitmap bitmap = Bitmap.createBitmap(port[2], port[3], Bitmap.Config.ARGB_8888);
            bitmap.copyPixelsFromBuffer(rgba);
            android.graphics.Matrix flip = new android.graphics.Matrix();
            flip.postScale(1, -1);
            return Bitmap.createBitmap(bitmap, 0, 0, port[2], port[3], flip, false);
        }

        private int program(String name) throws IOException {
            int program = GLES30.glCreateProgram();
            GLES30.glAttachShader(program, shader(GLES30.GL_VERTEX_SHADER, name + ".vert"));
            GLES30.glAttachShader(program, shader(GLES30.GL_FRAGMENT_SHADER, name + ".frag"));
            GLES30.glLinkProgram(program);
            int[] status = new int[1];
            GLES30.glGetProgramiv(program, GLES30.GL_LINK_STATUS, status, 0);
            if (status[0] == 0) {
                throw new IOException(name + ": " + GLES30.glGetProgramInfoLog(program));
            }
            return program;
        }

        private int shader(int kind, String name) throws IOException {
            InputStream stream = getContext().getAssets().open("shaders/" + name);
            String source;
            try {
                source = new String(ModelAssets.bytes(stream), StandardCharsets.UTF_8);
            } finally {
                stream.close();
            }
            int shader = GLES30.glCreateShader(kind);
            GLES30.glShaderSource(shader, source);
            GLES30.glCompileShader(shader);
            int[] status = new int[1];
            GLES30.glGetShaderiv(shader, GLES30.GL_COMPILE_STATUS, status, 0);
            if (status[0] == 0) {
                throw new IOException(name + ": " + GLES30.glGetShaderInfoLog(shader));
            }
            return shader;
        }
    }
}
