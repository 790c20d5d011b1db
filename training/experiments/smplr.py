r"""SMPLR (Madadi et al. 2020) on SURREAL, stage by stage as its code trains it.

    python -m training.fit smplr --workdir runs/smplr --records /data/records
    python -m training.fit smplr --records synthetic --method.crop estimated \
        --steps 10 --data.batch-size 2 --before.0.steps 10 --before.1.steps 10 \
        --before.2.steps 10 --before.3.steps 10 --before.4.steps 10

The crop's metres are known, as in the paper; --method.crop estimated is for
photos. The first command needs records with the distance of each person. The
second trains on rendered people.
"""

from training.recipes import smplr_recipe

EXPERIMENT = smplr_recipe.full()
