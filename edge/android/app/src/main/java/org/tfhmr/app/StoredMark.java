package org.tfhmr.app;

import android.content.Context;
import android.content.SharedPreferences;
import org.tfhmr.core.Gate;

/** The Gate's mark in the app's own storage, which outlives the process. */
final class StoredMark implements Gate.Mark {
    private static final String KEY = "gpu_runs_for_the_first_time";

    private final SharedPreferences storage;

    StoredMark(Context context) {
        storage = context.getSharedPreferences("gate", Context.MODE_PRIVATE);
    }

    @Override
    public boolean isSet() {
        return storage.getBoolean(KEY, false);
    }

    @Override
    public void set() {
        storage.edit().putBoolean(KEY, true).commit(); // commit waits until it is on disk.
    }

    @Override
    public void clear() {
        storage.edit().remove(KEY).commit();
    }
}
