"""The input pipeline alone: what a training image costs the processor.

The images are those of `training.benchmark pipeline`: JPEGs as large as
photographs of 500 pixels. Measured are the warp on the host and in the step
(`--data.warp step`), crops that were cut before (`training.prepare
cached-crops`), and a tf.data service with two workers on this machine.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time
from collections.abc import Iterator

import tensorflow as tf

from training.benchmarks import _images, data_service
from training.data.prepare import cached_crops

_WORKERS = 2
_CLOCK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Options:
    """Images to make."""

    count: int = 100
    """Number of distinct images."""
    size: int = 500
    """Side of the images in pixels."""
    image_size: int = 224
    """Side of the crops in pixels."""
    batch: int = 64
    """Images per batch."""
    batches: int = 20
    """Batches that are timed."""


@dataclasses.dataclass(frozen=True)
class InputRate:
    """Cost of the training images of one kind of pipeline."""

    label: str
    """What makes the images."""
    option: str
    """Options that choose it."""
    host_ms: float
    """Processor time per image in the training process, ms."""
    service_ms: float
    """Processor time per image in the workers of a service, ms."""
    images_per_s: float
    """Images per second of this machine, with nothing else to do."""

    def cores(self, images_per_s: float) -> float:
        """Cores that `images_per_s` keep busy, over all processes."""
        return images_per_s * (self.host_ms + self.service_ms) / 1e3

    @property
    def cores_in_use(self) -> float:
        """Cores that this measurement kept busy."""
        return self.cores(self.images_per_s)


def measure_local(options: Options) -> list[InputRate]:
    """Measures the pipelines of one process, one after the other."""
    with _images_of(options) as folder:
        crops = folder / "crops"
        with contextlib.redirect_stdout(None):
            cached_crops.run(
                cached_crops.Options(folder / "records", crops / "records")
            )
        return [
            _rate("warp on the host", "", options, folder),
            _rate("warp in the step", "--data.warp step", options, folder),
            _rate("cached crops", "prepare cached-crops", options, crops),
            _rate(
                "cached crops, warp in the step",
                "prepare cached-crops, --data.warp step",
                options,
                crops,
            ),
        ]


def measure_service(options: Options) -> list[InputRate]:
    """Measures a tf.data service on this machine.

    Raises:
        ValueError: a server did not start.
    """
    with _images_of(options) as folder, contextlib.ExitStack() as stack:
        address = data_service.start_server(stack, "dispatcher", "--port=0")
        for _ in range(_WORKERS):
            arguments = (f"--dispatcher={address}", "--host=localhost")
            data_service.start_server(stack, "worker", *arguments)
        return [
            _rate(
                f"tf.data service, {_WORKERS} workers, warp in the step",
                "--data.service HOST:PORT --data.warp step",
                options,
                folder,
                address,
            )
        ]


@contextlib.contextmanager
def _images_of(options: Options) -> Iterator[pathlib.Path]:
    """A folder with records of the images, while no GPU is visible."""
    tf.config.set_visible_devices([], "GPU")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _images.write(folder, options.count, options.size, 1)
        yield folder


def _rate(
    label: str,
    option: str,
    options: Options,
    folder: pathlib.Path,
    service: str = "",
) -> InputRate:
    warp = "step" if "warp in the step" in label else "host"
    dataset = _images.batches(
        folder, options.batch, options.image_size, warp=warp, service=service
    )
    iterator = iter(dataset)
    # What was made ahead before the clock starts is made ahead again at its
    # end.
    _take(iterator, 3 + options.batches // 4)
    wall, host, servers = time.perf_counter(), _own_cpu_s(), _children_cpu_s()
    _take(iterator, options.batches)
    images = options.batch * options.batches
    return InputRate(
        label,
        option,
        host_ms=1e3 * (_own_cpu_s() - host) / images,
        service_ms=1e3 * (_children_cpu_s() - servers) / images,
        images_per_s=images / (time.perf_counter() - wall),
    )


def _take(iterator: Iterator, count: int) -> None:
    for _ in range(count):
        next(iterator)


def _own_cpu_s() -> float:
    return time.process_time()


def _children_cpu_s() -> float:
    """CPU time of the running children of this process; 0 off Linux."""
    total, parent = 0.0, os.getpid()
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold blanks.
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                total += (int(fields[11]) + int(fields[12])) / _CLOCK
    return total
