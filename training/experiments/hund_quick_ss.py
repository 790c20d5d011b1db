r"""hund_quick without 3D labels: keypoints and parts teach the detector alone.

    python -m training.fit hund_quick_ss --records DATA

The body learns from what the detector sees, and from poses without pictures.
"""

from training.recipes import hund_recipe

EXPERIMENT = hund_recipe.quick("self")
