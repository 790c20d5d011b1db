r"""Omega by L_R alone on what the hourglass finds (Table 1: Omega).

    python -m training.fit smplr_pose --records /data/records
    python -m training.evaluate --weights runs/smplr_pose \
        --protocol surreal_smplr_val --output pose

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.without(smplr_recipe.part_by_part(), "pose_smpl")
