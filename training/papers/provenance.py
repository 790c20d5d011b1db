"""What a result was measured against, and of what its model was made.

The rules of the training records, the body and the source of the true joints
change a number as the method does; a result that does not say them stands for
no number of a paper.
"""

from typing import Any

from training.evaluation import protocols
from training.papers import paper_tables

# Readers whose input was filtered and cut by its authors.
RULES_OF_READERS = {"hmr-tfrecords": "hmr", "spin-npz": "spin"}
# The measure that counts where the true joints are from.
_JOINTS = "joints3d"


def mismatch(
    requirements: paper_tables.Requirements, content: dict[str, Any]
) -> str:
    """Why a result's truth, body or training records do not suit a number.

    Args:
        requirements: of the number.
        content: of the result's file.

    Returns:
        One line; "" if they suit.
    """
    return (
        _other_truth(requirements, content)
        or _other_body(requirements, content)
        or _other_rules(requirements, content)
    )


def _other_truth(requirements, content) -> str:
    protocol = protocols.get(requirements.protocol)
    if _JOINTS not in protocol.measures:
        return ""
    counts = content.get("truth")
    if not counts:
        return "which true joints were compared is not recorded"
    foreign = sorted(set(counts) - {protocol.truth[0]})
    if not foreign:
        return ""
    return (
        f"compared with true joints from {', '.join(foreign)}, not from "
        f"{protocol.truth[0]}"
    )


def _other_body(requirements, content) -> str:
    topology = content.get("topology")
    if not topology:
        return "of which body the model is is not recorded"
    if topology == requirements.topology:
        return ""
    return f"of a model of the body {topology!r}, not {requirements.topology!r}"


def _other_rules(requirements, content) -> str:
    if not requirements.rules:
        return ""
    sources = content.get("training_records")
    if not sources:
        return "by which rules its training records were made is not recorded"
    for source in sources:
        records, reader = source["records"], source.get("dataset")
        if not reader:
            return f"by which rules {records} was made is not recorded"
        rules = RULES_OF_READERS.get(reader, source.get("rules"))
        # Some readers have one set of rules alone.
        if rules not in (None, requirements.rules):
            return (
                f"trained on {records}, made by the rules of {rules!r}, not "
                f"of {requirements.rules!r}"
            )
    return ""
