"""Losses for unbalanced classes, as Trainer takes them (`compute_loss_func`)."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from hfcls.errors import InputError
from hfcls.metrics.one_label import OneLabel
from hfcls.training.arguments import RecipeArguments
from hfcls.training.setup import Setup

FOCUS = 2.0  # gamma of the focal loss: the best of those tried by Lin et al.
SMOOTHED = ("cross_entropy", "binary_cross_entropy")
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
            vector machines are trained; `binary_cross_entropy` of independent labels, the mean over them.
        class_weights: (classes,) float32; None weighs all alike.
        label_smoothing: of the cross entropy: this share of the target is spread evenly over all classes (Szegedy et
            al. 2016, https://arxiv.org/abs/1512.00567, section 7). An independent label has two, yes and no, so its
            target y becomes y (1 - share) + share / 2, as in Keras' BinaryCrossentropy.
        logit_scale: logits per unit of score, of the squared hinge.
    """

    name: str
    class_weights: torch.Tensor | None = None
    label_smoothing: float = 0.0
    logit_scale: float = 1.0

    def of_rows(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Weighted losses (rows,) of `logits` (rows, classes) against `labels` (rows,), or (rows, classes) floats."""
        logits = logits.float()
        if self.name == "binary_cross_entropy":
            targets = labels * (1 - self.label_smoothing) + self.label_smoothing / 2
            return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)
        if self.name == "squared_hinge":
            sides = 2 * F.one_hot(labels, logits.shape[1]) - 1
            losses = (1 - sides * logits / self.logit_scale).relu().square().sum(1)
        else:
            losses = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        if self.name == "focal":
            losses = losses * (1 - torch.exp(-losses)) ** FOCUS
        return losses if self.class_weights is None else losses * self.class_weights.to(losses.device)[labels]

    def __call__(self, outputs, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None):
        """The mean over the rows of all batches and processes of a step.

        Trainer counts those by their labels: `num_items_in_batch` is rows times labels a row. None: of this batch.
        """
        rows = len(labels) if num_items_in_batch is None else num_items_in_batch / labels[0].numel()
        return self.of_rows(outputs.logits, labels).sum() / rows


def build_loss(setup: Setup, arguments: RecipeArguments, label_smoothing: float) -> Loss | None:
    """The loss that the flags ask for, its weights counted on the training rows; None leaves it to model and Trainer.

    A model that does not compute the loss of transformers' classification heads says so by two attributes:

    - `own_loss`: the name of what its `forward` computes;
    - `accepted_losses`: the names of what may be computed of its logits instead, and be weighted and smoothed. Where
      `own_loss` is not among them, it cannot be replaced, weighted or smoothed.

    Any other model has those of `Target.losses`. Nothing is asked for by `--evaluate_only`.

    Raises:
        InputError: the flags do not fit each other, the model or the classes of the corpus.
    """
    flags = {
        "--loss": arguments.loss,
        "--class_weight": None if arguments.class_weight == "none" else arguments.class_weight,
        "--label_smoothing_factor": f"{label_smoothing:g}" if label_smoothing else None,
    }
    given = [flag for flag, value in flags.items() if value is not None]
    if arguments.evaluate_only is not None or not given:
        return None
    model, target = setup.model, setup.target
    one_label = isinstance(target, OneLabel)
    if not one_label and given != ["--label_smoothing_factor"]:
        raise InputError("--loss and --class_weight are of one class a row: with --multi_label leave them out")
    own_loss = getattr(model, "own_loss", target.losses[0])
    accepted = getattr(model, "accepted_losses", target.losses)
    name = "cross_entropy" if arguments.loss == "class_balanced" else arguments.loss or own_loss
    if own_loss not in accepted:
        raise InputError(
            f"{given[0]} {flags[given[0]]}: {type(model).__name__} learns by a loss of its own, {own_loss}, "
            f"that nothing else can stand for: leave {' and '.join(given)} out"
        )
    if name not in accepted:
        raise InputError(
            f"--loss {arguments.loss}: {type(model).__name__} accepts {', '.join(accepted)}: give one of them"
        )
    if label_smoothing and name not in SMOOTHED:
        raise InputError(
            f"--label_smoothing_factor {label_smoothing:g} is of the cross entropy, not of the {name} loss: "
            f"give --label_smoothing_factor 0 or --loss cross_entropy"
        )
    if one_label and given == ["--label_smoothing_factor"]:
        return None  # Trainer's own smoothing is of the cross entropy of one label
    weighting = "class_balanced" if arguments.loss == "class_balanced" else arguments.class_weight
    weights = class_weights(weighting, setup.rows.train.labels, target.names) if one_label else None
    return Loss(
        name,
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
            first_names = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise InputError(
                f"--class_weight has {len(weights)} numbers, the corpus {len(names)} classes: "
                f"give one for each of {first_names}, in this order"
            )
        return weights
    occurring = counts > 0
    weights = np.zeros(len(names))
    if weighting == "balanced":
        weights[occurring] = len(labels) / (occurring.sum() * counts[occurring])
    else:
        weights[occurring] = (1 - OVERLAP) / (1 - OVERLAP ** counts[occurring])
        weights *= len(labels) / (weights @ counts)
    return weights
