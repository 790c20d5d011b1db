package org.tfhmr.core;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What a network of edge.export answers about one person. */
public final class Answer {
    static final List<String> NAMES =
            Collections.unmodifiableList(
                    Arrays.asList(
                            "vertices", "joints", "keypoints", "rotmats", "betas", "camera"));

    /** (V, 3) metres. */
    public final float[] vertices;
    /** (K, 3) metres. */
    public final float[] joints;
    /** (K, 2) in [-1, 1] of the crop. */
    public final float[] keypoints;
    /** (J, 3, 3). */
    public final float[] rotmats;
    public final float[] betas;
    /** s, tx, ty of weak perspective. */
    public final float[] camera;

    /**
     * Takes the outputs by name.
     *
     * @throws IllegalArgumentException one is missing, or they do not fit each other
     */
    public Answer(List<Tensor> outputs) {
        vertices = Tensor.named(outputs, "vertices");
        joints = Tensor.named(outputs, "joints");
        keypoints = Tensor.named(outputs, "keypoints");
        rotmats = Tensor.named(outputs, "rotmats");
        betas = Tensor.named(outputs, "betas");
        camera = Tensor.named(outputs, "camera");
        if (vertices.length % 3 != 0
                || joints.length * 2 != keypoints.length * 3
                || rotmats.length % 9 != 0
                || camera.length != 3) {
            throw new IllegalArgumentException("The outputs do not fit each other");
        }
    }

    /** Names of the outputs that hold a number that is not finite. */
    List<String> notFinite() {
        float[][] all = {vertices, joints, keypoints, rotmats, betas, camera};
        List<String> names = new ArrayList<String>();
        for (int i = 0; i < all.length; i++) {
            for (float value : all[i]) {
                if (Float.isNaN(value) || Float.isInfinite(value)) {
                    names.add(NAMES.get(i));
                    break;
                }
            }
        }
        return names;
    }
}
