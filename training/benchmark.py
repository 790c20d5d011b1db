"""Measures speed: python -m training.benchmark NAME ...

The benchmarks are the modules of training.benchmarks.
"""

import sys

from training import benchmarks, commands

if __name__ == "__main__":
    sys.exit(commands.main(benchmarks, "training.benchmark"))
