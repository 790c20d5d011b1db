"""What precedes the imports of tests: the environment, the order of files."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Eight seconds of work and more each.
LONGEST = (
    "training/test_fit",
    "benchmarks/test_step",
    "convert/test_hmr_tf1",
    "convert/test_spin",
    "engine/test_fits_in_loop",
    "engine/test_loop",
    "evaluation/test_evaluate",
    "evaluation/test_part_outputs",
    "methods/test_every_method",
    "networks/test_encoder_weights",
    "pipeline/test_batches",
    "pipeline/test_data_faults",
    "pipeline/test_service",
    "pipeline/test_warp",
    "smplify/test_fitter",
    "tests/test_fuzz",
    "tests/test_new_method",
    "tf_hmr/test_fit_keypoints",
    "tf_hmr/test_landmark_fitting",
    "tf_hmr/test_main",
    "tf_hmr/test_videos",
    "training/test_smplr_experiments",
    "training/test_smplr_parts",
)


# Of TensorFlow, OpenBLAS and OpenMP.
THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
)


# Flags of XLA for machine code that is not optimised.
UNOPTIMISED = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
)


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment of a process that runs tests, and its fixtures.

    Compiled graphs run once or twice in quick tests. XLA passes over the graph
    as ever; the machine code of it is not optimised, which takes half of the
    time of a compilation.
    """
    if "not slow" in config.option.markexpr:
        os.environ.setdefault("XLA_FLAGS", " ".join(UNOPTIMISED))
    if hasattr(config, "workerinput"):
        # Each core has a process of its own: more threads wait for each other.
        for name in THREADS:
            os.environ.setdefault(name, "1")
    elif config.getoption("dist", "no") != "no":
        return  # It hands out tests and runs none: it needs no TensorFlow.
    config.pluginmanager.import_plugin("tests.support.fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: no processor waits for one at the end."""
    items.sort(
        key=lambda item: not str(item.path.with_suffix("")).endswith(LONGEST)
    )
