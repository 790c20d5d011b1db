"""What a .tflite answers to inputs, by whatever runtime this Python has.

    python -m edge.targets.outputs FILE INPUTS.npz OUT.npz [--gpu [--float32]]

INPUTS are those of the file's card by name, (N, ...); OUT has the outputs by
name, (N, ...). On the CPU it runs edge/run.py's model; on the GPU it also
refuses a file of which the accelerator leaves a part to the CPU. Python 3.8
syntax, no TensorFlow.
"""

import json
import sys
from pathlib import Path

import numpy as np

from edge import run

TRIES = 10
"""To read an answer: while shaders are compiled, reading gives up."""


def main(words):
    """Runs the command; returns its exit status."""
    path, inputs, out = words[:3]
    if "--gpu" in words:
        answer = _on_gpu(Path(path), "--float32" in words)
    else:
        answer = run.Model(path).answer
    with np.load(inputs) as file:
        rows = {name: file[name] for name in file.files}
    answers = [
        answer({name: row[n] for name, row in rows.items()})
        for n in range(len(rows["image"]))
    ]
    names = run.OUTPUTS
    np.savez(out, **{n: np.stack([each[n] for each in answers]) for n in names})
    return 0


def _on_gpu(path, float32):
    """A call like run.Model.answer, by LiteRT's GPU accelerator.

    Raises:
        ValueError: it does not take the whole file.
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
    fed = model.create_input_buffer_by_name
    given = {name: fed(run.SIGNATURE, name) for name in card["inputs"]}
    made = model.create_output_buffer_by_name
    into = {name: made(run.SIGNATURE, name) for name in shapes}

    def answer(inputs):
        for name, buffer in given.items():
            buffer.write(inputs[name][None])
        model.run_by_name(run.SIGNATURE, given, into)
        return {name: _read(into[name], shapes[name]) for name in shapes}

    return answer


def _read(buffer, shape):
    for left in reversed(range(TRIES)):
        try:
            return buffer.read(int(np.prod(shape)), np.float32).reshape(shape)
        except RuntimeError as error:
            if not left or "Failed to lock" not in str(error):
                raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
