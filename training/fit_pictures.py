"""The former name of `training.draw_fits`, for commands that still use it."""

import logging
import sys

from training import draw_fits

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(draw_fits.main())
