r"""SMPLR at the size of a CPU with a weak network, of an eighth of AlexNet.

    python -m training.fit smplr_quick_weak --records DATA
    python -m training.evaluate --weights runs/smplr_quick_weak \
        --protocol synthetic_smplr --output cnn denoised

The small one of smplr_dae_alexnet. Records as those of smplr_quick.
"""

from training.recipes import smplr_recipe

# The least side that AlexNet takes is 67.
EXPERIMENT = smplr_recipe.quick(
    learn_from="pictures", backbone="alexnet", image_size=72, width=32
)
