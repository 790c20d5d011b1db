"""Makes records: python -m training.prepare DATASET --out FOLDER ...

The datasets are the modules of training.data.prepare.
"""

import sys

from training import commands
from training.data import prepare

if __name__ == "__main__":
    sys.exit(commands.main(prepare, "training.prepare"))
