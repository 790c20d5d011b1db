package org.tfhmr.core;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The LiteRT of the Python package ai-edge-litert, by its C functions: Java 22 or later.
 *
 * <p>The functions are those of LiteRT 2.3. They change between versions: the first that is
 * missing or refuses is named. Nothing is released before the process ends.
 */
@SuppressWarnings("restricted") // Of methods that are trusted with memory.
public final class LiteRtRuntime implements InferenceChecks.Runtime {
    private static final int CPU = 1;

    private final Arena arena = Arena.global();
    private final String path = System.getProperty("litert");
    private final SymbolLookup library = SymbolLookup.libraryLookup(Path.of(path), arena);

    @Override
    public Network open(String model) {
        return new Loaded(model);
    }

    @Override
    public boolean isPythons() {
        return true;
    }

    /**
     * Calls a C function.
     *
     * @param arguments pointers as MemorySegment, sizes as Long, enumerations as Integer
     * @throws IllegalStateException it is missing, or answers another status than 0
     */
    private void call(String name, Object... arguments) {
        MemoryLayout[] layouts = new MemoryLayout[arguments.length];
        for (int i = 0; i < layouts.length; i++) {
            layouts[i] = arguments[i] instanceof MemorySegment ? ADDRESS
                    : arguments[i] instanceof Long ? JAVA_LONG : JAVA_INT;
        }
        MemorySegment function = library.find(name).orElseThrow(
                () -> new IllegalStateException(path + " has no " + name));
        int status;
        try {
            status = (int) Linker.nativeLinker()
                    .downcallHandle(function, FunctionDescriptor.of(JAVA_INT, layouts))
                    .invokeWithArguments(arguments);
        } catch (Throwable error) { // What the method handle declares.
            throw new IllegalStateException(name, error);
        }
        if (status != 0) {
            throw new IllegalStateException(name + " answers status " + status);
        }
    }

    /** What a function makes, whose last argument is where it goes. */
    private MemorySegment made(String name, Object... arguments) {
        MemorySegment result = arena.allocate(ADDRESS);
        call(name, with(arguments, result));
        return result.get(ADDRESS, 0);
    }

    private int count(String name, MemorySegment of) {
        MemorySegment result = arena.allocate(JAVA_LONG);
        call(name, of, result);
        return Math.toIntExact(result.get(JAVA_LONG, 0));
    }

    private static Object[] with(Object[] arguments, Object last) {
        Object[] all = java.util.Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = last;
        return all;
    }

    /** A tensor of the network's signature, and the buffer that holds its numbers. */
    private final class Buffer {
        // LiteRtRankedTensorType: the type of an element; the rank in seven bits; the sides.
        private static final int TYPE_BYTES = 512;
        private static final int RANK = 4;
        private static final int RANK_BITS = 127;
        private static final int SIDES = 8;
        private static final int READ = 0;
        private static final int WRITE = 1;

        final String name;
        final int[] shape; // Without the batch axis.
        final MemorySegment handle;

        /**
         * Makes one.
         *
         * @param kind Input or Output
         */
        Buffer(
                String kind,
                long index,
                MemorySegment environment,
                MemorySegment compiled,
                MemorySegment signature) {
            String of = "LiteRtGetSignature" + kind;
            name = made(of + "Name", signature, index).reinterpret(Integer.MAX_VALUE).getString(0);
            MemorySegment tensor = made(of + "TensorByIndex", signature, index);
            MemorySegment type = arena.allocate(TYPE_BYTES, JAVA_LONG.byteAlignment());
            call("LiteRtGetRankedTensorType", tensor, type);
            shape = new int[(type.get(JAVA_INT, RANK) & RANK_BITS) - 1];
            for (int i = 0; i < shape.length; i++) {
                shape[i] = type.get(JAVA_INT, SIDES + 4L * (i + 1));
            }
            MemorySegment needs = made(
                    "LiteRtGetCompiledModel" + kind + "BufferRequirements", compiled, 0L, index);
            handle = made(
                    "LiteRtCreateManagedTensorBufferFromRequirements", environment, type, needs);
        }

        private MemorySegment lock(int mode) {
            MemorySegment result = arena.allocate(ADDRESS);
            call("LiteRtLockTensorBuffer", handle, result, mode);
            return result.get(ADDRESS, 0);
        }

        private long elements() {
            long elements = 1;
            for (int side : shape) {
                elements *= side;
            }
            return elements;
        }

        void write(Object values) {
            boolean isBytes = values instanceof byte[];
            MemorySegment array = isBytes ? MemorySegment.ofArray((byte[]) values)
                    : MemorySegment.ofArray((float[]) values);
            long bytes = elements() * (isBytes ? JAVA_BYTE : JAVA_FLOAT).byteSize();
            if (bytes != array.byteSize()) {
                throw new IllegalArgumentException("The input " + name + " has "
                        + array.byteSize() + " bytes, expected " + bytes);
            }
            lock(WRITE).reinterpret(bytes).copyFrom(array);
            call("LiteRtUnlockTensorBuffer", handle);
        }

        Tensor read() {
            MemorySegment memory = lock(READ).reinterpret(elements() * JAVA_FLOAT.byteSize());
            float[] values = memory.toArray(JAVA_FLOAT);
            call("LiteRtUnlockTensorBuffer", handle);
            return new Tensor(name, shape, values);
        }
    }

    private final class Loaded implements Network {
        private final MemorySegment compiled;
        private final List<Buffer> inputs;
        private final List<Buffer> outputs;
        private final MemorySegment inputHandles;
        private final MemorySegment outputHandles;

        Loaded(String file) {
            MemorySegment environment = made("LiteRtCreateEnvironment", 0, MemorySegment.NULL);
            MemorySegment model =
                    made("LiteRtCreateModelFromFile", environment, arena.allocateFrom(file));
            MemorySegment options = made("LiteRtCreateOptions");
            call("LiteRtSetOptionsHardwareAccelerators", options, CPU);
            compiled = made("LiteRtCreateCompiledModel", environment, model, options);
            // Of a network without a signature too, by the names of its tensors.
            MemorySegment signature = made("LiteRtGetModelSignature", model, 0L);
            inputs = buffers("Input", environment, signature);
            outputs = buffers("Output", environment, signature);
            inputHandles = handles(inputs);
            outputHandles = handles(outputs);
        }

        private List<Buffer> buffers(
                String kind, MemorySegment environment, MemorySegment signature) {
            List<Buffer> buffers = new ArrayList<>();
            int count = count("LiteRtGetNumSignature" + kind + "s", signature);
            for (long i = 0; i < count; i++) {
                buffers.add(new Buffer(kind, i, environment, compiled, signature));
            }
            return buffers;
        }

        private MemorySegment handles(List<Buffer> buffers) {
            MemorySegment handles = arena.allocate(ADDRESS, buffers.size());
            for (int i = 0; i < buffers.size(); i++) {
                handles.setAtIndex(ADDRESS, i, buffers.get(i).handle);
            }
            return handles;
        }

        @Override
        public List<Tensor> run(Map<String, Object> values) {
            for (Buffer input : inputs) {
                Object value = values.get(input.name);
                // BlazePose has no signature; its one input has a name of its own.
                boolean isSole = value == null && values.size() == 1 && inputs.size() == 1;
                input.write(isSole ? values.values().iterator().next() : value);
            }
            call(
                    "LiteRtRunCompiledModel", compiled, 0L,
                    (long) inputs.size(), inputHandles, (long) outputs.size(), outputHandles);
            List<Tensor> answers = new ArrayList<>();
            for (Buffer output : outputs) {
                answers.add(output.read());
            }
            return answers;
        }
    }
}
