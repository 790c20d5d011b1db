"""One number of a paper, judged by the results there are."""

import pytest

from training.papers import parity

PROPERTY = "parity"


def check(cell, results, record_property) -> None:
    """Passes, fails or skips as the verdict says, which is noted."""
    verdict = parity.judge(cell, results)
    record_property(PROPERTY, verdict.state.value)
    if verdict.state in (parity.State.PASS, parity.State.FAIL):
        origin = verdict.result.path if verdict.result else "the model"
        assert verdict.state == parity.State.PASS, (
            f"{cell} is {cell.printed} in the paper, {verdict.value:g} in "
            f"{origin}; the tolerance is {cell.tolerance:g}: "
            f"{cell.requirements.tolerance_reason} {verdict.reason}"
        )
        return
    lines = [
        f"{verdict.state.value}. {verdict.reason}",
        *verdict.missing_commands,
    ]
    pytest.skip("\n".join(lines))
