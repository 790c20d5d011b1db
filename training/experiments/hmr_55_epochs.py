"""HMR with the length that its paper states (section 3.5): 55 epochs.

    python -m training.fit hmr_55_epochs --records /data/records

The released weights come from 75 epochs, as `hmr`: their step number,
667,589, is within 0.02 % of 75 times 569,753 images in batches of 64. All
other values are the release's: MPI-INF-3DHP without subject 8, the best model
by the validation split where one is there, and the poses of the prior as
prepared. The paper counts 390,000 poses of CMU and 150,000 of Human3.6M, a
tenth of the released ones, and 180,000 with joint limits, all of them.
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(epochs=55)
