"""Times the exported body function against the textbook's, on one thread.

    python -m edge.body_benchmark

Both are float32 .tflite files of one body with the same inputs and outputs,
run in turns. The textbook's is SMPL as in its release and its ports
(smpl/smpl_webuser; akanazawa/hmr: src/tf_smpl/batch_smpl.py): rest joints
regressed from all vertices, a chain of 4 x 4 matrices, homogeneous vertices,
keypoints regressed from the posed vertices, or joints of the skeleton.
"""

import dataclasses
import sys
from pathlib import Path

import tyro


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    rounds: int = 500
    """Runs of each file."""
    body: str = "open"
    """'open', or the path of a body file."""
    files: Path | None = None
    """Folder to write the two .tflite files to, for edge.benchmark."""


def main(args: Args) -> int:
    """Prints the medians, and the median ratio of runs in one round."""
    # Not at the top: it imports TensorFlow.
    from edge.tasks import body_benchmark as task

    task.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Args, prog="edge.body_benchmark")))
