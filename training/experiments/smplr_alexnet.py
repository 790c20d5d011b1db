r"""AlexNet that regresses 23 joints (Table 1: Alexnet).

    python -m training.fit smplr_alexnet --records /data/records
    python -m training.evaluate --weights runs/smplr_alexnet \
        --protocol surreal_smplr_val --output cnn

The paper's records are 89,000 frames of SURREAL (section 4.4):
--distinct-mm 150 of `training.prepare surreal`.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.part_by_part(backbone="alexnet", landmarks=False)
