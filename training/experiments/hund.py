r"""HUND of the paper, from 3D labels and from pictures alone (FS+SS).

    python -m training.fit hund --records DATA --workdir runs/hund
    python -m training.fit hund --records DATA --method.meta-loss sum

Batches of the two kinds alternate. The second command is a row of Table 4.
"""

from training.recipes import hund_recipe

EXPERIMENT = hund_recipe.full("both")
