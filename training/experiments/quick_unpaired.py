"""`quick` without 3D labels: keypoints and unpaired poses (HMR section 4.3).

python -m training.fit quick_unpaired --records DATA
"""

from training.recipes import quick_recipe

EXPERIMENT = quick_recipe.experiment(paired=False)
