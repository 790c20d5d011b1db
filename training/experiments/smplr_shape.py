r"""Psi on what the hourglass finds (Table 1: Psi).

    python -m training.fit smplr_shape --records /data/records
    python -m training.evaluate --weights runs/smplr_shape \
        --protocol surreal_smplr_val --output shape

Its training is that of smplr_shn. One run serves for both, with
--experiment smplr_shape when it is measured.

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part()
