"""Measures the parts of SMPLR: the work of training.smplr_parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from tf_hmr import joints, metrics
from tf_hmr import method as methods
from tf_hmr.body import pair_data
from tf_hmr.formats import atomic
from tf_hmr.geometry import nearest_rotation
from tf_hmr.methods import _smplr_maps, _smplr_parts, _smplr_regressor, smplr
from training import config, smplr_figures
from training.data.pipeline import batches

if TYPE_CHECKING:
    from training.smplr_parts import Options

BATCH = 50
_ROWS = list(joints.select(joints.SMPLR16, of=joints.SMPLR41))
# Rows of the last table: what the truth replaces.
REPLACED = {
    "nothing": (),
    "scale": ("scale",),
    "points": ("points",),
    "points and scale": ("points", "scale"),
    "shape": ("shape",),
    "pose": ("pose",),
    "root": ("root",),
    "pose and root": ("pose", "root"),
}


class People(NamedTuple):
    """N labelled people, and what the hourglass found of them."""

    image: np.ndarray
    """(N, S, S, 3) crops, RGB 0..255."""
    rotmats: np.ndarray
    """(N, 24, 3, 3)."""
    betas: np.ndarray
    """(N, P)."""
    gender: np.ndarray
    """(N,) -1 women, +1 men, 0 not known."""
    true_points: np.ndarray
    """(N, 41, 3) of the labelled bodies about the pelvis, metres."""
    true_joints: np.ndarray
    """(N, J, 3) their keypoints, likewise."""
    true_places: np.ndarray
    """(N, 41, 3) the points in sides of the cube."""
    true_scale: np.ndarray
    """(N, 1, 1) of the crop's camera."""
    places: np.ndarray
    """(N, 41, 3) found, in sides of the cube."""
    scale: np.ndarray
    """(N, 1, 1) found."""

    def take(self, rows) -> People:
        """Some of them."""
        return People(*(values[rows] for values in self))


def read_people(model: smplr.Model, records: Path, split: str) -> People:
    """Runs the hourglass on a split's labelled people.

    Raises:
        FileNotFoundError: the records are missing.
        ValueError: no example has a pose and a shape, or the records lack an
            input of the method.
    """
    source = config.Source(str(records), split=split)
    batches.check_inputs(source, model.input_names)
    dataset = batches.eval_dataset(
        *(source, BATCH, model.image_size, model.config.crop_scale),
        crop_m=model.config.crop_m,
    )

    @tf.function(autograph=False)
    def find(batch):
        maps = model.encoder.maps(
            model.encoder(model.encoder.inputs(batch)), batch
        )
        shape = model.points.shape(batch["betas"], batch["gender"])
        _, keypoints = model.points(batch["rotmats"], shape)
        return maps, model.encoder.truth(batch), keypoints

    chunks = []
    for batch in dataset:
        tensors = {k: v for k, v in batch.items() if v.dtype != tf.string}
        maps, truth, keypoints = find(tensors)
        people = People(
            image=batch["image"],
            rotmats=batch["rotmats"],
            betas=batch["betas"],
            gender=batch["gender"],
            true_points=truth.points,
            true_joints=keypoints,
            true_places=truth.places,
            true_scale=truth.scale,
            places=maps.places,
            scale=maps.scale,
        )
        people = People(*map(np.asarray, people))
        chunks.append(people.take(truth.labelled.numpy() > 0))
    people = People(*map(np.concatenate, zip(*chunks, strict=True)))
    if not len(people.betas):
        raise ValueError(
            f"No example of the split {split!r} of {records} has a pose and a "
            "shape. Choose records with SMPL labels."
        )
    return people


def error_mm(points: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of SMPLR's 16 joints in (N, 41, 3) metres."""
    return float(metrics.mpjpe_mm(points[:, _ROWS], true[:, _ROWS]).mean())


class Sampled(NamedTuple):
    """Points (N, 41, 3) of bodies whose points were moved by noise, metres."""

    noisy: np.ndarray
    denoised: np.ndarray
    shape: np.ndarray
    """Of Psi's shapes with the true rotations."""
    raw_pose: np.ndarray
    """Of Omega's matrices with the true shapes."""
    pose: np.ndarray
    """Of the nearest rotations with the true shapes."""
    body: np.ndarray
    """Of both, from denoised points."""
    aligned: np.ndarray
    """The body turned and moved onto the noisy points."""
    gender: np.ndarray
    """(N, 1) of Psi."""


def sample(
    model: smplr.Model, people: People, factor: float, seed: int
) -> Sampled:
    """Sends the points of labelled bodies, with noise, through the networks."""
    shape = people.true_points.shape
    ranges = factor * _smplr_parts.noise_ranges()[: shape[1]]
    noise = np.random.default_rng(seed).uniform(-1, 1, shape)
    noisy = people.true_points + np.float32(ranges * noise)
    noisy -= model.encoder.root(noisy).numpy()
    chunks = []
    for start in range(0, len(noisy), BATCH):
        rows = slice(start, start + BATCH)
        points, true = tf.constant(noisy[rows]), people.take(rows)
        estimate = model.estimate(maps_of_points(points))
        undenoised = estimate
        if not model.lift:
            undenoised = model.regressor(points, denoise=False)
        rotmats = [
            _smplr_regressor.rotations_of(numbers)
            for numbers in (undenoised, estimate)
        ]
        posed = (
            (true.rotmats, undenoised),
            (undenoised.matrices, true),
            (rotmats[0], true),
            (rotmats[1], estimate),
        )
        of_bodies = [
            model.points(pose, model.points.shape(body.betas, body.gender))[0]
            for pose, body in posed
        ]
        targets = estimate.points if model.lift else points
        aligned = _on_points(model, of_bodies[-1], targets)
        parts = (
            points,
            estimate.points,
            *of_bodies,
            aligned,
            undenoised.gender,
        )
        chunks.append(Sampled(*map(np.asarray, parts)))
    return Sampled(*map(np.concatenate, zip(*chunks, strict=True)))


def _on_points(model: smplr.Model, points, targets):
    """Turns and moves points (B, P, 3) onto others."""
    weights = model.point_weights
    turn = nearest_rotation.aligning_rotation(points, targets, weights)[:, 0]
    centred = points - nearest_rotation.weighted_mean(points, weights)
    rotated = tf.matmul(centred, turn, transpose_b=True)
    return rotated + nearest_rotation.weighted_mean(targets, weights)


def sampled_values(
    model: smplr.Model, people: People, sampled: Sampled
) -> dict[str, float]:
    """Errors of a sample by name; genders in percent."""
    true = people.true_points
    values = {
        f"{name}_mm": error_mm(getattr(sampled, name), true)
        for name in Sampled._fields
        if name != "gender"
    }
    # As the protocols score a body: about the pelvis that it has.
    aligned = sampled.aligned - model.encoder.root(sampled.aligned).numpy()
    about_pelvis = true - model.encoder.root(true).numpy()
    values["moved_about_its_pelvis_mm"] = error_mm(aligned, about_pelvis)
    has_gender = people.gender != 0
    if has_gender.any():
        right = np.sign(sampled.gender[:, 0]) == people.gender
        values["gender_percent"] = 100 * float(right[has_gender].mean())
    return values


def on_pictures(model: smplr.Model, people: People) -> dict[str, float]:
    """Errors of the points found in pictures, beside the best constant."""
    true = people.true_points
    relative = people.places - model.encoder.root(people.places).numpy()
    mean = np.broadcast_to(true.mean(axis=0, keepdims=True), true.shape)
    offsets = (people.places - people.true_places)[:, _ROWS, :2]
    ratio = people.scale / people.true_scale
    return {
        "points_scale_known_mm": error_mm(
            2 * relative / people.true_scale, true
        ),
        "points_mm": error_mm(2 * relative / people.scale, true),
        "mean_points_mm": error_mm(mean, true),
        "in_crop_percent": 100 * float(np.linalg.norm(offsets, axis=-1).mean()),
        "scale_off_percent": 100 * float(np.abs(ratio - 1).mean()),
    }


def replaced(
    model: smplr.Model, people: People
) -> dict[str, tuple[float, float]]:
    """MPJPE and PA-MPJPE with parts replaced by the truth: REPLACED."""
    rows = list(joints.select(joints.LSP14, of=model.joint_names))

    def aligned(points):
        return metrics.align_root(points[:, rows], joints.LSP14)

    true, table = aligned(people.true_joints), {}
    for name, parts in REPLACED.items():
        pred = aligned(_keypoints(model, people, parts))
        table[name] = (
            float(metrics.mpjpe_mm(pred, true).mean()),
            float(metrics.pa_mpjpe_mm(pred, true).mean()),
        )
    return table


def _keypoints(model, people: People, parts: tuple[str, ...]) -> np.ndarray:
    """Keypoints (N, J, 3) of the method with `parts` replaced by the truth."""
    chunks = []
    for start in range(0, len(people.betas), BATCH):
        true = people.take(slice(start, start + BATCH))
        maps = maps_of(
            model,
            true.true_places if "points" in parts else true.places,
            true.true_scale if "scale" in parts else true.scale,
        )
        estimate = model.estimate(maps)
        rotmats = _smplr_regressor.rotations_of(estimate)
        root, limbs = (
            true.rotmats if part in parts else rotmats
            for part in ("root", "pose")
        )
        body = true if "shape" in parts else estimate
        posed = model.posed(
            model.target(maps, estimate),
            tf.concat([root[:, :1], limbs[:, 1:]], axis=1),
            model.points.shape(body.betas, body.gender),
            # Procrustes would turn the true root.
            model.config.procrustes and "root" not in parts,
        )
        chunks.append(posed.joints.numpy())
    return np.concatenate(chunks)


def maps_of_points(points) -> _smplr_maps.Maps:
    """Points (B, P, 3) in metres about the pelvis, as if they were found."""
    scale = tf.ones((points.shape[0], 1, 1))
    return _smplr_maps.Maps([], points / 2.0, scale, points)


def maps_of(model: smplr.Model, places, scale) -> _smplr_maps.Maps:
    """What the hourglass would have found."""
    relative = places - model.encoder.root(places)
    return _smplr_maps.Maps([], places, scale, 2.0 * relative / scale)


def run(options: Options) -> dict:
    """Measures, draws and writes; returns the numbers.

    Raises:
        FileNotFoundError: the model or the records are missing.
        ValueError: the model is not SMPLR's; or see read_people.
    """
    model = methods.load(options.weights, pair_data.load(options.body))
    if not isinstance(model, smplr.Model):
        raise ValueError(
            f"{options.weights} holds the method {model.name!r}, expected "
            "'smplr'. Train it with `python -m training.fit smplr_quick`."
        )
    people = read_people(model, options.records, options.split)
    options.out.mkdir(parents=True, exist_ok=True)
    by_noise = {}
    for factor in options.noise:
        sampled = sample(model, people, factor, options.seed)
        by_noise[f"{factor:g}"] = sampled_values(model, people, sampled)
        smplr_figures.write_points(
            options.out / f"points-noise-{factor:g}.png",
            people.true_points,
            sampled.noisy,
            sampled.denoised,
        )
    if model.encoder.hourglass is not None:
        smplr_figures.write_maps(options.out / "maps.png", model, people)
    smplr_figures.write_bodies(options.out / "bodies.png", model, people)
    numbers = {
        "weights": str(options.weights),
        "records": f"{options.records} {options.split}",
        "people": len(people.betas),
        "sampled": by_noise,
        "pictures": on_pictures(model, people),
        "replaced": {
            name: {"mpjpe_mm": mpjpe, "pa_mpjpe_mm": aligned}
            for name, (mpjpe, aligned) in replaced(model, people).items()
        },
    }
    with atomic.replacing(options.out / "parts.json") as part:
        part.write_text(json.dumps(numbers, indent=1) + "\n")
    return numbers
