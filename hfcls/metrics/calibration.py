"""Temperature scaling: probabilities that mean what they say (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar

from hfcls.metrics.one_label import cross_entropy

LOWEST, HIGHEST = 0.05, 20.0  # temperatures


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], float] = cross_entropy
) -> float:
    """The temperature, from `LOWEST` to `HIGHEST`, by which logits are to be divided for the least loss.

    Args:
        logits: (rows, classes). Rows that are not finite are left out; without any other, the temperature is 1.
        labels: (rows,), or whatever `loss` takes.
        loss: of labels and logits: the mean negative log-likelihood, `Target.loss`.
    """
    finite = np.isfinite(logits).all(axis=1)
    logits, labels = logits[finite].astype(np.float64), labels[finite]
    if len(labels) == 0:
        return 1.0
    found = minimize_scalar(
        lambda log_temperature: loss(labels, logits / np.exp(log_temperature)),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
