"""A mixture of Gaussians over poses, the pose prior of SMPLify.

As Bogo et al. 2016: 8 Gaussians with full covariances over the 69 numbers of
a pose without its global rotation, fitted by scikit-learn.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from tf_hmr.body.data import BodyData
from tf_hmr.smplify import priors
from training.data.readers import writing
from training.data.records import mocap

NAME = "pose-gmm"

_HELD_OUT = 0.1
_SAMPLES = 2  # Poses drawn from each Gaussian for the sheet.


@dataclasses.dataclass
class Options:
    """Fits the pose prior to the unpaired poses of a folder of records.

    Writes OUT and, beside it, a sheet of each Gaussian's mean and of poses
    drawn from it, OUT with the ending .png.
    """

    poses: Path
    """Folder with prior.npz, as `prepare synthetic` and `poses` make it."""
    out: Path
    """The .npz to write."""
    components: int = 8
    """How many Gaussians."""
    count: int = 20000
    """Most poses to fit to, evenly spaced; a tenth is held out."""
    floor: float = 1e-3
    """Squared radians added to every variance: 1e-3 is 1.8 degrees."""
    seed: int = 0
    """Where the fit starts, and which poses are held out and drawn."""
    body: Path = Path("open")
    """Body for the sheet; that of the poses."""


def run(options: Options) -> None:
    """Fits, writes and shows the mixture.

    Raises:
        FileNotFoundError: the folder has no poses.
        ValueError: they are of another body, or too few.
    """
    from training.data.readers import pose_sheet

    found = mocap.read(options.poses)
    data = BodyData.load(options.body)
    data.check_same_topology(found.topology, f"{options.poses}/prior.npz")
    if len(found.pose) < 2 * priors.NUM_POSE * options.components:
        raise ValueError(
            f"{options.poses} holds {len(found.pose)} poses, too few for "
            f"{options.components} Gaussians of {priors.NUM_POSE} numbers. "
            "Prepare more poses or choose fewer --components."
        )
    fitted, held_out = _split(found.pose, options)
    mixture = fit(fitted, options, found.topology)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    mixture.save(options.out)
    poses, captions = _shown(mixture, options.seed)
    sheet = options.out.with_suffix(".png")
    rest = data.J_regressor @ data.v_template
    pose_sheet.write(sheet, poses, rest, captions)
    single = dataclasses.replace(options, components=1)
    print(
        f"{options.components} Gaussians in {options.out}, shown in {sheet}\n"
        f"  {len(held_out)} held-out poses, nats per pose: "
        f"{_nats(mixture, held_out):.1f}, of a single Gaussian "
        f"{_nats(fit(fitted, single, found.topology), held_out):.1f}"
    )
    print(f"  made by: {writing.command(NAME, options)}")


def _split(pose: np.ndarray, options: Options) -> tuple:
    rows = np.linspace(0, len(pose) - 1, min(options.count, len(pose)))
    chosen = pose[rows.round().astype(int), 3:].astype(np.float64)
    order = np.random.default_rng(options.seed).permutation(len(chosen))
    count = max(1, int(_HELD_OUT * len(chosen)))
    return chosen[order[count:]], chosen[order[:count]]


def fit(pose: np.ndarray, options: Options, topology: str) -> priors.Mixture:
    """The mixture of poses (N, 69), by expectation maximisation."""
    from sklearn import exceptions, mixture

    model = mixture.GaussianMixture(
        options.components,
        reg_covar=options.floor,
        random_state=options.seed,
        max_iter=60,
        verbose=2,
        verbose_interval=1,
    )
    with warnings.catch_warnings():
        # Sixty rounds are enough; what a prior lacks then is below a nat.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        model.fit(pose)
    found = (model.means_, model.covariances_, model.weights_)
    # As they are stored, so that the checks see what is read back.
    return priors.Mixture(*(a.astype(np.float32) for a in found), topology)


def _shown(mixture: priors.Mixture, seed: int) -> tuple[np.ndarray, list[str]]:
    """(N, 72) poses for the sheet: means, and poses drawn beside them."""
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


def _nats(mixture: priors.Mixture, pose: np.ndarray) -> float:
    """Mean negative log likelihood of poses (N, 69)."""
    from scipy import special, stats

    each = [
        np.log(weight) + stats.multivariate_normal(mean, covar).logpdf(pose)
        for mean, covar, weight in zip(
            mixture.means.astype(np.float64),
            mixture.covars.astype(np.float64),
            mixture.weights.astype(np.float64),
            strict=True,
        )
    ]
    return -float(special.logsumexp(each, axis=0).mean())
