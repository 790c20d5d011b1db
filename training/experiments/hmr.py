r"""HMR (Kanazawa et al., CVPR 2018) with the values of its release: 75 epochs.

    python -m training.fit hmr --workdir runs/hmr --records /data/records
    python -m training.fit hmr --records synthetic --encoder-weights none \
        --steps 2000 --data.batch-size 8 --optim.lr 1e-4

The first expects a folder of records for each dataset of the paper and
starts from ImageNet weights, which Keras downloads. The second trains on
rendered people in their place, from random weights. The authors started from
slim's checkpoint: --method.encoder resnet50_slim --encoder-weights
resnet_v2_50.ckpt.
"""

from training.recipes import hmr_recipe

EXPERIMENT = hmr_recipe.experiment(epochs=75)
