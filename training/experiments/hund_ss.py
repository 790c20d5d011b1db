"""HUND of the paper without 3D labels (SS): keypoints and parts as detected.

python -m training.fit hund_ss --records DATA
"""

from training.recipes import hund_recipe

EXPERIMENT = hund_recipe.full("self")
