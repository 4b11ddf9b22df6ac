"""Whether two models differ: McNemar's test."""

import numpy as np
from scipy.stats import binomtest, chi2


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Two-sided p-value of McNemar's test that two models err equally often on the same rows.

    Only the discordant rows count, those that exactly one model gets right. Fewer than 25 of them: the exact binomial
    test; otherwise chi-square with one degree of freedom and Edwards' continuity correction. None of them gives 1.

    Args:
        correct_a, correct_b: (N,) booleans, whether each model is right on each row, rows in the same order.

    Raises:
        ValueError: shapes that differ.

    Sources: McNemar, Psychometrika 12 (1947), 153-157; Edwards, Psychometrika 13 (1948), 185-187; for classifiers,
    Dietterich, Neural Computation 10 (1998), 1895-1923.
    """
    correct_a, correct_b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if correct_a.ndim != 1 or correct_a.shape != correct_b.shape:
        raise ValueError(f"both models must be measured on the same rows: {correct_a.shape}, {correct_b.shape}")
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((~correct_a & correct_b).sum())
    discordant = only_a + only_b
    if discordant < 25:
        return float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
    # Clipped at 0: the correction must not push equal counts away from "no difference".
    statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / discordant
    return float(chi2.sf(statistic, df=1))
