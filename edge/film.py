"""Writes a video of rendered people who walk and turn, and its ground truth.

    python -m edge.film --out film.mp4
    python -m edge.run model.tflite film.mp4 --box 111 128 65 192 --out out

It shows `edge.run` on motion without a licensed video of people: FILM.json
holds each frame's boxes, keypoints and poses, and the boxes of the first frame,
ready for --box.
"""

import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import tyro
from scipy.spatial.transform import Rotation

from tf_hmr import joints, rendering
from tf_hmr.body.data import BodyData
from training.data.synthetic import appearance, kinematics
from training.data.synthetic import rendering as render

_INDEX = {name: index for index, name in enumerate(joints.SMPL24)}
_UPRIGHT = Rotation.from_rotvec([np.pi, 0, 0])  # y up to y down.

CADENCE_HZ = 0.9
"""Double steps per second: 1.33 m each at 1.2 m/s, an unhurried walk."""

SPEED_M_S = 1.2
CAMERA_HEIGHT_M = 1.3
NOISE = 3.0
"""Standard deviation of the camera noise, in grey levels."""


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    out: Path
    """The video to write: .mp4 or .avi."""
    frames: int = 90
    """Number of frames."""
    fps: float = 25.0
    """Frames per second."""
    size: tuple[int, int] = (640, 360)
    """Width and height in pixels."""
    people: int = 1
    """Number of walkers; every second one from right to left, farther away."""
    seed: int = 0
    """Seed of clothes, shapes, background and noise."""


Route = Callable[[float, int], tuple[float, np.ndarray]]
"""A walker's heading in radians, 0 towards the camera, and position on the
ground (x, 0, z) in metres, at a time in seconds."""


class Person(NamedTuple):
    """Ground truth of one person in one frame."""

    box: np.ndarray  # (4,) x, y, w, h of the mesh, pixel edges
    keypoints_px: np.ndarray  # (19, 2) joints.COCOPLUS19
    joints: np.ndarray  # (19, 3) camera frame, metres
    pose_rotvec: np.ndarray  # (24, 3)
    betas: np.ndarray  # (P,)


class Walk:
    """A scene: the same people, clothes and background in every frame.

    Attributes:
        args: the command line arguments.
        view: the camera.
    """

    def __init__(self, args: Args, route: Route | None = None):
        """Dresses the people and paints the background.

        Args:
            args: the command line arguments.
            route: where a walker is and looks at a time; None: `walked`.
        """
        self.args, self._route = args, route or walked
        width, height = args.size
        centre = ((width - 1) / 2, (height - 1) / 2)
        self.view = rendering.View(width, height, float(width), centre)
        data = BodyData.load("open")
        self._skinner = render.Skinner(data)
        self._labels = data.parts("part14")[0]
        rng = np.random.default_rng(args.seed)
        wardrobe = appearance.Wardrobe(data)
        painted = appearance.background(rng, max(args.size))
        self._background = painted[:height, :width]
        self._betas = rng.normal(0, 0.7, (args.people, data.num_betas))
        self._colours = [
            wardrobe.paint(rng, appearance.Garments.sample(rng))
            for _ in range(args.people)
        ]

    def frame(self, number: int) -> tuple[np.ndarray, list[Person]]:
        """An image (H, W, 3) uint8 RGB and its people, in order."""
        seconds = number / self.args.fps
        rng = np.random.default_rng((self.args.seed, number))
        count = self.args.people
        routes = [self._route(seconds, walker) for walker in range(count)]
        headings, positions = zip(*routes, strict=True)
        rotvecs = [
            _pose(seconds, walker, heading)
            for walker, heading in enumerate(headings)
        ]
        rotmats = Rotation.from_rotvec(np.concatenate(rotvecs)).as_matrix()
        posed = self._skinner(rotmats.reshape(count, -1, 3, 3), self._betas)
        image = self._background
        people = [None] * count
        depths = [position[2] for position in positions]
        # Far people first.
        for walker in sorted(range(count), key=lambda walker: -depths[walker]):
            ground = positions[walker]
            shift = _on_the_ground(posed.vertices[walker], ground)
            vertices = posed.vertices[walker] + shift
            light = 0.5 + 0.5 * np.clip(
                posed.normals[walker] @ np.array([-0.4, -0.6, -0.7]), 0, 1
            )
            image = render.draw(
                image,
                vertices.astype(np.float32),
                self._skinner.faces,
                self.view,
                self._colours[walker] * light[:, None],
                self._labels,
            ).image
            indices = [joints.KEYPOINTS.index(n) for n in joints.COCOPLUS19]
            points = posed.joints[walker][indices] + shift
            low, high = render.bounds(self.view.project(vertices))
            people[walker] = Person(
                np.concatenate([low + 0.5, high - low]),
                self.view.project(points),
                points,
                rotvecs[walker],
                self._betas[walker],
            )
        noise = rng.normal(0, NOISE, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8), people

    def frames(self) -> Iterator[tuple[np.ndarray, list[Person]]]:
        """All frames."""
        return (self.frame(number) for number in range(self.args.frames))


def walked(seconds: float, walker: int) -> tuple[float, np.ndarray]:
    """Heading in radians and position on the ground (x, 0, z) of a walker."""
    # Across the image, then towards the camera: integrates the velocity.
    times = np.linspace(0, seconds, 64)
    yaw = np.deg2rad(110 - 32 * times)
    step = np.stack([np.sin(yaw), 0 * yaw, -np.cos(yaw)], axis=1)
    travelled = SPEED_M_S * seconds * step.mean(axis=0)
    position = np.array([-1.7, 0.0, 6.0]) + travelled
    heading = yaw[-1]
    if walker % 2:  # The mirror image, farther away.
        heading, position = -heading, position * (-1, 1, 1) + (0, 0, 2.0)
    return heading, position


def _pose(seconds: float, walker: int, heading: float) -> np.ndarray:
    """Pose (24, 3) of a walker."""
    phase = 2 * np.pi * CADENCE_HZ * seconds + walker
    poses = kinematics.swing_twist_rotations(gait(phase)[None])
    rotvecs = poses.as_rotvec()
    turn = _UPRIGHT * Rotation.from_rotvec([0, heading, 0])
    rotvecs[0] = turn.as_rotvec()
    return rotvecs


def gait(phase: float) -> np.ndarray:
    """Swing and twist (24, 3), degrees, at a phase of the double step.

    Hips in counter-phase, knees bent in the swing, arms with the other leg;
    signs and ranges are those of training.data.synthetic.kinematics.
    """
    angles = np.zeros((kinematics.JOINTS, 3))
    phases = np.array([phase, phase + np.pi])
    hips = -6 - 24 * np.sin(phases)
    swing = 32 * np.clip(np.cos(phases), 0, 1) ** 1.5
    knees = 8 + 6 * (1 - np.cos(2 * phases)) + swing
    arms = 0.8 * (hips[::-1] + 6)  # Negative is forward.
    for side, name in enumerate(("left_", "right_")):
        mirror = np.array([1, -1, -1]) if side else np.ones(3)
        angles[_INDEX[name + "hip"]] = mirror * (hips[side], 6, 1)
        angles[_INDEX[name + "knee"]] = (knees[side], 0, 0)
        ankle = 8 * np.cos(phases[side] + 0.6)
        angles[_INDEX[name + "ankle"]] = (ankle, 0, 0)
        angles[_INDEX[name + "shoulder"]] = mirror * (5, arms[side] - 4, -72)
        elbow = -(25 - 0.3 * arms[side])
        angles[_INDEX[name + "elbow"]] = mirror * (-38, elbow, 0)
    angles[_INDEX["spine2"]] = (2, 5 * np.sin(phase), 0)
    return angles


def _on_the_ground(vertices: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Translation (3,) that puts the lowest vertex on the ground there."""
    return position + (0, CAMERA_HEIGHT_M - vertices[:, 1].max(), 0)


def write(args: Args) -> dict:
    """Writes the video and FILM.json; returns the content of the json.

    Raises:
        ValueError: this OpenCV writes no video with that suffix.
    """
    scene = Walk(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    code = "mp4v" if args.out.suffix == ".mp4" else "MJPG"
    fourcc = cv2.VideoWriter_fourcc(*code)
    video = cv2.VideoWriter(str(args.out), fourcc, args.fps, args.size)
    if not video.isOpened():
        raise ValueError(
            f"{args.out}: OpenCV writes no such film. Expected .mp4 or .avi."
        )
    frames = []
    for image, people in scene.frames():
        video.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        frames.append(
            [
                {
                    name: value.tolist()
                    for name, value in person._asdict().items()
                }
                for person in people
            ]
        )
    video.release()
    truth = {
        "fps": args.fps,
        "image_size_px": list(args.size),
        "focal_px": scene.view.focal_px,
        "joint_names": list(joints.COCOPLUS19),
        "boxes": [person["box"] for person in frames[0]],
        "frames": frames,
    }
    args.out.with_suffix(".json").write_text(json.dumps(truth) + "\n")
    return truth


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        truth = write(args)
    except (OSError, ValueError) as error:
        logging.error("%s", error)
        return 1
    boxes = (" ".join(f"{v:.0f}" for v in box) for box in truth["boxes"])
    print(args.out, *(f"--box {box}" for box in boxes))
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.film", description=__doc__))
    )
