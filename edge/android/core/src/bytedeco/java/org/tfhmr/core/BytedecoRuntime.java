package org.tfhmr.core;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.tensorflowlite.BuiltinOpResolver;
import org.bytedeco.tensorflowlite.FlatBufferModel;
import org.bytedeco.tensorflowlite.Interpreter;
import org.bytedeco.tensorflowlite.InterpreterBuilder;
import org.bytedeco.tensorflowlite.SignatureRunner;
import org.bytedeco.tensorflowlite.TfLiteTensor;
import org.bytedeco.tensorflowlite.global.tensorflowlite;

/** TensorFlow Lite 2.19 of org.bytedeco, for a JVM of any age. */
public final class BytedecoRuntime implements InferenceChecks.Runtime {
    @Override
    public Network open(String model) {
        return new Loaded(model);
    }

    @Override
    public boolean isPythons() {
        return false;
    }

    private static final class Loaded implements Network {
        private static final String SIGNATURE = "serving_default";

        // The interpreter reads the model as long as it lives.
        private final FlatBufferModel model;
        private final Interpreter interpreter = new Interpreter((org.bytedeco.javacpp.Pointer) null);
        private final SignatureRunner signature;

        Loaded(String path) {
            model = FlatBufferModel.BuildFromFile(path);
            if (model == null || model.isNull()) {
                throw new IllegalArgumentException(path + " is no network");
            }
            check(new InterpreterBuilder(model, new BuiltinOpResolver()).apply(interpreter, 1));
            boolean hasSignature = interpreter.signature_keys().size() > 0;
            signature = hasSignature ? interpreter.GetSignatureRunner(SIGNATURE) : null;
            check(hasSignature ? signature.AllocateTensors() : interpreter.AllocateTensors());
        }

        @Override
        public List<Tensor> run(Map<String, Object> inputs) {
            for (Map.Entry<String, Object> input : inputs.entrySet()) {
                TfLiteTensor tensor = signature == null ? interpreter.input_tensor(0)
                        : signature.input_tensor(input.getKey());
                fill(tensor, input.getValue());
            }
            check(signature == null ? interpreter.Invoke() : signature.Invoke());
            List<Tensor> outputs = new ArrayList<Tensor>();
            if (signature == null) {
                for (int i = 0; i < interpreter.outputs().limit(); i++) {
                    outputs.add(output("", interpreter.output_tensor(i)));
                }
            } else {
                for (String name : Answer.NAMES) {
                    outputs.add(output(name, signature.output_tensor(name)));
                }
            }
            return outputs;
        }

        private static void fill(TfLiteTensor tensor, Object values) {
            BytePointer data = new BytePointer(tensor.data().data());
            boolean isBytes = values instanceof byte[];
            long bytes = isBytes ? ((byte[]) values).length : 4L * ((float[]) values).length;
            if (bytes != tensor.bytes()) {
                throw new IllegalArgumentException(
                        "An input of " + bytes + " bytes, expected " + tensor.bytes());
            }
            if (isBytes) {
                data.put((byte[]) values);
            } else {
                new FloatPointer(data).put((float[]) values);
            }
        }

        private static Tensor output(String name, TfLiteTensor tensor) {
            int[] shape = new int[tensor.dims().size() - 1];
            for (int i = 0; i < shape.length; i++) {
                shape[i] = tensor.dims().data(i + 1);
            }
            float[] values = new float[(int) (tensor.bytes() / 4)];
            new FloatPointer(tensor.data().data()).get(values);
            return new Tensor(name, shape, values);
        }

        private static void check(int status) {
            if (status != tensorflowlite.kTfLiteOk) {
                throw new IllegalStateException("TensorFlow Lite says status " + status);
            }
        }
    }
}
