"""`quick` from keypoints alone: the "monsters" of HMR's Figure 5.

python -m training.fit quick_no_adversary --records DATA
"""

from training.recipes import quick_recipe

EXPERIMENT = quick_recipe.experiment(paired=False, adversary=False)
