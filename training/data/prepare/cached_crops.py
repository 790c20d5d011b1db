"""Cuts the images of prepared records to crops that decode quickly.

Each image is cut around its person, with room for augmentation, shrunk and
encoded again; all labels follow. Training then decodes a fraction of the
pixels, for a processor that cannot feed its GPU (`training.gpu_check` measures
both).
"""

import dataclasses
import shutil
from pathlib import Path

from tf_hmr import progress
from training.data.pipeline import pixels
from training.data.readers import frames
from training.data.records import mocap, records_folder, schema, shards

NAME = "cached-crops"
_OF_WRITER = ("count", "shards", "seed", "command")


@dataclasses.dataclass
class Options:
    """Cuts the images of prepared records to small crops.

    A crop of 224 pixels without augmentation comes from 224 pixels or more of
    the default size; SPLIT of other purposes are left alone.
    """

    records: Path
    """Folder of the records to cut."""
    out: Path
    """Folder of the new records; created if missing."""
    split: str = "train"
    """Split to cut."""
    size: int = 410
    """Longest side of a crop in pixels: 2.2 boxes of the person."""
    shard_size: int = 1000
    """People per file."""


def run(options: Options) -> None:
    """Writes the records, and copies the unpaired poses.

    Raises:
        FileNotFoundError, ValueError: see shards.Records; or `size` is not
            positive, or every image is broken.
    """
    if options.size < 1:
        raise ValueError(f"--size is {options.size}, expected 1 pixel or more.")
    if options.out.resolve() == options.records.resolve():
        raise ValueError("--out is the folder of --records: choose another.")
    stored = shards.Records(options.records, options.split)
    report = records_folder.read_report(options.records)
    split = report["splits"][options.split]
    skipped = {}
    with records_folder.locked(options.out):
        writer = records_folder.Writer(
            options.out, options.split, options.shard_size
        )
        numbers = progress.bar(range(len(stored)), "crops", unit="rec")
        for number in numbers:
            example = schema.decode(stored.read(number))
            try:
                writer.write(frames.cached_crop(example, options.size))
            except pixels.BadImage as error:
                skipped[example.example_id] = str(error)
        facts = {k: v for k, v in split.items() if k not in _OF_WRITER}
        facts["cached_crops_px"] = options.size
        writer.finish(split["seed"], split["command"], facts)
        prior = mocap.path_of(options.records)
        if prior.exists():
            shutil.copyfile(prior, mocap.path_of(options.out))
    print(f"{len(stored) - len(skipped)} records in {options.out}")
    for name, cause in list(skipped.items())[:10]:
        print(f"  skipped {name}: {cause}")
