"""Every value of every experiment, in files whose diff shows a change.

    python -m tests.support.resolved_experiments

writes tests/golden/experiments/NAME.json anew.
"""

import json

from tests.support.paths import GOLDEN
from training import fit
from training.engine import workdir

FOLDER = GOLDEN / "experiments"


def text(name: str) -> str:
    """The resolved experiment as `training.fit NAME --print-config` prints."""
    return (
        json.dumps(workdir.as_dict(fit.load_experiment(name)), indent=2) + "\n"
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in fit.names():
        (FOLDER / f"{name}.json").write_text(text(name))
