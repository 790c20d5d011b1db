package org.tfhmr.app;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import org.tfhmr.core.Image;
import org.tfhmr.core.TrackRecord;

/** A picture and the bodies over it, those that are far away first. */
final class Scene {
    final Image picture;
    final List<TrackRecord.Body> bodies;

    Scene(Image picture, List<TrackRecord.Body> bodies) {
        this.picture = picture;
        List<TrackRecord.Body> sorted = new ArrayList<TrackRecord.Body>(bodies);
        Collections.sort(
                sorted,
                new Comparator<TrackRecord.Body>() {
                    @Override
                    public int compare(TrackRecord.Body a, TrackRecord.Body b) {
                        return Double.compare(b.translation[2], a.translation[2]);
                    }
                });
        this.bodies = sorted;
    }
}
