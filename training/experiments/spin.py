r"""SPIN (Kolotouros et al., ICCV 2019) with the values of its release.

The method's values are in tf_hmr/methods/spin.py: Config; data, augmentation
and optimiser in training/recipes/spin_recipe.py.

    python -m training.fit spin --workdir runs/spin --records /data/records \
        --encoder-weights resnet50-19c8e357.pth
    python -m training.fit spin --records synthetic --encoder-weights none \
        --steps 2000 --data.batch-size 8 --method.fit-steps 50

SMPLify runs in every step, starting from the prediction, and its best fits
become labels. The first command expects a folder of records for each dataset of
the paper, and torchvision's ImageNet weights; --data.fits
coco_2014_train=coco_fits.npy starts from the fits that SPIN published. Poses in
SMPL's own body need SMPLify's prior: --method.fit-prior gmm_08.pkl. The second
trains on rendered people.
"""

from tf_hmr.methods import spin
from training.recipes import spin_recipe

EXPERIMENT = spin_recipe.experiment(spin.Config())
