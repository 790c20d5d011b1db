package org.tfhmr.core;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** The landmarks of BlazePose, by name (tf_hmr/joints.py BLAZEPOSE33). */
final class BlazePose {
    static final List<String> NAMES =
            Collections.unmodifiableList(
                    Arrays.asList(
                            "nose",
                            "left_eye_inner",
                            "left_eye",
                            "left_eye_outer",
                            "right_eye_inner",
                            "right_eye",
                            "right_eye_outer",
                            "left_ear",
                            "right_ear",
                            "left_mouth",
                            "right_mouth",
                            "left_shoulder",
                            "right_shoulder",
                            "left_elbow",
                            "right_elbow",
                            "left_wrist",
                            "right_wrist",
                            "left_pinky",
                            "right_pinky",
                            "left_index",
                            "right_index",
                            "left_thumb",
                            "right_thumb",
                            "left_hip",
                            "right_hip",
                            "left_knee",
                            "right_knee",
                            "left_ankle",
                            "right_ankle",
                            "left_heel",
                            "right_heel",
                            "left_foot_index",
                            "right_foot_index"));

    private static final String[] LIMBS = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle"};

    private BlazePose() {}

    /** Rows of the nose and of the joints of both sides, by which answers are compared. */
    static int[] joints() {
        String[] names = new String[1 + 2 * LIMBS.length];
        names[0] = "nose";
        for (int i = 0; i < LIMBS.length; i++) {
            names[1 + 2 * i] = "left_" + LIMBS[i];
            names[2 + 2 * i] = "right_" + LIMBS[i];
        }
        return rows(names);
    }

    /** Rows of the landmarks that stand for keypoints of a body. */
    static int[] keypoints() {
        return rows(
                "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder",
                "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
                "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
                "left_heel", "right_heel", "left_foot_index", "right_foot_index");
    }

    /** Both of a kind of joint: left, right. */
    static int[] both(String joint) {
        return rows("left_" + joint, "right_" + joint);
    }

    /** Rows of the ends of the bones; the head is a bone of one point. */
    static int[][] bones() {
        return new int[][] {
            rows("left_shoulder", "left_elbow"),
            rows("left_elbow", "left_wrist"),
            rows("right_shoulder", "right_elbow"),
            rows("right_elbow", "right_wrist"),
            rows("left_shoulder", "left_hip"),
            rows("right_shoulder", "right_hip"),
            rows("left_hip", "left_knee"),
            rows("left_knee", "left_ankle"),
            rows("right_hip", "right_knee"),
            rows("right_knee", "right_ankle"),
            both("hip"),
            both("shoulder"),
            rows("nose", "nose"),
        };
    }

    private static int[] rows(String... names) {
        int[] rows = new int[names.length];
        for (int i = 0; i < names.length; i++) {
            rows[i] = NAMES.indexOf(names[i]);
        }
        return rows;
    }
}
