"""Runs a landmark network on LiteRT's interpreter."""

from pathlib import Path

import numpy as np

from tf_hmr import landmark_files, tensorflow_start


class Network:
    """A .tflite of one image of float32, from the cache of landmark_files."""

    def __init__(
        self,
        file: landmark_files.NetworkFile,
        threads: int = 1,
        folder: Path | None = None,
    ):
        """Loads a network.

        Args:
            file: which one.
            threads: of the processor that a call uses.
            folder: that it lies in; None: the cache.

        Raises:
            FileNotFoundError, ValueError: it is missing or altered; the
                message says what to type.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:  # The runtime of older devices.
            from tflite_runtime.interpreter import Interpreter

        content = landmark_files.read(file, folder)
        # It would say which of its parts runs the network.
        with tensorflow_start.without_notes():
            self._interpreter = Interpreter(
                model_content=content, num_threads=threads
            )
            self._interpreter.allocate_tensors()
        (details,) = self._interpreter.get_input_details()
        self._input = details["index"]
        self.size = int(details["shape"][1])
        self._outputs = {
            tuple(output["shape"][1:]): output["index"]
            for output in self._interpreter.get_output_details()
        }

    def __call__(self, image: np.ndarray) -> dict[tuple, np.ndarray]:
        """Outputs by their shape without the batch.

        Args:
            image: (size, size, 3) float32.
        """
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return {
            shape: self._interpreter.get_tensor(index)[0]
            for shape, index in self._outputs.items()
        }
