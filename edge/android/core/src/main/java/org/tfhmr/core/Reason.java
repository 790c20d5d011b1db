package org.tfhmr.core;

import java.util.List;
import java.util.Locale;

/** Why a person is lost, in the words of edge/run.py. */
final class Reason {
    private Reason() {}

    static String noAnswer(List<String> notFinite, float scale) {
        StringBuilder names = new StringBuilder("[");
        for (String name : notFinite) {
            names.append(names.length() > 1 ? ", '" : "'").append(name).append('\'');
        }
        String number = Float.isNaN(scale) ? "nan" : String.valueOf((double) scale);
        return names + "] not finite, or a scale of 0 or less (" + number + ")";
    }

    static String implausible(double visibleShare, float scale) {
        return String.format(
                Locale.ROOT,
                "%.0f%% of joints in the frame, camera scale %.2f",
                100 * visibleShare,
                scale);
    }

    static String otherColours(double likeness) {
        return String.format(Locale.ROOT, "other colours (%.2f alike)", likeness);
    }
}
