r"""The hourglass with limbs and augmentation (Tables 1 to 3: SHN^final).

    python -m training.fit smplr_shn_final --records /data/records
    python -m training.evaluate --weights runs/smplr_shn_final \
        --protocol surreal_smplr_val --output cnn

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part(final=True)
