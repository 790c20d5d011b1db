package org.tfhmr.app;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;
import org.tfhmr.core.SharedFiles;

/** Lets another app read what was shared with it: files of the app's cache, read only. */
public final class ShareProvider extends ContentProvider {
    static final String AUTHORITY = "org.tfhmr.app.share";

    static Uri uri(File file) {
        return new Uri.Builder()
                .scheme("content").authority(AUTHORITY).appendPath(file.getName()).build();
    }

    /** What is shared: files of the app's cache. */
    static SharedFiles files(Context context) {
        return new SharedFiles(new File(context.getCacheDir(), "share"));
    }

    private File file(Uri uri) throws FileNotFoundException {
        return files(getContext()).named(uri.getLastPathSegment());
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String where, String[] values, String order) {
        MatrixCursor cursor = new MatrixCursor(
                new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        try {
            File file = file(uri);
            cursor.addRow(new Object[] {file.getName(), file.length()});
        } catch (FileNotFoundException error) {
            return cursor; // No rows.
        }
        return cursor;
    }

    @Override
    public String getType(Uri uri) {
        return SharedFiles.type(uri.getLastPathSegment());
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException("Read only");
    }

    @Override
    public int delete(Uri uri, String where, String[] values) {
        throw new UnsupportedOperationException("Read only");
    }

    @Override
    public int update(Uri uri, ContentValues values, String where, String[] arguments) {
        throw new UnsupportedOperationException("Read only");
    }
}
