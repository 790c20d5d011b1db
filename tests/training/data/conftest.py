"""One reading process for all tests whose readers take one."""

import concurrent.futures

import pytest

from training.data.readers import workers

fresh_pool = workers.pool


class Shared(concurrent.futures.Executor):
    """A pool's process for one more reader, which cancels what it leaves."""

    def __init__(self, process: concurrent.futures.Executor):
        self._process = process
        self._futures: list[concurrent.futures.Future] = []

    def submit(self, *task, **named) -> concurrent.futures.Future:
        self._futures.append(self._process.submit(*task, **named))
        return self._futures[-1]

    def shutdown(self, wait=True, *, cancel_futures=False) -> None:
        for future in self._futures:
            future.cancel()


@pytest.fixture(scope="session")
def reading_process():
    """A process of a reader, which starts when the first task comes."""
    with fresh_pool(1) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def _one_reading_process(reading_process):
    """To start a process takes longer than most tests read."""

    def pool(count: int):
        return Shared(reading_process) if count == 1 else fresh_pool(count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "pool", pool)
        yield


@pytest.fixture
def fresh_processes(monkeypatch) -> None:
    """Readers start processes of their own, as they do for users."""
    monkeypatch.setattr(workers, "pool", fresh_pool)
