"""`quick` that is given the true global rotation: limbs and shape are left.

python -m training.fit quick_true_root --records DATA
"""

from training.recipes import quick_recipe

EXPERIMENT = quick_recipe.experiment(true_root=True)
