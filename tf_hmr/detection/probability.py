"""Probabilities and their logits, in numpy alone: devices have no scipy."""

import numpy as np


def expit(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)), of any size without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(logits))


def logit(probability: float) -> float:
    """The inverse of `expit`, for 0 < probability < 1."""
    return float(np.log(probability) - np.log1p(-probability))
