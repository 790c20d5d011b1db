r"""Omega by L_R, then L_R + L_SMPL (Table 1: Omega_smpl).

    python -m training.fit smplr_pose_smpl --records /data/records
    python -m training.evaluate --weights runs/smplr_pose_smpl \
        --protocol surreal_smplr_val --output pose

Its training is that of smplr_shn. One run serves for both, with
--experiment smplr_pose_smpl when it is measured.

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part()
