package org.tfhmr.core;

import java.util.List;
import java.util.Map;

/** A .tflite on some runtime. One thread uses it. */
public interface Network {
    /**
     * Runs it once.
     *
     * @param inputs without the batch axis, by the names of its signature: byte[] for uint8 and
     *     float[] for float32. A network without a signature has one input, "image".
     * @return all outputs
     */
    List<Tensor> run(Map<String, Object> inputs);
}
