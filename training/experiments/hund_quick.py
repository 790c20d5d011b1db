r"""HUND at the size of a CPU: quick's people, from 3D labels and from pictures.

    python -m training.fit hund_quick --records DATA --workdir runs/hund_quick

The class, losses and stages are HUND's; only values differ.
"""

from training.recipes import hund_recipe

EXPERIMENT = hund_recipe.quick()
