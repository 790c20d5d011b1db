"""HMR unpaired and without its adversary: the "monsters" of Figure 5.

    python -m training.fit hmr_no_adversary --records /data/records

Nothing keeps the bodies human: the loss is that of the keypoints alone.
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(paired=False, adversary=False)
