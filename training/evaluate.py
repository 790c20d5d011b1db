r"""Measures a trained model, or predictions in a file, by named protocols.

    python -m training.prepare synthetic --protocol synthetic_v1 \
        --out data/synthetic_v1
    python -m training.evaluate --weights runs/demo --protocol synthetic_v1

The first command makes the protocol's records, once; the records of
`make demo` are used with --records runs/demo/data. The second writes
WEIGHTS/results/<protocol>.json, and figures of the examples at the 15th,
30th, 60th, 90th and 95th percentile of the error and of the worst ones.

--predictions FILE.npz measures another system by the same code: example_id
(N,), and the arrays that the protocol needs: joints3d (N, J, 3) metres, x
right, y down, z forward, with joint_names (J,); rotmats (N, 24, 3, 3) and
betas (N, 10); vertices (N, V, 3); translation (N, 3); camera (N, 3) s, tx, ty
of crop (N, 4); keypoints (N, J, 2) pixels. --save-predictions writes one.

--output measures parts of a method alone, each into a file of its own:

    python -m training.evaluate --weights runs/smplr_quick \
        --protocol synthetic_smplr --output cnn denoised shape pose all proc

SMPLR's are the points of its network (cnn), the same denoised, the body with
the labelled rotations (shape) or betas (pose), of both estimates (all), and
turned and moved onto the points (proc). `proc` is scored about the pelvis of
these points, as the paper's figures are, and about its own, too.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import tyro

from tf_hmr.formats import model_files
from training.evaluation import protocols, selection

ALL_PROTOCOLS = "all"


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Command line of `training.evaluate`."""

    weights: Path | None = None
    """A model folder, or the workdir of a run."""
    predictions: Path | None = None
    """A file of predictions, instead of --weights."""
    protocol: tuple[str, ...] = ("synthetic_v1",)
    """Names of protocols; 'all' selects those whose records exist."""
    output: tuple[str, ...] = ()
    """Parts of the method to measure alone; default: its answer."""
    records: Path = Path("data")
    """The folder of record folders, or the protocol's own folder."""
    train_records: str = ""
    """Records whose mean is the baseline; default: those of the run."""
    body: str = "open"
    """'open', or the SMPL files the model was trained with: a path, or
    FEMALE,MALE."""
    true_bodies: Path | None = None
    """Folder of SMPL_FEMALE.pkl and SMPL_MALE.pkl, for gendered labels;
    default: the folder of --body."""
    out: Path | None = None
    """Folder of the results; default: 'results' beside the model."""
    save_predictions: Path | None = None
    """File to write the predictions to, for --predictions; with several
    protocols, each file name starts with the protocol's."""
    experiment: str = ""
    """Experiment named in the results; default: the run's."""
    every: int = 1
    """Measure only every n-th example; above 1 the result is not complete.
    Occluded protocols predict 70 times per example."""
    devices: str = "auto"
    """auto, cpu, gpu or gpu:0,1; several share each batch."""
    batch_size: int = 50
    """Images per prediction."""


def check(flags: Evaluate) -> None:
    """Refuses what can be seen before TensorFlow is imported.

    Raises:
        FileNotFoundError: no model, predictions, or records of a protocol.
        ValueError: unknown protocol, or both or neither of two options.
    """
    if (flags.weights is None) == (flags.predictions is None):
        raise ValueError("Give --weights or --predictions, one of them.")
    if flags.output and flags.predictions:
        raise ValueError(
            "--output names parts of a model, but --predictions has none. "
            "Give --weights, or leave --output out."
        )
    named = [name for name in flags.protocol if name != ALL_PROTOCOLS]
    selected = [protocols.get(name) for name in named]
    if flags.weights:
        model_files.find_folder(flags.weights)
    elif not flags.predictions.is_file():
        raise FileNotFoundError(f"--predictions {flags.predictions}: no file.")
    if ALL_PROTOCOLS not in flags.protocol:
        for protocol in selected:
            selection.find_split(flags.records, protocol)


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 when the results are written."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    flags = tyro.cli(
        Evaluate,
        prog="python -m training.evaluate",
        description=__doc__,
        args=arguments,
    )
    try:
        check(flags)
        # Not at the top: it imports TensorFlow.
        from training.tasks import evaluate as task

        paths = task.evaluate(flags)
    except (OSError, ValueError) as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return 1
    for path in paths:
        results = json.loads(path.read_text())
        print(f"\n{results['protocol']}\n{task.table(results)}")
        print(f"Results: {path}")
        if results["picture"]:
            print(f"Picture: {path.with_name(results['picture'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
