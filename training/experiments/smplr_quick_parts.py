r"""SMPLR at the size of a CPU, its parts trained on what the hourglass finds.

    python -m training.fit smplr_quick_parts --records DATA
    python -m training.evaluate --weights runs/smplr_quick_parts \
        --protocol synthetic_smplr --output cnn denoised shape pose all proc

The small one of smplr_shn: each part alone, none end to end. Records as those
of smplr_quick.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.quick(learn_from="pictures")
