r"""SMPLR on photographs of UP-3D, points lifted (section 4.6).

    python -m training.fit smplr_up3d --records /data/records
    python -m training.evaluate --weights runs/smplr_up3d \
        --protocol up3d_smplr --output proc

Records of UP-3D and of SURREAL; the second is three quarters of a batch, as
18,000 of 24,000 people in the paper.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.up3d()
