r"""Converts weights of the papers' own code to model folders.

Examples:

    python -m tf_hmr.convert hmr-tf1 models/model.ckpt-667589 \
        --body models/neutral_smpl_with_cocoplus_reg.pkl --out weights/hmr
    python -m tf_hmr photo.jpg --weights weights/hmr \
        --body models/neutral_smpl_with_cocoplus_reg.pkl

    python -m tf_hmr.convert spin data/model_checkpoint.pt \
        --body SMPL_NEUTRAL.pkl --out weights/spin

    python -m tf_hmr.convert smplr --shn shn/model.ckpt --dae dae/model.ckpt \
        --shape shape/model.ckpt --pose pose/model.ckpt \
        --body SMPL_NEUTRAL.pkl --out weights/smplr

The folder holds no array of the body: pass --body wherever it is used.
"""

import dataclasses
import glob
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from tf_hmr.body import files as body_files

_log = logging.getLogger("tf_hmr")


@dataclasses.dataclass(frozen=True)
class HmrTf1:
    """A checkpoint of akanazawa/hmr (TensorFlow 1)."""

    checkpoint: tyro.conf.Positional[Path]
    """Its prefix, as model.ckpt-667589, or one of its files."""
    body: str
    """The body it was trained with: an SMPL .pkl, its folder, an .npz, or
    'open'. It is compared with the checkpoint's."""
    out: Path
    """Folder for the model; new or empty."""

    def converted(self):
        """The model and the report."""
        from tf_hmr.convert import hmr_tf1

        return hmr_tf1.convert(self.checkpoint, self.body)

    def files(self) -> list[Path]:
        """The checkpoints that are read."""
        return [self.checkpoint]


@dataclasses.dataclass(frozen=True)
class Spin:
    """A checkpoint of nkolot/SPIN (PyTorch, which is not needed)."""

    checkpoint: tyro.conf.Positional[Path]
    """The file, as model_checkpoint.pt."""
    body: str
    """The body it was trained with: an SMPL .pkl, its folder, an .npz, or
    'open'. A checkpoint does not say which."""
    out: Path
    """Folder for the model; new or empty."""

    def converted(self):
        """The model and the report."""
        from tf_hmr.convert import spin

        return spin.convert(self.checkpoint, self.body)

    def files(self) -> list[Path]:
        """The checkpoints that are read."""
        return [self.checkpoint]


@dataclasses.dataclass(frozen=True)
class Smplr:
    """The four checkpoints of meysam-madadi/SMPLR (TensorFlow 1)."""

    shn: Path
    """Prefix of the volumetric hourglass' checkpoint, or one of its files."""
    dae: Path
    """That of the denoising autoencoder."""
    shape: Path
    """That of the network that reads betas and gender from bone lengths."""
    pose: Path
    """That of the network that reads rotations from bone directions."""
    body: str
    """The body to pose: an SMPL .pkl, its folder, an .npz, or 'open'; or
    FEMALE,MALE, two paths with a comma between. The weights were trained with
    SMPL's female and male bodies, and their gender chooses."""
    out: Path
    """Folder for the model; new or empty."""

    def converted(self):
        """The model and the report."""
        from tf_hmr.convert import smplr

        return smplr.convert(smplr.Checkpoints(*self.files()), self.body)

    def files(self) -> list[Path]:
        """The checkpoints that are read."""
        return [self.shn, self.dae, self.shape, self.pose]


COMMANDS = {"hmr-tf1": HmrTf1, "smplr": Smplr, "spin": Spin}


def run(command: HmrTf1 | Smplr | Spin) -> None:
    """Converts, writes, and reports what was read, dropped and left over.

    Raises:
        FileNotFoundError: a checkpoint or the body is missing.
        ValueError: one of them is not what it should be.
    """
    body_files.find(command.body)
    for path in command.files():
        # A checkpoint of TensorFlow 1 is named by what its files begin with.
        if not any(path.parent.glob(f"{glob.escape(path.name)}*")):
            raise FileNotFoundError(f"{path}: no such checkpoint.")
    # Not at the top, nor are the converters: they import TensorFlow.
    from tf_hmr.convert import report as conversion

    conversion.check_out(command.out)
    model, report = command.converted()
    for line in conversion.lines(report):
        _log.info(line)
    written = conversion.save(model, command.out)
    _log.info(
        "Model folder: %s%s",
        command.out,
        "" if written else " (was there already, the same)",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    command = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="python -m tf_hmr.convert",
        description=__doc__,
        args=arguments,
    )
    try:
        run(command)
    except (ValueError, OSError) as error:
        _log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(
        format="%(message)s", stream=sys.stderr, level=logging.INFO
    )
    sys.exit(main())
