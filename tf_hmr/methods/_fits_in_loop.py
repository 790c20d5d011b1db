"""SMPLify in the training loop: fits to the keypoints become labels.

smplify/in_the_loop.py makes the labels; training/engine/fit_store.py stores
the fits, by example, in the run's workdir.

Kolotouros et al., Learning to Reconstruct 3D Human Pose and Shape via
Model-fitting in the Loop, ICCV 2019 (nkolot/SPIN: train/trainer.py).
"""

import dataclasses
from typing import Literal

import tensorflow as tf

from tf_hmr import config_values, method
from tf_hmr.smplify import in_the_loop

Fits = Literal["none", "kept", "improved"]


@dataclasses.dataclass(frozen=True)
class FitFields:
    """Fields of a Config whose method learns from fits."""

    fits: Fits = "none"
    """Labels from fits to the keypoints, where an example has no pose: 'kept'
    takes those of data.fits; 'improved' runs SMPLify from every prediction
    and keeps the better fit (Kolotouros et al., ICCV 2019)."""
    fit_steps: config_values.CountOrNone = 100
    """Steps of each of SMPLify's two stages, with fits='improved'."""
    fit_prior: str = ""
    """SMPLify's pose prior: gmm_08.pkl or an .npz of `training.prepare
    pose-gmm`; empty: the open body's own."""


class FitsInLoop(method.Method):
    """A method whose labels may come from fits; its Config has FitFields."""

    _fit_targets: in_the_loop.FitTargets | None = None

    def mean_body(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Body of an example without a fit: rotations (J, 3, 3), betas (N,)."""
        raise NotImplementedError(f"{type(self).__name__} has no mean body.")

    @property
    def makes_targets(self) -> bool:
        """Whether fits are used as labels."""
        return self.keeps_fits

    @property
    def keeps_fits(self) -> bool:
        """Whether fits are stored by example, as config.fits says."""
        return self.config.fits != "none"

    def prepare_targets(self) -> None:
        """Reads the pose prior, which only training needs.

        Raises:
            FileNotFoundError, ValueError: see in_the_loop.FitTargets.
        """
        config = self.config
        if config.fits == "none" or self._fit_targets is not None:
            return
        steps = config.fit_steps if config.fits == "improved" else 0
        # Its constants must not belong to a graph that is being traced.
        with tf.init_scope():
            self._fit_targets = in_the_loop.FitTargets(
                self.body, config.fit_prior, steps
            )

    def targets(self, batch, prediction, fits):
        """Adds labels of fits to the batch, see FitTargets."""
        if not self.makes_targets:
            return batch
        self.prepare_targets()
        return self._fit_targets(batch, prediction, self._or_mean_body(fits))

    def _or_mean_body(self, fits: method.Fits) -> method.Fits:
        """Replaces missing fits by the mean body."""
        rotmats, betas = self.mean_body()
        stored = fits.kept > 0
        return fits._replace(
            rotmats=tf.where(
                stored[:, None, None, None], fits.rotmats, rotmats
            ),
            betas=tf.where(stored[:, None], fits.betas, betas),
        )
