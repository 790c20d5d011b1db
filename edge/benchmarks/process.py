"""Measures one model in a process of its own: start, first answer, memory.

    python -m edge.benchmarks.process model.tflite

Imports only numpy and LiteRT, so that the memory is the model's. A process
knows only its peak memory, so each model needs a fresh process; edge.benchmark
starts them.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from ai_edge_litert import compiled_model as litert
from ai_edge_litert.interpreter import Interpreter


def load(path: str, threads: int = 1, cache: str = "") -> Callable[[], None]:
    """Function that runs any .tflite once, on random inputs.

    Args:
        path: the file, with or without a signature.
        threads: number of CPU threads.
        cache: file for XNNPACK's packed weights; "" for no cache.

    Raises:
        ValueError: LiteRT cannot read the file.
    """
    # Raises for a damaged file; CompiledModel would kill the process.
    Interpreter(path, num_threads=threads)
    options = litert.Options(
        litert.HardwareAccelerator.CPU,
        litert.CpuOptions(threads, xnnpack_weight_cache_path=cache),
    )
    with quiet():
        model = litert.CompiledModel.from_file(path, options=options)
        (key, names), *_ = model.get_signature_list().items()
        input_buffers = {
            name: model.create_input_buffer_by_name(key, name)
            for name in names["inputs"]
        }
        for name, details in model.get_input_tensor_details(key).items():
            input_buffers[name].write(_random(details))
        output_buffers = {
            name: model.create_output_buffer_by_name(key, name)
            for name in names["outputs"]
        }
    return lambda: model.run_by_name(key, input_buffers, output_buffers)


def _random(details: dict) -> np.ndarray:
    """Random integers over their whole range, or floats in [-1, 1]."""
    rng = np.random.default_rng(0)
    shape, dtype = tuple(details["shape"]), np.dtype(details["dtype"])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, shape, endpoint=True)
    else:
        values = rng.uniform(-1, 1, shape)
    return values.astype(dtype)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the messages of LiteRT's C++ code on stderr."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def measure(path: str, cache: str) -> dict[str, float]:
    """Milliseconds from loading to the first answer, and peak memory in MB."""
    before = _peak_mb()
    start = time.perf_counter()
    load(path, 1, cache)()
    first_ms = 1000 * (time.perf_counter() - start)
    return {"first_ms": first_ms, "peak_mb": _peak_mb() - before}


def _peak_mb() -> float:
    status = pathlib.Path("/proc/self/status")
    if status.is_file():
        # getrusage's peak would include that of the parent process.
        fields = dict(x.split(":", 1) for x in status.read_text().splitlines())
        return float(fields["VmHWM"].split()[0]) / 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6  # macOS counts bytes.


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; prints one line of json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--cache", default="", help="XNNPACK's weight cache")
    args = parser.parse_args(arguments)
    print(json.dumps(measure(args.model, args.cache)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
