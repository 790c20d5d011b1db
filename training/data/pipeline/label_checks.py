"""Whether the sources of a run show the labels that its method needs."""

from collections.abc import Sequence

from training import config
from training.data.pipeline import labels
from training.data.records import schema, shards

# What each of labels.KINDS is, its fields in a record, and who shows it.
_KINDS = {
    "2d": ("keypoints", ("keypoints",), "2d"),
    "parts": ("body parts", ("parts",), "2d+parts"),
    "3d": ("3D labels", ("pose", "joints3d"), "all"),
}


def check_labels(data: config.Data, kinds: Sequence[str]) -> None:
    """Refuses a mix without labels that a method cannot learn without.

    One record stands for its folder.

    Args:
        data: `records` of each source is the path of a records folder.
        kinds: of labels.KINDS; one source has to show each of them.

    Raises:
        FileNotFoundError, ValueError: see shards.Records; or no source shows
            a kind, or has it, or data.parts leaves the parts out.
    """
    for kind in kinds:
        showing = [s for s in data.sources if labels.shows(s.labels, kind)]
        meaning, fields, choice = _KINDS[kind]
        if kind == "parts" and not data.parts:
            raise ValueError(
                "The method learns from body parts, but data.parts is off. "
                "Pass --data.parts True, or give their terms no weight."
            )
        firsts = [
            schema.decode(shards.Records(s.records, s.split, s.shards).read(0))
            for s in showing
        ]
        if any(first.has(name) for first in firsts for name in fields):
            continue
        mix = ", ".join(f"{s.records} {s.labels!r}" for s in data.sources)
        raise ValueError(
            f"The method learns from {meaning}, but no source of data.sources "
            f"gives it any ({mix}). Add one with labels={choice!r} whose "
            "records have them."
        )


def missing_masks(data: config.Data) -> str:
    """Says which sources keep their backgrounds, for want of masks.

    One record stands for its folder.

    Args:
        data: `records` of each source is the path of a records folder.

    Returns:
        One line; "" where all have masks, or none is needed.

    Raises:
        FileNotFoundError, ValueError: see shards.Records.
    """
    if not data.augment.background:
        return ""
    without = [
        s.records
        for s in data.sources
        if not schema.decode(
            shards.Records(s.records, s.split, s.shards).read(0)
        ).has("parts")
    ]
    if not without:
        return ""
    return (
        "data.augment.background replaces what is around a person's mask, "
        f"which the records of {', '.join(without)} do not have (the first was "
        "looked at): they keep their backgrounds. Prepare them with parts, or "
        "set it to 0."
    )
