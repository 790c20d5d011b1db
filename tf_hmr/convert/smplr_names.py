"""The variables of SMPLR's code (TensorFlow 1), by name, for our layers.

Names and order: meysam-madadi/SMPLR: Models/smplr.py and Models/
StackedHourglass/hourglassModelVoxelsBones.py. The hourglass leaves most of its
variables unnamed, so TensorFlow numbered them as they were made; the order
here is that.
"""

import itertools
from collections.abc import Iterator

from tf_hmr.formats import foreign_weights
from tf_hmr.networks import denoiser, reversed_smpl, volumetric_hourglass

Sources = list[foreign_weights.Source]


def of_denoiser(layer: denoiser.Denoiser) -> Sources:
    """32 variables of the graph `dae`."""
    norms = _numbered("dae/batch_normalization")
    blocks = {
        "enc/fce1_0": layer.encoder1,
        "enc/fce2_0": layer.encoder2,
        "enc/fce3_0": layer.code,
        "dec/fcd2_0": layer.decoder2,
        "dec/fcd1_0": layer.decoder1,
    }
    sources = []
    for name, block in blocks.items():
        sources += _block(block, f"dae/{name}", norms)
    return sources + _dense(layer.out, "dae/dec/x_0")


def of_shape(layer: reversed_smpl.ShapeRegressor) -> Sources:
    """54 variables of the graph `shape`."""
    return _of_regressor(layer, "shape")


def of_pose(layer: reversed_smpl.PoseRegressor) -> Sources:
    """54 variables of the graph `pose`."""
    return _of_regressor(layer, "pose")


def of_hourglass(layer: volumetric_hourglass.VolumetricHourglass) -> Sources:
    """852 variables of the graph `shn`; fewer of fewer stacks."""
    names = _Unnamed()
    scope = "stacked_hourglass"
    stem = f"{scope}/preprocessing"
    sources = [
        foreign_weights.single(layer.conv.kernel, f"{stem}/256to128/weights")
    ]
    shortcuts = ("residual", "residual_1", "residual_2")
    for residual, name in zip(layer.residuals, shortcuts, strict=True):
        sources += names.of_residual(residual, f"{stem}/{name}")
    for number, stack in enumerate(layer.stacks, start=1):
        stack_scope = f"{scope}/stacks/hourglass.{number}"
        sources += names.of_hourglass(stack.hourglass)
        sources += _kernel(stack.conv, f"{stack_scope}/conv_1")
        sources += names.of_norm(stack.norm)
        if not stack.is_last:
            sources += _kernel(stack.ll, f"{stack_scope}/ll")
        sources += _kernel(stack.out, f"{stack_scope}/out")
        if not stack.is_last:
            sources += _kernel(stack.out_back, f"{stack_scope}/out_")
    return sources


class _Unnamed:
    """Numbers the hourglass' variables in the order of their making."""

    def __init__(self):
        self._norms = _numbered("BatchNorm")
        self._weights = _numbered("weights")

    def of_hourglass(self, layer: volumetric_hourglass.Hourglass) -> Sources:
        sources = self.of_residual(layer.up) + self.of_residual(layer.low1)
        if isinstance(layer.low2, volumetric_hourglass.Hourglass):
            sources += self.of_hourglass(layer.low2)
        else:
            sources += self.of_residual(layer.low2)
        return sources + self.of_residual(layer.low3)

    def of_residual(
        self, layer: volumetric_hourglass.Residual, scope: str = ""
    ) -> Sources:
        """A residual; only that of a shortcut has a scope."""
        sources = []
        for norm, conv in zip(layer.norms, layer.convs, strict=True):
            sources += self.of_norm(norm)
            sources.append(
                foreign_weights.single(conv.kernel, next(self._weights))
            )
        if layer.shortcut is not None:
            shortcut = f"{scope}/skipLayer/skipLayer-conv"
            sources += _kernel(layer.shortcut, shortcut)
        return sources

    def of_norm(self, layer) -> Sources:
        return _norm(layer, next(self._norms))


def _of_regressor(layer, scope: str) -> Sources:
    """Psi or Omega, which differ in their sizes alone."""
    norms = _numbered(f"{scope}/batch_normalization")
    enc = f"{scope}/enc"
    sources = []
    names = ("fce1", "fce2", "fce3", "fce4", "fce41")
    for block, name in zip(layer.trunk, names, strict=True):
        sources += _block(block, f"{enc}/{name}", norms)
    sources += _block(layer.deep1, f"{enc}/fce42", norms)
    sources += _block(layer.deep2, f"{enc}/fce5", norms)
    sources += _dense(layer.deep_out, f"{enc}/x")
    sources += _block(layer.shallow, f"{enc}/fce43", norms)
    sources += _dense(layer.shallow_out, f"{enc}/x_offset")
    return sources + _dense(layer.out, f"{enc}/x2")


def _block(block: denoiser.Block, name: str, norms: Iterator[str]) -> Sources:
    return _dense(block.fc, name) + _norm(block.bn, next(norms))


def _dense(layer, name: str) -> Sources:
    return [
        *_kernel(layer, name),
        foreign_weights.single(layer.bias, f"{name}/biases"),
    ]


def _kernel(layer, name: str) -> Sources:
    return [foreign_weights.single(layer.kernel, f"{name}/weights")]


def _norm(layer, name: str) -> Sources:
    """Variables of a normalisation, with a gamma if it has one."""
    parts = ["gamma"] if layer.scale else []
    parts += ["beta", "moving_mean", "moving_variance"]
    return [
        foreign_weights.single(getattr(layer, part), f"{name}/{part}")
        for part in parts
    ]


def _numbered(name: str) -> Iterator[str]:
    """name, name_1, name_2 and so on: TensorFlow's way to keep names apart."""
    return itertools.chain(
        [name], (f"{name}_{number}" for number in itertools.count(1))
    )
