"""Precisions: which numbers are stored how, and what is raised when."""

import typing

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge import export, lint, operators
from edge.conversion import calibration, compare, mixed_precision, quantize
from edge.conversion import card as cards
from edge.conversion import tflite as convert
from edge.conversion.precisions import PRECISIONS

TYPES = {
    schema.TensorType.FLOAT32: "float32",
    schema.TensorType.FLOAT16: "float16",
    schema.TensorType.INT8: "int8",
}


@pytest.fixture(scope="module")
def content(tflite) -> bytes:
    """The float32 file."""
    return tflite.read_bytes()


@pytest.fixture(scope="module")
def inputs(model) -> dict[str, np.ndarray]:
    return calibration.for_calibration(model, None, 4, skip=0).inputs


@pytest.fixture(scope="module")
def files(content, model, inputs) -> dict[str, bytes]:
    """The same model in every precision, by the plain recipes."""
    contents = {"float32": content}
    for precision in PRECISIONS:
        recipe = quantize.Recipe(model, precision)
        ranges = quantize.ranges(content, recipe, inputs)
        contents[precision] = quantize.apply(content, recipe, ranges)
    return contents


def weights_and_inputs(content: bytes, part: str) -> set[tuple[str, str]]:
    """Types of the weights and of the activations of a part's operators."""
    # float16 weights pass through an operator that makes them float32.
    halves = {
        operator.outputs[0].name
        for operator in operators.read(content)
        if operator.kind == "DEQUANTIZE"
        and TYPES[operator.inputs[0].type] == "float16"
    }
    type_pairs = set()
    for operator in operators.read(content):
        if operator.kind in quantize.WEIGHTED and part in operator.name:
            data, weights = operator.inputs[:2]
            kind = TYPES[weights.type]
            kind = "float16" if weights.name in halves else kind
            type_pairs.add((kind, TYPES[data.type]))
    return type_pairs


@pytest.mark.parametrize(
    ("precision", "encoder", "regressor", "rest"),
    [
        ("float32", "float32 float32", "float32 float32", "float32 float32"),
        ("float16", "float16 float32", "float16 float32", "float16 float32"),
        ("w8", "int8 float32", "float16 float32", "float16 float32"),
        ("int8", "int8 int8", "int8 float32", "float16 float32"),
    ],
)
def test_each_part_has_its_format(files, precision, encoder, regressor, rest):
    content = files[precision]
    lint.check(content)
    for part, expected in (
        ("/small_1/", encoder),
        ("/regressor_1/", regressor),
        ("/body/", rest),
    ):
        type_pairs = weights_and_inputs(content, part)
        assert type_pairs == {tuple(expected.split())}, part


def test_files_shrink_and_still_answer(files, inputs):
    sizes = [len(files[name]) for name in ("float32", "float16", "w8", "int8")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] < 0.51 * sizes[0]
    exact = compare.run_tflite(files["float32"], inputs)["vertices"]
    for name, content in files.items():
        vertices = compare.run_tflite(content, inputs)["vertices"]
        error_mm = 1000 * np.linalg.norm(vertices - exact, axis=-1).mean()
        # This network is not trained: only that it is the same body.
        assert (error_mm == 0) == (name == "float32")
        assert error_mm < 100


def test_ranges_are_the_extremes_of_all_crops(content, model, inputs):
    recipe = quantize.Recipe(model, "int8")
    all_ranges = quantize.ranges(content, recipe, inputs)
    single = [
        quantize.ranges(content, recipe, row)
        for row in convert.one_by_one(inputs)
    ]
    names = [
        name for name in all_ranges if "/small_1/" in name and "Relu" in name
    ]
    assert names
    for name in names:
        largest = [float(np.max(ranges[name]["max"])) for ranges in single]
        assert float(np.max(all_ranges[name]["max"])) == max(largest)


def test_a_method_without_an_encoder_gets_float16_only(model):
    class Nameless:
        name = "nameless"

    quantize.Recipe(Nameless(), "float16")
    with pytest.raises(ValueError, match="no layer in an attribute 'encoder'"):
        quantize.Recipe(Nameless(), "w8")


def test_only_what_does_not_fit_is_raised(content, model, inputs, monkeypatch):
    def searched(budget_mm):
        w8 = PRECISIONS["w8"]._replace(mean_mm=budget_mm)
        monkeypatch.setitem(PRECISIONS, "w8", w8)
        return mixed_precision.search(content, model, "w8", inputs)

    def error_mm(raised):
        recipe = quantize.Recipe(model, "w8", raised)
        quantized = quantize.apply(content, recipe)
        exact = compare.run_tflite(content, inputs)["vertices"]
        vertices = compare.run_tflite(quantized, inputs)["vertices"]
        return 1000 * np.linalg.norm(vertices - exact, axis=-1).mean()

    plain = error_mm({})
    assert searched(2 * plain) == {}
    raised = searched(0.7 * plain)
    assert 1 <= len(raised) < 14
    assert set(raised.values()) == {"float16"}
    assert all("/small_1/" in pattern for pattern in raised)
    assert error_mm(raised) <= 0.7 * plain


def test_raising_takes_the_largest_first_until_the_rest_fits():
    units = [
        mixed_precision.Unit("large", ("static", "dynamic", "float16")),
        mixed_precision.Unit("stubborn", ("static", "dynamic", "float16")),
        mixed_precision.Unit("small", ("dynamic", "float16")),
    ]
    errors = [[3.0, 0.5, 0.0], [4.0, 3.9, 0.0], [0.1, 0.0]]
    unit_errors = dict(zip(units, errors, strict=True))
    assert mixed_precision.raised(unit_errors, aim=10.0) == {}
    assert mixed_precision.raised(unit_errors, aim=3.5) == {
        "stubborn": "float16"
    }
    assert mixed_precision.raised(unit_errors, aim=1.0) == {
        "stubborn": "float16",
        "large": "dynamic",
    }
    assert len(mixed_precision.raised(unit_errors, aim=0.0)) == 3


def test_an_aim_that_misses_is_lowered(monkeypatch):
    """Errors half as large again as their squares say; budget 2, 1 each."""
    unit_errors = {
        mixed_precision.Unit(name, ("dynamic", "float16")): [1.0, 0.0]
        for name in "abcd"
    }

    class Trial:
        def __init__(self, content, inputs):
            """Needs neither: a file is the formats that were raised."""

        def error_mm(self, raised):
            return 1.5 * np.sqrt(len(unit_errors) - len(raised))

    replaced = {
        "mixed_precision._Trial": Trial,
        "mixed_precision._errors_alone": lambda *_: unit_errors,
        "quantize.Recipe": lambda model, precision, raised=(): raised,
        "quantize.ranges": lambda *_: None,
        "quantize.apply": lambda content, recipe, ranges: recipe,
    }
    for name, function in replaced.items():
        monkeypatch.setattr(f"edge.conversion.{name}", function)
    w8 = PRECISIONS["w8"]._replace(mean_mm=2.0)
    monkeypatch.setitem(PRECISIONS, "w8", w8)
    raised = mixed_precision.search(b"", None, "w8", {})
    assert Trial(b"", {}).error_mm(raised) <= mixed_precision.AIM * 2.0
    assert len(raised) == 3


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_card_leaves_quantized_weights_alone(files, inputs, precision):
    content = files[precision]
    with_card = cards.embed(content, {"precision": precision})
    assert cards.embedded(with_card) == {"precision": precision}
    first = next(convert.one_by_one(inputs))
    before, after = (
        compare.run_tflite(file, first) for file in (content, with_card)
    )
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


def test_the_command_takes_every_precision():
    kinds = typing.get_type_hints(export.Args)
    assert typing.get_args(kinds["precision"]) == ("float32", *PRECISIONS)
