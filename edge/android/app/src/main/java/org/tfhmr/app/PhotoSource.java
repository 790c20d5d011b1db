package org.tfhmr.app;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import org.tfhmr.core.Image;
import org.tfhmr.core.Photo;

/** A photo of the document picker, by the system's decoder. */
final class PhotoSource {
    private PhotoSource() {}

    /**
     * Reads a photo as Photo does.
     *
     * @throws IOException it cannot be read or decoded; one line says why
     */
    static Image read(ContentResolver resolver, Uri uri) throws IOException {
        InputStream stream;
        try {
            stream = resolver.openInputStream(uri);
        } catch (FileNotFoundException error) {
            throw new IOException("This picture is no longer there");
        } catch (SecurityException error) {
            throw new IOException("This picture is not allowed to be read");
        }
        if (stream == null) {
            throw new IOException("This picture is no longer there");
        }
        try {
            return Photo.read(stream, new SystemDecoder());
        } finally {
            stream.close();
        }
    }

    private static final class SystemDecoder implements Photo.Decoder {
        @Override
        public int[] size(byte[] content) {
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inJustDecodeBounds = true;
            BitmapFactory.decodeByteArray(content, 0, content.length, options);
            return new int[] {options.outWidth, options.outHeight};
        }

        @Override
        public Image decode(byte[] content, int sample) {
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inSampleSize = sample;
            Bitmap bitmap = BitmapFactory.decodeByteArray(content, 0, content.length, options);
            return bitmap == null ? null : rgb(bitmap);
        }

        @Override
        public int orientation(byte[] content) {
            try {
                ExifInterface exif = new ExifInterface(new ByteArrayInputStream(content));
                return exif.getAttributeInt(
                        ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
            } catch (IOException error) { // Pictures without EXIF lie as they are.
                return ExifInterface.ORIENTATION_NORMAL;
            }
        }
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
