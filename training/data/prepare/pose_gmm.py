"""A mixture of Gaussians over poses, the pose prior of SMPLify.

Following Bogo et al. 2016: 8 Gaussians with full covariances over the 69
numbers of a pose without its global rotation, fitted by scikit-learn.
"""

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_hmr.body.data import BodyData
from training.data.readers import writing
from training.data.records import mocap

if TYPE_CHECKING:  # Not at run time: it imports TensorFlow.
    from tf_hmr.smplify import priors

NAME = "pose-gmm"

_HELD_OUT = 0.1
_SAMPLES = 2  # Poses drawn from each Gaussian for the sheet.


@dataclasses.dataclass
class Options:
    """Fits the pose prior to the unpaired poses of a folder of records.

    Writes OUT and a contact sheet of each Gaussian's mean and samples beside
    it: OUT with the ending .png.
    """

    poses: Path
    """Folder with prior.npz, written by `prepare synthetic` or `poses`."""
    out: Path
    """Path of the .npz to write."""
    components: int = 8
    """Number of Gaussians."""
    count: int = 20000
    """Maximum number of poses, evenly spaced; a tenth is held out."""
    floor: float = 1e-3
    """Squared radians added to every variance: 1e-3 is 1.8 degrees."""
    seed: int = 0
    """Seed of the start of the fit, the held-out poses and the samples."""
    body: Path = Path("open")
    """Body of the poses, for the sheet."""


def run(options: Options) -> None:
    """Fits, writes and draws the mixture.

    Raises:
        FileNotFoundError: the folder has no poses.
        ValueError: the poses are of another body, or too few.
    """
    from tf_hmr.smplify import priors
    from training.data.readers import pose_sheet

    prior = mocap.read(options.poses)
    body = BodyData.load(options.body)
    body.check_same_topology(prior.topology, f"{options.poses}/prior.npz")
    if len(prior.pose) < 2 * priors.NUM_POSE * options.components:
        raise ValueError(
            f"{options.poses} holds {len(prior.pose)} poses, too few for "
            f"{options.components} Gaussians of {priors.NUM_POSE} numbers. "
            "Prepare more poses or choose fewer --components."
        )
    training_poses, held_out_poses = _split(prior.pose, options)
    mixture = fit(training_poses, options, prior.topology)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    mixture.save(options.out)
    sheet_poses, captions = _sheet_poses(mixture, options.seed)
    sheet = options.out.with_suffix(".png")
    rest_joints = body.J_regressor @ body.v_template
    pose_sheet.write(sheet, sheet_poses, rest_joints, captions)
    one_gaussian = dataclasses.replace(options, components=1)
    baseline = fit(training_poses, one_gaussian, prior.topology)
    print(
        f"{options.components} Gaussians in {options.out}, shown in {sheet}\n"
        f"  {len(held_out_poses)} held-out poses, nats per pose: "
        f"{_nats_per_pose(mixture, held_out_poses):.1f}, of a single "
        f"Gaussian {_nats_per_pose(baseline, held_out_poses):.1f}"
    )
    print(f"  made by: {writing.command(NAME, options)}")


def _split(pose: np.ndarray, options: Options) -> tuple:
    rows = np.linspace(0, len(pose) - 1, min(options.count, len(pose)))
    poses = pose[rows.round().astype(int), 3:].astype(np.float64)
    order = np.random.default_rng(options.seed).permutation(len(poses))
    count = max(1, int(_HELD_OUT * len(poses)))
    return poses[order[count:]], poses[order[:count]]


def fit(pose: np.ndarray, options: Options, topology: str) -> "priors.Mixture":
    """Fits a mixture to poses (N, 69) by expectation maximisation."""
    from sklearn import exceptions, mixture

    from tf_hmr.smplify import priors

    model = mixture.GaussianMixture(
        options.components,
        reg_covar=options.floor,
        random_state=options.seed,
        max_iter=60,
        verbose=2,
        verbose_interval=1,
    )
    with warnings.catch_warnings():
        # Sixty rounds are enough; more would gain less than a nat.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        model.fit(pose)
    parameters = (model.means_, model.covariances_, model.weights_)
    # float32 as in the file, so that checks see the stored numbers.
    return priors.Mixture(*(a.astype(np.float32) for a in parameters), topology)


def _sheet_poses(
    mixture: "priors.Mixture", seed: int
) -> tuple[np.ndarray, list[str]]:
    """(N, 72) poses for the sheet: each mean and its samples; and captions."""
    rng = np.random.default_rng(seed)
    poses, captions = [], []
    for number in np.argsort(-mixture.weights):
        mean, covar = mixture.means[number], mixture.covars[number]
        poses.append(mean[None])
        poses.append(rng.multivariate_normal(mean, covar, _SAMPLES))
        share = 100 * mixture.weights[number]
        captions += [f"mean {number}: {share:.0f} %"] + ["drawn"] * _SAMPLES
    body = np.concatenate(poses)
    return np.concatenate([np.zeros((len(body), 3)), body], axis=1), captions


def _nats_per_pose(mixture: "priors.Mixture", pose: np.ndarray) -> float:
    """Mean negative log likelihood of poses (N, 69)."""
    from scipy import special, stats

    log_densities = [
        np.log(weight) + stats.multivariate_normal(mean, covar).logpdf(pose)
        for mean, covar, weight in zip(
            mixture.means.astype(np.float64),
            mixture.covars.astype(np.float64),
            mixture.weights.astype(np.float64),
            strict=True,
        )
    ]
    return -float(special.logsumexp(log_densities, axis=0).mean())
