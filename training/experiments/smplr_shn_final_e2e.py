r"""The final hourglass, end to end (Tables 2 and 3: SHN_e2e^final).

    python -m training.fit smplr_shn_final_e2e --records /data/records
    python -m training.evaluate --weights runs/smplr_shn_final_e2e \
        --protocol surreal_smplr_val --output cnn

Its training is that of smplr.

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.full()
