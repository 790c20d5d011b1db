"""HMR unpaired and without its adversary: the "monsters" of Figure 5.

    python -m training.fit hmr_no_adversary --records /data/records

What keeps bodies human is taken away: only the keypoints are fitted.
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(paired=False, adversary=False)
