"""HMR unpaired (section 4.3): keypoints and unpaired poses, no 3D labels.

python -m training.fit hmr_unpaired --records /data/records
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(paired=False)
