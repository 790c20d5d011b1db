"""Makes the vectors: see the package."""

import argparse
from pathlib import Path

from tests.support import phone_vectors

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.phone_vectors",
        description=phone_vectors.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--parts",
        nargs="*",
        choices=phone_vectors.PARTS,
        default=phone_vectors.PARTS,
    )
    args = parser.parse_args()
    for part in args.parts:
        phone_vectors.make(part, args.out / part)
        print(args.out / part)
