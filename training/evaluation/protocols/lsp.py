"""Leeds Sports Pose with the silhouettes and parts drawn by UPi-S1h."""

from training.evaluation.protocol import Description, Protocol

PROTOCOLS = (
    Protocol(
        name="lsp_segmentation",
        records="lsp",
        splits=("test",),
        prepare="lsp --split test --rules spin --parts upi-s1h/data/lsp",
        count=1000,
        measures=("segmentation",),
        headline=("fg_accuracy", "fg_f1", "parts_accuracy", "parts_f1"),
        box_rules="spin",
        options={"part_set": "part6"},
        description=Description(
            split="im1001 to im2000, one person each",
            frames="each a photograph of its own, in LSP's own size",
            joints=(
                "pixels of whole images: person or background; head, torso, "
                "left and right arm, left and right leg or background"
            ),
            root="none",
            regressor=(
                "the predicted mesh, rendered at 224 px with a focal length "
                "of 5,000 px and put back into the image by the nearest "
                "pixel"
            ),
            alignment=(
                "pixel counts are pooled over all images: accuracy in per "
                "cent; F1 as the mean of 2 or 7 classes, background "
                "included. Pixels whose part is not judged are left out of "
                "the parts' F1 and are background in their accuracy"
            ),
            source=(
                "nkolot/SPIN: eval.py, utils/part_utils.py, utils/imutils.py; "
                "the HMR paper, 4.3 and Table 4; the HKMR paper, Table 5"
            ),
            ours=(
                "A vertex is of the part whose joints carry most of its skin "
                "weight (tf_hmr/body/parts.py), for SPIN's own division is "
                "the publisher's file. The box is not rounded to pixels when "
                "the mesh is put back. Where the two drawings of an image "
                "disagree, a drawn part is person, and a person without a "
                "part is not judged."
            ),
        ),
    ),
)
