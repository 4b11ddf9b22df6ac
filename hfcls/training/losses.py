"""Losses for unbalanced classes, as Trainer takes them (`compute_loss_func`)."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from hfcls.errors import InputError
from hfcls.metrics.one_label import OneLabel
from hfcls.models.ngram_linear import NgramLinearForSequenceClassification
from hfcls.training.arguments import RecipeArguments

FOCUS = 2.0  # gamma of the focal loss: the best of those tried by Lin et al.
OVERLAP = 0.9999  # beta of the effective number of rows: the largest of those tried by Cui et al.


@dataclass(frozen=True)
class Loss:
    """A loss that weighs every row by its class, then takes the mean over the rows of the whole step.

    The weights multiply the losses of the rows, as scikit-learn's sample weights do, and the sum is divided by the
    number of rows, not by the sum of the weights: so the gradient does not depend on how a step is cut into
    accumulated batches and processes. `torch.nn.CrossEntropyLoss(weight=…)` divides by the weights of its own batch.

    Attributes:
        name: `cross_entropy`; `focal` (Lin et al. 2017, https://arxiv.org/abs/1708.02002), which lets rows that are
            predicted with confidence count little; `squared_hinge`, each class against the rest, as linear support
            vector machines are trained.
        class_weights: (classes,) float32; None weighs all alike.
        label_smoothing: of the cross entropy: this share of the target is spread over all classes.
        logit_scale: logits per unit of score, of the squared hinge.
    """

    name: str
    class_weights: torch.Tensor | None = None
    label_smoothing: float = 0.0
    logit_scale: float = 1.0

    def of_rows(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Weighted losses (rows,) of `logits` (rows, classes) against `labels` (rows,)."""
        logits = logits.float()
        if self.name == "squared_hinge":
            sides = 2 * F.one_hot(labels, logits.shape[1]) - 1
            losses = (1 - sides * logits / self.logit_scale).relu().square().sum(1)
        else:
            losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        if self.name == "focal":
            losses = losses * (1 - torch.exp(-losses)) ** FOCUS
        return losses if self.class_weights is None else losses * self.class_weights.to(losses.device)[labels]

    def __call__(self, outputs, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None):
        """The mean over `num_items_in_batch` rows, those of all batches and processes of a step (None: of this one)."""
        rows = len(labels) if num_items_in_batch is None else num_items_in_batch
        return self.of_rows(outputs.logits, labels).sum() / rows


def build_loss(setup, arguments: RecipeArguments, label_smoothing: float) -> Loss | None:
    """The loss that the flags ask for, its weights counted on the training rows; None leaves it to the model.

    Nothing is asked for by `--evaluate_only`.

    Raises:
        InputError: the flags do not fit each other, the model or the classes of the corpus.
    """
    if arguments.evaluate_only is not None:
        return None
    model = setup.model
    hinge = isinstance(model, NgramLinearForSequenceClassification) and model.config.loss == "squared_hinge"
    name = arguments.loss or ("squared_hinge" if hinge else "cross_entropy")
    if label_smoothing and name in ("focal", "squared_hinge"):
        raise InputError(
            f"--label_smoothing_factor {label_smoothing:g} is of the cross entropy, not of the {name} loss: "
            f"give --label_smoothing_factor 0 or --loss cross_entropy"
        )
    if arguments.loss is None and arguments.class_weight == "none":
        return None
    if not isinstance(setup.target, OneLabel):
        raise InputError("--loss and --class_weight are of one class a row: with --multi_label leave them out")
    if setup.pipeline_task not in ("text-classification", "image-classification", "tabular-classification"):
        raise InputError(f"--loss and --class_weight are of classifiers; {setup.model_name} learns without classes")
    weighting = "class_balanced" if name == "class_balanced" else arguments.class_weight
    weights = class_weights(weighting, setup.rows.train.labels, setup.target.names)
    return Loss(
        "cross_entropy" if name == "class_balanced" else name,
        None if weights is None else torch.from_numpy(weights.astype(np.float32)),
        label_smoothing,
        model.config.logit_scale if name == "squared_hinge" else 1.0,
    )


def class_weights(weighting: str, labels: np.ndarray, names: list[str]) -> np.ndarray | None:
    """Weights (classes,) for training rows with `labels` (rows,); None where all weigh alike.

    `weighting` is `none`; `balanced` (rows / (classes * rows of the class), scikit-learn's: every class weighs the same
    in all, the mean row 1); `class_balanced` (Cui et al. 2019, https://arxiv.org/abs/1901.05555: by the effective
    number of rows, (1 - beta^n) / (1 - beta), scaled to a mean row of 1); or one number a class, "w0,w1,…".
    A class without training rows has weight 0 in the first two.

    Raises:
        InputError: not as many numbers as classes.
    """
    if weighting == "none":
        return None
    counts = np.bincount(labels, minlength=len(names))
    if weighting not in ("balanced", "class_balanced"):
        weights = np.array([float(weight) for weight in weighting.split(",")])
        if len(weights) != len(names):
            shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise InputError(
                f"--class_weight has {len(weights)} numbers, the corpus {len(names)} classes: "
                f"give one for each of {shown}, in this order"
            )
        return weights
    there = counts > 0
    weights = np.zeros(len(names))
    if weighting == "balanced":
        weights[there] = len(labels) / (there.sum() * counts[there])
    else:
        weights[there] = (1 - OVERLAP) / (1 - OVERLAP ** counts[there])
        weights *= len(labels) / (weights @ counts)
    return weights
