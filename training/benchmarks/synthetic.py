"""Times the making of synthetic people, on one core, with all labels.

    python -m training.benchmark synthetic

It includes all work from a seed to a finished record: pose, shape, body,
image at two samples per pixel and axis, JPEG, box, keypoints, 3D joints, part
labels as PNG. The last line is `images per core-second N`.
"""

import dataclasses
import time

from tf_hmr import progress
from training.data.readers import workers as processes
from training.data.synthetic import people as synthetic


@dataclasses.dataclass
class Options:
    """Images per second of CPU time of one process with one thread."""

    count: int = 512
    """Number of people to measure."""
    size: int = 256
    """Side of the images in pixels."""
    seed: int = 1
    """Seed of the people."""


def run(options: Options) -> float:
    """Measures and prints; returns images per second of CPU time."""
    with processes.pool(1) as pool:
        cpu, wall, stored = pool.submit(measure, options).result()
    rate = options.count / cpu
    print(
        f"{options.count} people at {options.size} px: {cpu:.2f} s of CPU, "
        f"{wall:.2f} s, {stored / options.count / 1024:.1f} KiB each"
    )
    print(f"images per core-second {rate:.0f}")
    return rate


def measure(options: Options) -> tuple[float, float, int]:
    """CPU seconds of this process, wall seconds, and bytes of the records."""
    settings = synthetic.Settings(size=options.size)
    people = synthetic.People(options.seed, settings=settings)
    # The first blocks pay for caches.
    start = 2 * synthetic.BLOCK
    sum(1 for _ in people.examples(0, start))
    wall, cpu = time.perf_counter(), time.process_time()
    stored = 0
    examples = people.examples(start, start + options.count)
    for example in progress.bar(examples, "people", total=options.count):
        stored += len(example.image) + len(example.parts)
    return time.process_time() - cpu, time.perf_counter() - wall, stored
