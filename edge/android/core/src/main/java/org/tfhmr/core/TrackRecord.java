package org.tfhmr.core;

/** What a Track says of a frame: a line of edge/run.py's .jsonl. */
public final class TrackRecord {
    public static final String START = "start";
    public static final String TRACKED = "tracked";
    public static final String LOST = "lost";

    /** START, TRACKED or LOST. */
    public final String state;
    /** Why the person is lost; "" if not. */
    public final String reason;
    /** x, y, w, h in pixel edges: the person before this frame. */
    public final double[] boxPx;
    /** x, y, side, side in pixel edges. */
    public final double[] cropBoxPx;
    public final int width;
    public final int height;
    /** What follows is null where the person is lost. */
    public final Body body;
    /** Milliseconds of the crop, of the networks and of the smoothing. */
    public final double[] ms;

    TrackRecord(
            String state,
            String reason,
            double[] boxPx,
            double[] cropBoxPx,
            Image frame,
            Body body,
            double[] ms) {
        this.state = state;
        this.reason = reason;
        this.boxPx = boxPx;
        this.cropBoxPx = cropBoxPx;
        this.width = frame.width;
        this.height = frame.height;
        this.body = body;
        this.ms = ms;
    }

    /** A body in the frame of a camera: x right, y down, z forward, metres. */
    public static final class Body {
        /** (J, 3) rotation vectors. */
        public final double[] poseRotvec;
        public final double[] betas;
        /** (K, 3) without the translation. */
        public final double[] joints;
        /** (K, 2) from the first pixel's centre. */
        public final double[] keypointsPx;
        /** (V, 3) without the translation. */
        public final double[] vertices;
        /** (V, 2) from the first pixel's centre. */
        public final double[] verticesPx;
        public final double[] translation;
        public final double focalPx;

        Body(
                double[] poseRotvec,
                double[] betas,
                double[][] points,
                double[][] pixels,
                double[] translation,
                double focalPx) {
            this.poseRotvec = poseRotvec;
            this.betas = betas;
            this.joints = points[0];
            this.vertices = points[1];
            this.keypointsPx = pixels[0];
            this.verticesPx = pixels[1];
            this.translation = translation;
            this.focalPx = focalPx;
        }
    }
}
