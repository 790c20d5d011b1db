r"""SMPLR at the size of a CPU: minutes to points, and to a body of them.

    python -m training.prepare synthetic --count 60000 --size 144 \
        --out DATA/synthetic
    python -m training.fit smplr_quick --records DATA --workdir runs/smplr_quick

The class, losses and stages are SMPLR's; only values differ.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.quick()
