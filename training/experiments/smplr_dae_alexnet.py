r"""The denoiser on what AlexNet finds (Table 1: DAE_Alexnet).

    python -m training.fit smplr_dae_alexnet --records /data/records
    python -m training.evaluate --weights runs/smplr_dae_alexnet \
        --protocol surreal_smplr_val --output denoised

Its training is that of smplr_alexnet.

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part(backbone="alexnet", landmarks=False)
