"""MPII: joints that are annotated but not visible."""

from tf_hmr import joints
from training.evaluation.protocol import Description, Protocol

PROTOCOLS = (
    Protocol(
        name="mpii_invisible_hkmr",
        records="mpii",
        splits=("valid",),
        prepare="mpii --split valid --rules everyone",
        measures=("hidden_joints",),
        headline=("mpjpe_px", "pck"),
        joints=joints.LSP14,
        box_rules="everyone",
        description=Description(
            split="people of annot/valid.json who have a centre and a scale",
            frames="each person of an image",
            joints=(
                "those of the 14 LSP joints that the Matlab file annotates "
                "with is_visible 0; PCK counts the ones of people with a box "
                "of the head"
            ),
            root="none: positions in the image",
            regressor="the method's own joints, projected by its camera",
            alignment=(
                "mean distance of all such joints in pixels of the "
                "publisher's image; PCK in per cent, right within half the "
                "length of the head, 0.6 of the diagonal of its box (PCKh); "
                "pck02_box within 0.2 of the longer side of the box of the "
                "person's annotated joints"
            ),
            source="the HKMR paper, section 4 and Table 4",
            ours=(
                "All of it: the paper says no more than 'MPII invisible "
                "joints validation set', MPJPE in pixels and PCK. The list of "
                "people is that of microsoft/human-pose-estimation.pytorch; "
                "boxes follow MPII's centre and scale. People on whom HMR's "
                "rules train are among them: the Matlab file does not know "
                "the list."
            ),
        ),
    ),
)
