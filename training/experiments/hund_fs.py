"""HUND of the paper with 3D labels alone (FS), as in Table 4.

python -m training.fit hund_fs --records DATA
"""

from training.recipes import hund_recipe

EXPERIMENT = hund_recipe.full("full")
