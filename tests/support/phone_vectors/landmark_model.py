"""The shipped lifter behind BlazePose's landmarks, as run.Track wants a model.

What a page or an app runs where it was given no network of its own: the square
that a track asks for is where BlazePose looks, and the lifter's answer is in
that square.
"""

import numpy as np
from ai_edge_litert import interpreter

from edge import run
from edge.conversion import tflite as convert
from tf_hmr import landmark_fitting, method_inputs
from tf_hmr.detection import landmarks, squares
from tf_hmr.geometry import crop


class LandmarkModel:
    """Has of run.Model what run.Track uses.

    Attributes:
        frame: (H, W, 3) uint8 RGB, to be set before each update of a track.
    """

    inputs = ("landmarks",)

    def __init__(self):
        """Loads the networks, and converts the lifter."""
        lifter = landmark_fitting.load_lifter()
        data = lifter.body.data
        self.size = method_inputs.shape("image", lifter.config.image_size)[0]
        self.crop_scale = lifter.config.crop_scale
        self.topology = data.topology
        self.faces = data.lite_vertices[data.lite_faces]
        self.frame = None
        self._landmarks = landmarks.LandmarkNetwork()
        content = convert.to_tflite(convert.edge_form(lifter))
        self._interpreter = interpreter.Interpreter(model_content=content)
        self._run = self._interpreter.get_signature_runner(run.SIGNATURE)

    def focal_px(self, size):
        """As of a model that reads the image alone."""
        return run.FOCAL_OVER_SIDE * max(size)

    def __call__(self, image, square, size):
        """Outputs by name for the person in a square of `frame`."""
        x, y, side, _ = square
        answer = self._landmarks.look_twice(
            self.frame, squares.Square(x + side / 2, y + side / 2, side)
        )
        rows = answer.points.copy()
        rows[:, :2] = crop.pixels_to_ndc(rows[:, :2], square)
        outputs = self._run(landmarks=rows[None])
        return {name: np.float32(outputs[name][0]) for name in run.OUTPUTS}
