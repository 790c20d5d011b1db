"""The lint of .tflite files: each fault is planted and found by name."""

import numpy as np
import pytest
import tensorflow as tf

from edge import gpu_2_16, lint, operators

FLEX = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]


def converted(function, *shapes, ops=None) -> bytes:
    """A .tflite of a function of float32 tensors."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    graph = tf.function(function, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [graph.get_concrete_function()], graph
    )
    if ops:
        converter.target_spec.supported_ops = ops
    return converter.convert()


@pytest.fixture(scope="module")
def clean() -> bytes:
    """Two products, a slice and a 1x1 convolution, as delegates take them."""
    kernel = np.ones((1, 1, 4, 4), np.float32)

    def function(x, y):
        x = tf.matmul(x, y)[:, 0:2, :, :]
        return tf.nn.conv2d(x, kernel, 1, "VALID")

    return converted(function, (1, 3, 4, 4), (1, 3, 4, 4))


def changed(content: bytes, change) -> bytes:
    """The .tflite after `change` of its schema objects."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model, model.subgraphs[0], schema)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operator_of(model, graph, schema, kind: str):
    """The operator of a kind."""
    number = getattr(schema.BuiltinOperator, kind)
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        if number in (code.builtinCode, code.deprecatedBuiltinCode):
            return operator
    raise AssertionError(f"no {kind} in the file")


def test_a_clean_file_has_no_fault(clean):
    kinds = [operator.kind for operator in operators.read(clean)]
    assert {"BATCH_MATMUL", "STRIDED_SLICE", "CONV_2D"} <= set(kinds)
    assert list(lint.faults(clean)) == []
    lint.check(clean)


@pytest.mark.parametrize(
    ("function", "shape", "ops", "message"),
    [
        (lambda x: x[:, 0] + x[:, 1], (1, 2, 3), None, "drops an axis"),
        (tf.linalg.det, (1, 3, 3), FLEX, "no built-in operator"),
        (
            lambda x: tf.transpose(x[None] + x, (4, 1, 2, 3, 0)),
            (1, 2, 3, 3),
            None,
            "more than 4 axes",
        ),
        (lambda x: tf.sqrt(x) + 1, (None, 3), None, "not static"),
        (lambda x: tf.matmul(tf.ones((4, 5, 3)), x), (4, 3, 2), None, "right"),
        (lambda x: tf.matmul(x, x), (1, 2, 3, 3), None, "with itself"),
        (
            lambda x: tf.gather_nd(x, [[0, 1], [1, 1]]),
            (2, 3, 4),
            None,
            "one-hot product",
        ),
        (lambda x: tf.math.l2_normalize(x, -1), (1, 3), None, "rsqrt"),
        (
            lambda x: tf.while_loop(
                lambda i, _: i < 3, lambda i, y: (i + 1, y * x), (0, x)
            )[1],
            (1, 3),
            None,
            "unroll it",
        ),
    ],
)
def test_what_a_converter_lets_through_is_found(function, shape, ops, message):
    content = converted(function, shape, ops=ops)
    with pytest.raises(ValueError, match=message):
        lint.check(content)


@pytest.mark.parametrize("kind", sorted(lint.REFUSED))
def test_refused_operators_are_found(clean, kind):
    def plant(model, graph, schema):
        operator = operator_of(model, graph, schema, "CONV_2D")
        code = model.operatorCodes[operator.opcodeIndex]
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)

    faults = list(lint.faults(changed(clean, plant)))
    assert len(faults) == 1
    assert kind in faults[0]
    assert lint.REFUSED[kind] in faults[0]


def int8_of_stride_2(model, graph, schema):
    operator = operator_of(model, graph, schema, "CONV_2D")
    operator.builtinOptions.strideH = operator.builtinOptions.strideW = 2
    weights = graph.tensors[operator.inputs[1]]
    weights.type = schema.TensorType.INT8


def int8_of_many_scales(model, graph, schema):
    operator = operator_of(model, graph, schema, "CONV_2D")
    code = model.operatorCodes[operator.opcodeIndex]
    code.builtinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.deprecatedBuiltinCode = code.builtinCode
    weights = graph.tensors[operator.inputs[1]]
    weights.type = schema.TensorType.INT8
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.scale = [1.0, 2.0]


def new_axis(model, graph, schema):
    operator = operator_of(model, graph, schema, "STRIDED_SLICE")
    operator.builtinOptions.newAxisMask = 1


def ellipsis(model, graph, schema):
    operator = operator_of(model, graph, schema, "STRIDED_SLICE")
    operator.builtinOptions.ellipsisMask = 1


def computed_bounds(model, graph, schema):
    operator = operator_of(model, graph, schema, "STRIDED_SLICE")
    data, _, *rest = operator.inputs
    operator.inputs = [data, graph.inputs[0], *rest]


def int16(model, graph, schema):
    operator = operator_of(model, graph, schema, "CONV_2D")
    graph.tensors[operator.outputs[0]].type = schema.TensorType.INT16


def computed_indices(model, graph, schema):
    operator = operator_of(model, graph, schema, "CONV_2D")
    code = model.operatorCodes[operator.opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = (
        schema.BuiltinOperator.GATHER
    )
    operator.inputs = [operator.inputs[0], graph.inputs[0]]


def two_constants(model, graph, schema):
    operator = operator_of(model, graph, schema, "BATCH_MATMUL")
    bounds = operator_of(model, graph, schema, "STRIDED_SLICE").inputs
    operator.inputs = [bounds[1], bounds[2]]


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (int8_of_stride_2, "int8 1x1 convolution of stride 2"),
        (int8_of_many_scales, "int8 weights have 2 scales"),
        (new_axis, "adds an axis"),
        (ellipsis, "write every axis"),
        (computed_bounds, "bounds are computed"),
        (two_constants, "both inputs are constants"),
        (int16, "a tensor of INT16"),
        (computed_indices, "indices are computed"),
    ],
)
def test_planted_faults_are_found(clean, plant, message):
    with pytest.raises(ValueError, match=message):
        lint.check(changed(clean, plant))


def test_a_float_convolution_of_stride_2_passes(clean):
    def strided(model, graph, schema):
        int8_of_stride_2(model, graph, schema)
        weights = graph.tensors[
            operator_of(model, graph, schema, "CONV_2D").inputs[1]
        ]
        weights.type = schema.TensorType.FLOAT32

    lint.check(changed(clean, strided))


def test_the_fault_names_its_operator():
    def named(x):
        with tf.name_scope("pelvis"):
            return x[:, 0] + 0 * x[:, 1]

    (*_, first) = list(lint.faults(converted(named, (1, 2, 3))))
    assert "STRIDED_SLICE 'pelvis/" in first


def test_the_command_tells_files_apart(clean, tmp_path, capsys):
    names = {
        "good": clean,
        "faulty": changed(clean, new_axis),
        "cut": clean[: len(clean) // 2],
        "text": b"no model at all",
    }
    paths = {name: tmp_path / f"{name}.tflite" for name in names}
    for name, content in names.items():
        paths[name].write_bytes(content)
    assert lint.main(lint.Args((paths["good"],))) == 0
    assert "no fault" in capsys.readouterr().out
    assert lint.main(lint.Args(tuple(paths.values()))) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        str(paths[name]) for name in ("faulty", "cut", "text")
    ]


GPU_2_16 = [
    (lambda x: x[:, 0:1] * 2.0, (1, 4), "STRIDED_SLICE", "a slice of 2 axes"),
    (lambda x: tf.pad(x, [[0, 0], [1, 1]]), (1, 4), "PAD", "of 2 axes"),
    (
        lambda x: x * tf.transpose(x, (0, 1, 3, 2)),
        (1, 1, 1, 4),
        "MUL",
        "repeated",
    ),
    (
        lambda x: tf.where(x > 0, x, 0.0),
        (1, 4),
        "SELECT_V2",
        "reads a tensor of BOOL",
    ),
    (
        lambda x: tf.cast(tf.cast(x, tf.uint8), tf.float32),
        (1, 4),
        "CAST",
        "from FLOAT32 to UINT8",
    ),
    (lambda x: tf.linalg.norm(tf.round(x)), (1, 4), "ROUND", "no operator"),
    (
        lambda x: tf.matmul(x, np.ones((2, 4, 3), np.float32)),
        (2, 5, 4),
        "BATCH_MATMUL",
        "constant factor",
    ),
]


@pytest.mark.parametrize(
    ("function", "shape", "kind", "reason"),
    GPU_2_16,
    ids=[kind for _, _, kind, _ in GPU_2_16],
)
def test_what_the_older_delegate_leaves_to_the_cpu_is_listed(
    function, shape, kind, reason
):
    lines = gpu_2_16.left_to_cpu(converted(function, shape))
    (line, *_) = [line for line in lines if line.startswith(kind)]
    assert reason in line


def test_the_older_delegate_takes_what_is_written_for_it():
    kernel = np.ones((1, 1, 4, 4), np.float32)

    def function(x):
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "VALID"))
        # Of a product one side may repeat.
        x = tf.reduce_max(x * tf.reduce_mean(x, 2, True), 2, True) * x
        x = tf.pad(x[:, 0:2, :, :], [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tf.reduce_mean(x * x + 1.0, axis=(1, 2), keepdims=True)

    content = converted(function, (1, 3, 4, 4))
    assert len(list(operators.read(content))) > 4
    assert gpu_2_16.left_to_cpu(content) == []


def test_the_command_counts_for_the_older_delegate(clean, tmp_path, capsys):
    content = converted(lambda x: tf.where(x > 0, x, 0.0), (1, 4))
    path = tmp_path / "select.tflite"
    path.write_bytes(content)
    assert lint.main(lint.Args((path,), delegate="gpu-2.16")) == 0
    assert "SELECT_V2" in capsys.readouterr().out
    path.write_bytes(clean[:40])
    assert lint.main(lint.Args((path,), delegate="gpu-2.16")) == 1
    assert "cut off or damaged" in capsys.readouterr().out
