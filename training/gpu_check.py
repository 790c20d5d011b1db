r"""Checks training on this machine's GPUs: whether it is right, and how fast.

    python -m training.gpu_check
    python -m training.gpu_check --devices gpu:0 --out out/gpu_check
    python -m training.gpu_check --devices cpu:2 --checks see steps replicas
    python -m training.gpu_check --checks speed --batches 64 128 256

The checks, each in processes of its own:
  see       what TensorFlow sees, with driver, CUDA and cuDNN, and the cure
            where it sees no GPU though a card is there
  steps     one step of each method on the device against one on the CPU
  replicas  two replicas against one device, and a control: a gradient that is
            doubled in one of them must be noticed
  resume    a run that kill -9 ends and that continues, against one that runs on
  speed     images/s by encoder, batch and precision, with the share of the
            device's own rate of matrix products, and memory
  input     the input pipeline alone, and the cores that a GPU needs

OUT/gpu_check.json has every figure, OUT/gpu_check.md the tables. The exit
status is 1 if a check fails, and 2 if it cannot be made.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from tf_hmr import method_config
from training.engine import device_names, exit_status

Check = Literal["see", "steps", "replicas", "resume", "speed", "input"]
CHECKS: tuple[Check, ...] = (
    *("see", "steps", "replicas", "resume", "speed", "input"),
)
_UNREADABLE = 2


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line of `training.gpu_check`."""

    devices: str = "auto"
    """auto, cpu, cpu:2 (two virtual devices), gpu, gpu:0,1."""
    out: Path = Path("runs/gpu_check")
    """Folder of the report."""
    checks: tuple[Check, ...] = CHECKS
    """Checks to make."""
    methods: tuple[str, ...] = ()
    """Methods whose steps are compared; default: all there are."""
    check_image_size: int = 64
    """Side of the crops of the compared steps, in pixels."""
    check_batch: int = 0
    """Images of a compared step, over all devices; default: 8, or the next
    multiple of the number of devices."""
    encoders: tuple[str, ...] = ("small", "mobilenet_v3", "resnet50")
    """Encoders to time."""
    image_size: int = 224
    """Side of the crops in the timed steps, in pixels."""
    precisions: tuple[Literal["float32", "bfloat16"], ...] = (
        "float32",
        "bfloat16",
    )
    """Precisions of the timed steps."""
    batches: tuple[int, ...] = ()
    """Images of a timed step, over all devices; default: 8 on a CPU; 32, 64,
    128 and 256 on GPUs, or their next multiples. Of one that does not fit, the
    largest that does."""
    rounds: int = 3
    """Rounds of 4 timed steps; the median counts."""
    input_batches: int = 20
    """Batches of 64 images that each input pipeline makes while it is timed."""


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 if a check fails, 2 if none can be made."""
    args = tyro.cli(
        Args,
        prog="python -m training.gpu_check",
        description=__doc__,
        args=arguments,
    )
    try:
        _check_names(args)
        # Not at the top: it imports TensorFlow.
        from training.gpu_checks import checks

        report = checks.run(args)
    except (ValueError, OSError) as error:
        print(f"training.gpu_check: {error}", file=sys.stderr)
        return _UNREADABLE
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return exit_status.INTERRUPTED
    state = "passed" if report.passed else "FAILED"
    print(f"{state}: {args.out / checks.results.MARKDOWN}")
    return exit_status.COMPLETE if report.passed else exit_status.FAILED


def _check_names(args: Args) -> None:
    """Refuses what no machine has, before TensorFlow is imported.

    Raises:
        ValueError: lists what there is.
    """
    device_names.parse(args.devices)
    for name in args.methods:
        method_config.check_name(name)


if __name__ == "__main__":
    sys.exit(main())
