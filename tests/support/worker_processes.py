"""Workers of one run on this machine, as processes."""

from tests.support import keeper_method, processes
from training import launch


def start(folder, **environment):
    """A process that trains the made-up method that keeps fits."""
    function = keeper_method.train_here
    return processes.start(
        folder, "cpu", "paced", function=function, **environment
    )


def pair(folder):
    """Two workers that train into one folder."""
    hosts = launch.free_hosts(2)
    return [
        start(folder, TF_CONFIG=launch.tf_config(hosts, index))
        for index in range(2)
    ]


def ends(workers, timeout=240):
    """Exit statuses and what was said; none is left running."""
    try:
        outputs = [worker.communicate(timeout=timeout)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [worker.returncode for worker in workers], outputs
