"""Whole runs of training.fit in processes of their own, and their losses."""

from pathlib import Path

from tests.support import plain_body, processes
from tf_hmr import method
from training import fit
from training.engine import run_log
from training.engine import step as steps
from training.tasks import fit as task

PATIENCE_S = 900


def train_here(
    folder: str, records: str, device_flag: str, *words: str
) -> None:
    """What each process runs: the experiment and its flags are `words`.

    The word "descent" is no flag: it, or a second device, replaces Adam, which
    divides a wrong scale of the gradients away, by plain descent.
    """
    task.Body = method.Body = plain_body.make
    if device_flag == "cpu:2" or "descent" in words:
        steps.optimizer = processes.plain_descent
    name, *flags = [word for word in words if word != "descent"]
    experiment, options = fit.parse(
        [
            name,
            *(f"--workdir={folder}", f"--records={records}"),
            *(f"--devices={device_flag}", *flags),
        ]
    )
    task.fit(experiment, options, name)


def losses(folder: Path) -> dict[int, dict]:
    """Values of the training lines by step, without times."""
    lines = run_log.read_metrics(folder / run_log.METRICS_FILE)
    times = ("images_per_s", "trained_s")
    return {
        line["step"]: {k: v for k, v in line.items() if k not in times}
        for line in lines
        if "loss" in line
    }


def end(process) -> None:
    """Waits for a process that is to end well."""
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, error[-3000:]
