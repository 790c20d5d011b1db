package org.tfhmr.core;

import java.util.Locale;

/** BlazePose sees nobody where a track looks: there is no answer to judge. */
public final class NobodySeen extends RuntimeException {
    private static final long serialVersionUID = 1;

    NobodySeen(double presence) {
        super(String.format(Locale.ROOT, "nobody seen (presence %.2f)", presence));
    }
}
