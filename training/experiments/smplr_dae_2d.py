r"""The denoiser lifts points without depth (Table 1: DAE_SHN^2d).

    python -m training.fit smplr_dae_2d --records /data/records
    python -m training.evaluate --weights runs/smplr_dae_2d \
        --protocol surreal_smplr_val --output denoised

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part(lift=True)
