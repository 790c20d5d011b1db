r"""The plain hourglass, trained on through a frozen SMPLR (Table 1: SHN_e2e).

    python -m training.fit smplr_shn_e2e --records /data/records
    python -m training.evaluate --weights runs/smplr_shn_e2e \
        --protocol surreal_smplr_val --output cnn

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.plain()
