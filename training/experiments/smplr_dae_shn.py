r"""The denoiser on what the hourglass finds (Table 1: DAE_SHN).

    python -m training.fit smplr_dae_shn --records /data/records
    python -m training.evaluate --weights runs/smplr_dae_shn \
        --protocol surreal_smplr_val --output denoised

Its training is that of smplr_shn. One run serves for both, with
--experiment smplr_dae_shn when it is measured.

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part()
