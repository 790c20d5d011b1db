r"""HMR at the size of a CPU: minutes to a model that poses bodies.

    python -m training.prepare synthetic --count 20000 --size 144 \
        --out DATA/synthetic
    python -m training.fit quick --records DATA --workdir runs/quick

The class, losses and step are HMR's; only values differ. Half of each batch
has 2D keypoints alone, from other images than the half with 3D labels. Five
minutes on two cores are 4,000 steps; for half an hour, --steps 24000 and
60,000 people.
"""

from training.recipes import quick_recipe

EXPERIMENT = quick_recipe.experiment()
