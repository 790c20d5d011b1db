"""Builds the Android app of edge/android, without Gradle, and signs it.

    python -m edge.export --weights tf_hmr/assets/lifter --out lifter.tflite
    python -m edge.apk --model lifter.tflite
    adb install build/android/tf_hmr.apk
    python -m edge.apk --model lifter.tflite --assets FOLDER  # for Gradle

The first exports the lifter that ships: bodies of people whom the app finds by
itself. Any other file of edge.export does as well. The second needs a JDK,
Maven and some of Debian's packages (the message names those that are missing),
and gets libraries from Maven Central, once. The key is one for trying out:
whoever publishes an app signs it with an own one. edge/android/README.md says
more.
"""

import dataclasses
import logging
import sys
from pathlib import Path

import tyro

from edge.apk import tools


@dataclasses.dataclass(frozen=True)
class Args:
    """Command line arguments."""

    model: Path
    """The .tflite of edge.export, beside its .card.json and .mesh.npz."""
    out: Path = Path("build/android/tf_hmr.apk")
    """The app to write."""
    assets: Path | None = None
    """Only write the networks and shaders into this folder, for Gradle."""


def check_args(args: Args) -> None:
    """Refuses a model or programs that are not there, before anything slow.

    Raises:
        FileNotFoundError: says how to get them.
    """
    if not args.model.is_file():
        raise FileNotFoundError(
            f"{args.model} is missing. Export a model: python -m edge.export "
            f"--weights runs/demo --out {args.model}"
        )
    if args.assets is None:
        tools.check()


def main(args: Args) -> int:
    """Runs the command; returns its exit status."""
    try:
        check_args(args)
        # Not at the top: it imports TensorFlow.
        from edge.apk import package

        if args.assets is not None:
            package.check_model(args.model)
            package.write_assets(args.model, args.assets)
            print(f"{args.assets}: networks and shaders")
            return 0
        card = package.build(args.model, args.out)
    except (OSError, ValueError) as error:
        logging.error("%s", " ".join(str(error).split()))
        return 1
    megabytes = args.out.stat().st_size / 1e6
    print(
        f"{args.out}: {megabytes:.1f} MB, {card['method']} in "
        f"{card['precision']}, signed; adb install {args.out}"
    )
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    sys.exit(
        main(tyro.cli(Args, prog="python -m edge.apk", description=__doc__))
    )
