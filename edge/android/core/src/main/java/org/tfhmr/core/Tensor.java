package org.tfhmr.core;

import java.util.Arrays;
import java.util.List;

/** Numbers that a network answers. */
public final class Tensor {
    public final String name;
    /** Without the batch axis. */
    public final int[] shape;
    public final float[] values;

    public Tensor(String name, int[] shape, float[] values) {
        this.name = name;
        this.shape = shape;
        this.values = values;
    }

    /**
     * The values of the tensor of that name.
     *
     * @throws IllegalArgumentException there is none
     */
    static float[] named(List<Tensor> tensors, String name) {
        for (Tensor tensor : tensors) {
            if (tensor.name.equals(name)) {
                return tensor.values;
            }
        }
        throw new IllegalArgumentException("The network has no output " + name);
    }

    /**
     * The values of the tensor of that shape, without the batch axis.
     *
     * @throws IllegalArgumentException there is none
     */
    static float[] shaped(List<Tensor> tensors, int... shape) {
        for (Tensor tensor : tensors) {
            if (Arrays.equals(tensor.shape, shape)) {
                return tensor.values;
            }
        }
        throw new IllegalArgumentException(
                "The network has no output of shape " + Arrays.toString(shape));
    }
}
