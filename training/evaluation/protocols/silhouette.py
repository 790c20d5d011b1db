"""Silhouettes, compared as in SMPLR's Table 4."""

import dataclasses

from training.evaluation.protocol import Protocol
from training.evaluation.protocols import h36m, surreal, up3d


def _silhouettes(base: Protocol, name: str, truth: str) -> Protocol:
    description = dataclasses.replace(
        base.description,
        joints="the person's silhouette in the whole image",
        root="none",
        regressor=f"the predicted mesh, seen by its camera; true: {truth}",
        alignment=(
            "intersection over union of each image, then the mean over images"
        ),
        source="the SMPLR paper, 4.3 and Table 4",
        ours=(
            "The paper says neither where images are cut nor what the true "
            "silhouettes are: here whole images as stored, and what the "
            "records hold. Its Procrustes row needs that method's own output."
        ),
    )
    return dataclasses.replace(
        base,
        name=name,
        measures=("silhouette",),
        headline=("silhouette_iou",),
        description=description,
    )


_ROWS = {
    row.name: row
    for row in (*h36m.PROTOCOLS, *surreal.PROTOCOLS, *up3d.PROTOCOLS)
}
_BODY = "the labelled body, seen by the camera that the records know"

PROTOCOLS = (
    _silhouettes(
        _ROWS["surreal_smplr"],
        "surreal_silhouette_smplr",
        "the mask of the rendered person, clothes on the skin",
    ),
    _silhouettes(_ROWS["h36m_root_smplr"], "h36m_silhouette_smplr", _BODY),
    _silhouettes(_ROWS["up3d_smplr"], "up3d_silhouette_smplr", _BODY),
)
