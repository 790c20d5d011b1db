package org.tfhmr.app;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import org.tfhmr.core.Image;

/** A photo of the document picker, upright, at a scale that memory holds. */
final class PhotoSource {
    private static final int MAX_PIXELS = 4000000;
    private static final int MAX_BYTES = 100000000;

    private PhotoSource() {}

    /**
     * Reads a photo.
     *
     * @throws IOException it cannot be read or decoded; one line says why
     */
    static Image read(ContentResolver resolver, Uri uri) throws IOException {
        try {
            byte[] content = content(resolver, uri);
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inJustDecodeBounds = true;
            BitmapFactory.decodeByteArray(content, 0, content.length, options);
            if (options.outWidth < 1 || options.outHeight < 1) {
                throw new IOException("This file is no picture that the system reads");
            }
            options.inJustDecodeBounds = false;
            options.inSampleSize = sampleSize(options.outWidth, options.outHeight);
            Bitmap bitmap = BitmapFactory.decodeByteArray(content, 0, content.length, options);
            if (bitmap == null) {
                throw new IOException("This picture is damaged");
            }
            return rgb(upright(bitmap, orientation(content)));
        } catch (OutOfMemoryError error) {
            throw new IOException("This picture is larger than the memory");
        } catch (SecurityException error) {
            throw new IOException("This picture is not allowed to be read");
        }
    }

    /** The power of two that takes a picture below MAX_PIXELS. */
    private static int sampleSize(int width, int height) {
        int sample = 1;
        while ((long) width * height / ((long) sample * sample) > MAX_PIXELS) {
            sample *= 2;
        }
        return sample;
    }

    private static byte[] content(ContentResolver resolver, Uri uri) throws IOException {
        InputStream stream;
        try {
            stream = resolver.openInputStream(uri);
        } catch (FileNotFoundException error) {
            throw new IOException("This picture is no longer there");
        }
        if (stream == null) {
            throw new IOException("This picture is no longer there");
        }
        try {
            if (stream.available() > MAX_BYTES) {
                throw new IOException("This file is too large for a picture");
            }
            return ModelAssets.bytes(stream);
        } finally {
            stream.close();
        }
    }

    private static int orientation(byte[] content) {
        try {
            ExifInterface exif = new ExifInterface(new ByteArrayInputStream(content));
            return exif.getAttributeInt(
                    ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
        } catch (IOException error) { // Pictures without EXIF lie as they are.
            return ExifInterface.ORIENTATION_NORMAL;
        }
    }

    private static Bitmap upright(Bitmap bitmap, int orientation) {
        Matrix matrix = new Matrix();
        switch (orientation) {
            case ExifInterface.ORIENTATION_FLIP_HORIZONTAL:
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_180:
                matrix.postRotate(180);
                break;
            case ExifInterface.ORIENTATION_FLIP_VERTICAL:
                matrix.postScale(1, -1);
                break;
            case ExifInterface.ORIENTATION_TRANSPOSE:
                matrix.postRotate(90);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_90:
                matrix.postRotate(90);
                break;
            case ExifInterface.ORIENTATION_TRANSVERSE:
                matrix.postRotate(270);
                matrix.postScale(-1, 1);
                break;
            case ExifInterface.ORIENTATION_ROTATE_270:
                matrix.postRotate(270);
                break;
            default:
                return bitmap;
        }
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        return Bitmap.createBitmap(bitmap, 0, 0, width, height, matrix, true);
    }

    private static Image rgb(Bitmap bitmap) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        byte[] rgb = new byte[width * height * 3];
        int[] row = new int[width];
        int at = 0;
        for (int y = 0; y < height; y++) {
            bitmap.getPixels(row, 0, width, 0, y, width, 1);
            for (int colour : row) {
                rgb[at++] = (byte) (colour >> 16);
                rgb[at++] = (byte) (colour >> 8);
                rgb[at++] = (byte) colour;
            }
        }
        bitmap.recycle();
        return new Image(rgb, width, height);
    }
}
