"""HMR with the length that its paper states (section 3.5): 55 epochs.

    python -m training.fit hmr_55_epochs --records /data/records

The released weights come from 75 epochs, as `hmr`: their step number,
667,589, is within 0.02 % of 75 times 569,753 images in batches of 64.
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(epochs=55)
