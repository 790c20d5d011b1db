"""Runs a .tflite on inputs with the runtime of this Python.

    python -m edge.targets.outputs FILE INPUTS.npz OUT.npz [--gpu [--float32]]

INPUTS holds the inputs of the file's card by name, (N, ...); OUT the outputs by
name, (N, ...). On the CPU it runs edge/run.py's Model; on the GPU it also
refuses a file that the accelerator leaves partly to the CPU. Python 3.8 syntax,
no TensorFlow.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from edge import run

TRIES = 10
"""Attempts to read an output: reading fails while shaders are compiled."""


def main(arguments=None):
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("inputs")
    parser.add_argument("out")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--float32", action="store_true")
    args = parser.parse_args(arguments)
    if args.gpu:
        run_model = _on_gpu(args.file, args.float32)
    else:
        run_model = run.Model(args.file).answer
    with np.load(args.inputs) as file:
        rows = {name: file[name] for name in file.files}
    predictions = [
        run_model({name: row[n] for name, row in rows.items()})
        for n in range(len(rows["image"]))
    ]
    names = run.OUTPUTS
    stacked = {name: np.stack([p[name] for p in predictions]) for name in names}
    np.savez(args.out, **stacked)
    return 0


def _on_gpu(path, float32):
    """Function like run.Model.answer, on LiteRT's GPU accelerator.

    Raises:
        ValueError: the accelerator leaves a part of the file to the CPU.
    """
    from ai_edge_litert import compiled_model as litert

    options = litert.Options(
        litert.HardwareAccelerator.GPU,
        gpu_options=litert.GpuOptions(enforce_f32=float32),
    )
    model = litert.CompiledModel.from_file(str(path), options=options)
    if not model.is_fully_accelerated():
        raise ValueError("the accelerator leaves a part of it to the CPU")
    card = json.loads(path.with_suffix(".card.json").read_text("utf-8"))
    shapes = {n: card["outputs"][n]["shape"][1:] for n in run.OUTPUTS}
    create_input = model.create_input_buffer_by_name
    input_buffers = {
        name: create_input(run.SIGNATURE, name) for name in card["inputs"]
    }
    create_output = model.create_output_buffer_by_name
    output_buffers = {
        name: create_output(run.SIGNATURE, name) for name in shapes
    }

    def answer(inputs):
        for name, buffer in input_buffers.items():
            buffer.write(inputs[name][None])
        model.run_by_name(run.SIGNATURE, input_buffers, output_buffers)
        return {
            name: _read(output_buffers[name], shapes[name]) for name in shapes
        }

    return answer


def _read(buffer, shape):
    for tries_left in reversed(range(TRIES)):
        try:
            return buffer.read(int(np.prod(shape)), np.float32).reshape(shape)
        except RuntimeError as error:
            if not tries_left or "Failed to lock" not in str(error):
                raise


if __name__ == "__main__":
    sys.exit(main())
