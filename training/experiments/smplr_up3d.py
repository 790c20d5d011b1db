r"""SMPLR on photographs of UP-3D, points lifted (section 4.6).

    python -m training.fit smplr_up3d --records /data/records
    python -m training.evaluate --weights runs/smplr_up3d \
        --protocol up3d_smplr --output proc
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.up3d()
