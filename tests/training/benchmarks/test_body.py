import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from tests.support.paths import ROOT
from training.benchmarks import body

COMPARE = all(importlib.util.find_spec(n) for n in ("torch", "smplx"))


def lines_of(prepare: str) -> list[str]:
    """Output of a tiny run; its settings must precede TensorFlow's start.

    Without XLA, which compiles the body's gradient for longer.
    """
    script = (
        f"import sys\n{prepare}\nfrom training.benchmarks import body\n"
        "from tests.support import plain_body\nfrom tf_hmr.body import model\n"
        "model.Body = plain_body.make\n"
        "body.run(body.Options(batch=2, rounds=1, calls=1))"
    )
    completed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.splitlines()


def test_without_the_peer_ours_is_measured_alone_and_said_so():
    lines = lines_of("sys.modules['smplx'] = None")
    assert any(line.startswith("tf_hmr, whole mesh") for line in lines)
    assert any("ours alone" in line for line in lines)
    assert not any(line.startswith("ratio") for line in lines)


@pytest.mark.skipif(not COMPARE, reason="needs pip install -e '.[compare]'")
def test_with_the_peer_the_last_line_is_the_ratio():
    name, value = lines_of("")[-1].split()
    assert name == "ratio"
    assert float(value) > 0


def test_sides_that_disagree_are_not_compared():
    betas, rotvecs = np.ones((2, 10)), np.ones((2, 24, 3))
    body._check_same((betas, rotvecs), (betas, rotvecs))
    with pytest.raises(ValueError, match="gradients for rotvecs differ"):
        body._check_same((betas, 1.001 * rotvecs), (betas, rotvecs))
