"""Leeds Sports Pose with the silhouettes and parts drawn by UPi-S1h.

Each method sees the boxes that it was trained with: HMR's people are 150 px
long in the box's diagonal, or as LSP's publisher scaled them; SPIN's boxes
follow the longer side of the joints' box.
"""

import functools

from training.evaluation.protocol import Description, Protocol

_protocol = functools.partial(
    Protocol,
    records="lsp",
    splits=("test",),
    count=1000,
    measures=("segmentation",),
    headline=("fg_accuracy", "fg_f1", "parts_accuracy", "parts_f1"),
    options={"part_set": "part6"},
)
_PREPARE = "lsp --split test --rules {} --parts upi-s1h/data/lsp"
_description = functools.partial(
    Description,
    split="im1001 to im2000, one person each",
    frames="each a photograph of its own, in LSP's own size",
    joints=(
        "pixels of whole images: person or background; head, torso, left and "
        "right arm, left and right leg or background"
    ),
    root="none",
    regressor=(
        "the predicted mesh, rendered at 224 px with a focal length of 5,000 "
        "px and put back into the image by the nearest pixel; the silhouette "
        "and the parts of an image are two drawings, and each is compared by "
        "itself"
    ),
    alignment=(
        "pixel counts are pooled over all images: accuracy in per cent; F1 as "
        "the mean of 2 or 7 classes, background included. Pixels whose part "
        "is not judged are left out of the parts' F1 and are background in "
        "their accuracy"
    ),
)
_OURS = (
    "A vertex is of the part whose joints carry most of its skin weight "
    "(tf_hmr/body/parts.py), for SPIN's own division is the publisher's file. "
    "The box is not rounded to pixels when the mesh is put back. Boxes: "
)

PROTOCOLS = (
    _protocol(
        name="lsp_segmentation",
        prepare=_PREPARE.format("spin"),
        box_rules="spin",
        description=_description(
            source=(
                "nkolot/SPIN: eval.py, utils/part_utils.py, "
                "utils/imutils.py; the HKMR paper, Table 5"
            ),
            ours=f"{_OURS}around all joints, as SPIN's.",
        ),
    ),
    _protocol(
        name="lsp_segmentation_hmr",
        prepare=_PREPARE.format("hmr"),
        box_rules="hmr",
        description=_description(
            source=(
                "the HMR paper, 4.3 and Table 4; boxes as akanazawa/hmr: "
                "src/datasets/lsp_to_tfrecords.py; pixels as nkolot/SPIN: "
                "eval.py"
            ),
            ours=(
                f"{_OURS}150 px about the visible joints, for the publisher "
                "scaled the people to about that length, and HMR trains on "
                "them so."
            ),
        ),
    ),
)
