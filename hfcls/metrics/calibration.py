"""Temperature scaling: probabilities that mean what they say (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""

import numpy as np
from scipy.optimize import minimize_scalar

from hfcls.metrics import label_sets as multi_label
from hfcls.metrics import one_label as metrics

LOWEST, HIGHEST = 0.05, 20.0  # temperatures


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, from `LOWEST` to `HIGHEST`, that gives `labels` the greatest likelihood.

    `labels` is (rows,), or (rows, classes) of zeros and ones. Rows of `logits` (rows, classes) that are not finite are
    left out.
    """
    loss = metrics.cross_entropy if labels.ndim == 1 else multi_label.loss
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
