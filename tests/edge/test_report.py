"""The page on exported models says what was measured, where it belongs."""

import pytest

from edge import report
from edge.benchmarks import report_page
from edge.conversion.precisions import PRECISIONS

SIZES = {"float32": 26.3, "float16": 13.2, "w8": 12.6, "int8": 12.3}


def card(precision: str) -> dict:
    number = list(SIZES).index(precision)
    error = {
        "crops": 64,
        "images": "rendered people",
        "vertices_mean_mm": 0.125 + number,
        "vertices_max_mm": 31 + number,
        "mpjpe_mm": {"keras": 130.5, "file": 131.25 + number},
        "mpjpe_percent": 0.57,
    }
    return {
        "precision": precision,
        "bytes": SIZES[precision] * 1e6,
        "difference_to_keras": error,
        "raised": {"a": "float16", "b": "float16"} if number == 3 else {},
        "versions": {"keras": "3.15.1"},
    }


def timed(name: str, number: int, stages=()) -> dict:
    clocks = {"median_ms": 3.5 + number, "p95_ms": 4.5, "cpu_ms": 3.25}
    return {
        "mb": 12.3,
        "cold_ms": 41.0,
        "cached_ms": 17.0,
        "peak_mb": 77.0,
        "threads_1": clocks,
        "threads_2": clocks | {"median_ms": 2.5},
        "stages": {stage: {"cpu_ms": ms} for stage, ms in stages},
    }


@pytest.fixture
def measurements() -> report_page.Measurements:
    large = timed("a", 0, [("encoder", 3.0), ("body", 0.0325)])
    models = {
        "demo_float32": timed("b", 1),
        "resnet50_slim_float32": large,
        "resnet50_slim_int8": timed("c", 2)
        | {"threads_1": large["threads_1"] | {"cpu_ms": 0.8125}},
    }
    delegate = {name: {"float32": 0.75, "own": 0.5} for name in SIZES}
    delegate["int8"] = {"own": 0.25}
    return report_page.Measurements(
        weights="runs/demo",
        cards={name: card(name) for name in SIZES},
        delegate=delegate | {"adapter": "llvmpipe", "crops": 16},
        timings={"cpu": "A processor", "rounds": 9, "models": models},
        encoders=("resnet50_slim",),
    )


def rows(lines, first: str) -> list[list[str]]:
    """Rows of the table whose first title is `first`; titles first."""
    table = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if cells[0] == first or table and line.startswith("|"):
            table.append(cells)
        elif table:
            break
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


def test_errors_stand_in_their_columns(measurements):
    by_precision = {
        row["precision"]: row for row in rows(lines(measurements), "precision")
    }
    assert list(by_precision) == ["float32", *PRECISIONS]
    int8 = by_precision["int8"]
    assert (int8["MB"], int8["mean mm"], int8["worst mm"]) == (
        *("12.3", "3.1", "34"),
    )
    assert int8["budget"] == f"{PRECISIONS['int8'].mean_mm:g} mean"
    assert int8["MPJPE mm"] == "130.50 to 134.25"
    assert (int8["changes"], int8["raised"]) == ("0.57 %", "2")
    assert (int8["GPU, float32"], int8["GPU, its own"]) == ("refused", "0.25")
    assert by_precision["w8"]["GPU, float32"] == "0.75"


def test_without_a_gpu_nothing_is_said_of_it(measurements):
    bare = report_page.dataclasses.replace(measurements, delegate={})
    (row, *_) = rows(lines(bare), "precision")
    assert "raised" in row
    assert not any("GPU" in line for line in lines(bare))


def test_times_stages_and_goals(measurements):
    report_lines = lines(measurements)
    demo, large, _ = rows(report_lines, "model")
    assert (demo["1 thread"], demo["2 threads"]) == ("4.50", "2.50")
    assert (demo["cold"], demo["cached"], demo["peak MB"]) == ("41", "17", "77")
    assert large["model"] == "resnet50_slim_float32"
    goals = {row["what"]: row for row in rows(report_lines, "what")}
    assert goals["int8 ResNet-50 over float32"]["found"] == "0.250"
    assert goals["body in float32 ResNet-50"]["found"] == "0.010"
    text = "\n".join(report_lines)
    assert "A processor" in text and "RANDOM" in text and "commit" in text
    assert "![edge time](../docs/edge_time.png)" in report_lines


def test_a_goal_that_is_missed_says_so(measurements):
    models = measurements.timings["models"]
    models["resnet50_slim_float32"]["stages"]["body"]["cpu_ms"] = 0.325
    models["mobilenet_v3_float16"] = timed("d", 0)
    models["pose_landmark_lite"] = timed("e", 0)
    measurements.timings["body_ratio"] = 1.75
    goals = {row["what"]: row for row in rows(lines(measurements), "what")}
    assert goals["body in float32 ResNet-50"]["found"] == "0.100 MISSED"
    body = goals["the textbook's body over ours"]
    assert (body["found"], body["goal"]) == ("1.75 MISSED", "at least 1.8")
    mobilenet = goals["float16 MobileNetV3 over pose_landmark_lite"]
    assert (mobilenet["found"], mobilenet["goal"]) == ("1.000", "at most 1")


def lines(measurements) -> list[str]:
    links = ["../docs/edge_error.png", "../docs/edge_time.png"]
    return list(report_page.lines(measurements, links))


def test_errors_are_drawn_beside_their_budgets(measurements, tmp_path):
    report_page.plot_errors(measurements.cards, tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 5000


def test_without_a_trained_model_the_demo_is_named(tmp_path, caplog):
    args = report.Args(tmp_path / "none", tmp_path / "REPORT.md")
    assert report.main(args) == 1
    assert "make demo" in caplog.messages[0]
    assert list(tmp_path.iterdir()) == []
