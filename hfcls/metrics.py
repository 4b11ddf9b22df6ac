"""Accuracy, macro F1, ROC-AUC and loss of a classifier: one definition, used at every evaluation and in every report.

The values are scikit-learn's; what scikit-learn leaves undefined is defined here:

- a row whose logits are not all finite has no prediction: it counts as a mistake, gets uniform probabilities in the
  ROC-AUC, and makes the loss NaN (no finite mean exists); `invalid_rows` says how many there were;
- F1 is the mean over the classes that occur among the true labels: an absent class has no recall to speak of;
- ROC-AUC is one-versus-rest, averaged over the classes that have both positive and negative rows (`roc_auc_classes`
  says how many); with none, as for a single row, it is NaN, which Trainer never ranks above a number.
"""

import datasets
import evaluate
import numpy as np
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of `logits` (rows, classes) as float32, (rows, classes); rows that are not finite become uniform.

    float32, because nine digits write it exactly: what is computed from predictions.csv equals what was reported.
    """
    logits = np.asarray(logits, dtype=np.float64)
    finite = np.isfinite(logits).all(axis=1)
    shifted = np.where(finite[:, None], logits, 0.0)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def predictions(logits: np.ndarray) -> np.ndarray:
    """The most probable class of each row of `logits` (rows, classes); -1 where the logits are not finite."""
    finite = np.isfinite(logits).all(axis=1)
    return np.where(finite, np.argmax(np.where(finite[:, None], logits, 0.0), axis=1), -1)


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 of the classes present in `labels` (rows,); `predicted` (rows,) may hold -1 for no prediction."""
    return f1_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0)


def macro_roc_auc(labels: np.ndarray, probability: np.ndarray) -> tuple[float, int]:
    """One-versus-rest ROC-AUC and the number of classes it is the mean of (NaN and 0 where there is none).

    `labels` is (rows,), `probability` (rows, classes).
    """
    positive = labels[:, None] == np.arange(probability.shape[1])
    defined = np.flatnonzero(positive.any(axis=0) & ~positive.all(axis=0))
    if len(defined) == 0:
        return float("nan"), 0
    return float(np.mean([roc_auc_score(positive[:, c], probability[:, c]) for c in defined])), len(defined)


def cross_entropy(labels: np.ndarray, logits: np.ndarray) -> float:
    """Mean negative log-likelihood in nats of `labels` (rows,) under `logits` (rows, classes); NaN if a row is NaN."""
    logits = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(logits).all():
        return float("nan")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likelihood = shifted[np.arange(len(labels)), labels] - np.log(np.exp(shifted).sum(axis=1))
    return float(-log_likelihood.mean())


class ClassifierMetrics(evaluate.Metric):
    """`accuracy`, `f1`, `roc_auc`, `loss` and what they leave out, from logits; needs no network.

    >>> ClassifierMetrics().compute(predictions=[[2.0, -1.0], [0.5, 0.7]], references=[0, 1])
    {'accuracy': 1.0, 'f1': 1.0, 'roc_auc': 1.0, 'loss': 0.32..., 'roc_auc_classes': 2, 'invalid_rows': 0}
    """

    def __init__(self):
        super().__init__(keep_in_memory=True)

    def _info(self):
        return evaluate.MetricInfo(
            description="Accuracy, macro F1, macro one-versus-rest ROC-AUC and cross entropy of class logits.",
            citation="",
            features=datasets.Features(
                {"predictions": datasets.List(datasets.Value("float32")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references):
        return score(np.asarray(predictions, dtype=np.float32), np.asarray(references))


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """All metrics of `logits` (rows, classes) against `labels` (rows,), as the module's docstring defines them."""
    predicted = predictions(logits)
    roc_auc, roc_auc_classes = macro_roc_auc(labels, probabilities(logits))
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "f1": float(macro_f1(labels, predicted)),
        "roc_auc": roc_auc,
        "loss": cross_entropy(labels, logits),
        "roc_auc_classes": roc_auc_classes,
        "invalid_rows": int((predicted < 0).sum()),
    }


def compute_metrics(evaluation) -> dict[str, float]:
    """`Trainer(compute_metrics=…)`: `evaluation.predictions` are the logits (rows, classes), `label_ids` (rows,)."""
    return ClassifierMetrics().compute(predictions=evaluation.predictions, references=evaluation.label_ids)


def keep_logits(logits, labels):
    """`Trainer(preprocess_logits_for_metrics=…)`: drops hidden states and attentions, so memory is rows x classes."""
    return (logits[0] if isinstance(logits, tuple) else logits).float()
