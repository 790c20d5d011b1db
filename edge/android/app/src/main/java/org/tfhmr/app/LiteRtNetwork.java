package org.tfhmr.app;

import java.io.Closeable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.gpu.GpuDelegate;
import org.tensorflow.lite.gpu.GpuDelegateFactory;
import org.tfhmr.core.Network;
import org.tfhmr.core.Tensor;

/**
 * A .tflite on the interpreter of the app, by the names of its signature.
 *
 * <p>One thread makes, runs and closes it: a GPU delegate belongs to the thread that made it.
 */
final class LiteRtNetwork implements Network, Closeable {
    private static final String SIGNATURE = "serving_default";

    private final GpuDelegate delegate;
    private final Interpreter interpreter;
    private final boolean hasSignature;
    private final Map<String, ByteBuffer> inputs = new HashMap<String, ByteBuffer>();
    private final Map<String, Object> outputs = new HashMap<String, Object>();
    private final Map<Integer, Object> outputsByIndex = new HashMap<Integer, Object>();

    /**
     * Loads a network.
     *
     * @param model the file, mapped
     * @param onGpu with the GPU delegate; what that does not take is left to the CPU
     * @param threads of the CPU
     * @throws RuntimeException the runtime or the delegate refuses it
     */
    LiteRtNetwork(ByteBuffer model, boolean onGpu, int threads) {
        Interpreter.Options options = new Interpreter.Options().setNumThreads(threads);
        delegate = onGpu ? new GpuDelegate(gpuOptions()) : null;
        if (delegate != null) {
            options.addDelegate(delegate);
        }
        Interpreter made = null;
        try {
            made = new Interpreter(model, options);
            hasSignature = made.getSignatureKeys().length > 0;
            interpreter = made;
            makeBuffers();
        } catch (RuntimeException error) {
            if (made != null) {
                made.close();
            }
            closeDelegate();
            throw error;
        }
    }

    private static GpuDelegateFactory.Options gpuOptions() {
        GpuDelegateFactory.Options options = new GpuDelegateFactory.Options();
        options.setInferencePreference(
                GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED);
        options.setPrecisionLossAllowed(true); // float16: the Gate holds it to the CPU.
        return options;
    }

    private void makeBuffers() {
        if (hasSignature) {
            for (String name : interpreter.getSignatureInputs(SIGNATURE)) {
                inputs.put(name, buffer(interpreter.getInputTensorFromSignature(name, SIGNATURE)));
            }
            for (String name : interpreter.getSignatureOutputs(SIGNATURE)) {
                outputs.put(
                        name, buffer(interpreter.getOutputTensorFromSignature(name, SIGNATURE)));
            }
            return;
        }
        inputs.put("image", buffer(interpreter.getInputTensor(0)));
        for (int i = 0; i < interpreter.getOutputTensorCount(); i++) {
            outputsByIndex.put(i, buffer(interpreter.getOutputTensor(i)));
        }
    }

    private static ByteBuffer buffer(org.tensorflow.lite.Tensor tensor) {
        return ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder());
    }

    @Override
    public List<Tensor> run(Map<String, Object> values) {
        for (Map.Entry<String, ByteBuffer> input : inputs.entrySet()) {
            fill(input.getValue(), values.get(input.getKey()), input.getKey());
        }
        List<Tensor> answers = new ArrayList<Tensor>();
        if (hasSignature) {
            rewind(outputs.values());
            interpreter.runSignature(new HashMap<String, Object>(inputs), outputs, SIGNATURE);
            for (Map.Entry<String, Object> output : outputs.entrySet()) {
                int[] shape = interpreter
                        .getOutputTensorFromSignature(output.getKey(), SIGNATURE).shape();
                answers.add(answer(output.getKey(), shape, output.getValue()));
            }
        } else {
            rewind(outputsByIndex.values());
            interpreter.runForMultipleInputsOutputs(
                    new Object[] {inputs.get("image")}, outputsByIndex);
            for (Map.Entry<Integer, Object> output : outputsByIndex.entrySet()) {
                int[] shape = interpreter.getOutputTensor(output.getKey()).shape();
                answers.add(answer("", shape, output.getValue()));
            }
        }
        return answers;
    }

    private static void fill(ByteBuffer buffer, Object value, String name) {
        buffer.rewind();
        if (value instanceof byte[] && ((byte[]) value).length == buffer.capacity()) {
            buffer.put((byte[]) value);
        } else if (value instanceof float[]
                && 4L * ((float[]) value).length == buffer.capacity()) {
            buffer.asFloatBuffer().put((float[]) value);
        } else {
            throw new IllegalArgumentException("The input " + name + " is missing, or has another"
                    + " size than the model's " + buffer.capacity() + " bytes");
        }
        buffer.rewind();
    }

    private static void rewind(Iterable<Object> buffers) {
        for (Object buffer : buffers) {
            ((ByteBuffer) buffer).rewind();
        }
    }

    /** A copy without the batch axis. */
    private static Tensor answer(String name, int[] shape, Object buffer) {
        ByteBuffer bytes = (ByteBuffer) buffer;
        bytes.rewind();
        float[] values = new float[bytes.capacity() / 4];
        bytes.asFloatBuffer().get(values);
        return new Tensor(name, java.util.Arrays.copyOfRange(shape, 1, shape.length), values);
    }

    @Override
    public void close() {
        interpreter.close();
        closeDelegate();
    }

    private void closeDelegate() {
        if (delegate != null) {
            delegate.close();
        }
    }
}
