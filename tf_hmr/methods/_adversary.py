"""Scores of HMR's adversary, which an ablation of HKMR also uses."""

import tensorflow as tf


def scores(adversary, batch, intermediate):
    """Scores real and predicted bodies with a discriminator.

    Args:
        adversary: a model of networks.discriminator.
        batch: with prior_rotmats (P, J, 3, 3) and prior_betas (P, N).
        intermediate: a prediction's rotmats and betas of all estimates.

    Returns:
        (P, D) of real bodies and (E, D) of predictions, which get no
        gradient.
    """
    fake = adversary(
        tf.stop_gradient(intermediate["rotmats"]),
        tf.stop_gradient(intermediate["betas"]),
    )
    return adversary(batch["prior_rotmats"], batch["prior_betas"]), fake
