"""The head of a classifier by regression on what the pretrained encoder says, before any of its weights is trained.

A random head moves the encoder in random directions for the first hundred steps, and on few rows there are hardly more.
Kumar et al. 2022, https://arxiv.org/abs/2202.10054: fit the head first, then train everything.
"""

import logging

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from transformers import AutoConfig, PreTrainedModel, TrainingArguments

from hfcls.errors import InputError
from hfcls.inference.download import model_folder
from hfcls.inference.loading import head_weights, loading_errors
from hfcls.text.collator import PaddingCollator
from hfcls.text.rows import TokenRows

logger = logging.getLogger(__name__)

MOST_ROWS = 10_000  # of train: more make the start no better
HELD_OUT = 5  # every fifth row chooses the penalty
PENALTIES = (0.01, 0.1, 1.0)  # inverse, as scikit-learn counts


def fit_head(
    model: PreTrainedModel,
    rows: TokenRows,
    collator: PaddingCollator,
    training_args: TrainingArguments,
    class_weight: str,
) -> str | None:
    """Puts a logistic regression on the pooled states of `rows` into the last layer of `model`.

    Returns a line that says so; None where rows of one class, or states that are not finite, leave all to training.

    Args:
        rows: the training rows, each with one label.
        class_weight: none, balanced, or a number for each class, as `--class_weight` takes it.

    Raises:
        InputError: a row has several labels, or the model's last layer is not one that takes a vector a row.
    """
    if rows.labels.ndim != 1:
        raise InputError("--linear_probe starts from a regression for one label a row, and rows have several: drop it")
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)
    chosen = chosen[np.argsort(rows.lengths[chosen], kind="stable")]  # batches with little padding
    labels = rows.labels[chosen]
    if len(np.unique(labels)) < 2:
        return None
    layer = last_layer(model)
    states = _inputs_of(layer, model, Subset(rows, chosen.tolist()), collator, training_args)
    if not np.isfinite(states).all():
        return None  # training will say at its first step what is wrong with the model
    weight, bias, held_out = _regression(states, labels, class_weight)
    present = np.unique(labels)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(bias.min() - 1)  # of a class without a training row
        layer.weight[present] = torch.as_tensor(weight, dtype=layer.weight.dtype, device=layer.weight.device)
        layer.bias[present] = torch.as_tensor(bias, dtype=layer.bias.dtype, device=layer.bias.device)
    line = f"its head starts from a regression on {len(labels):,} rows, right for {held_out:.1f} % of others"
    logger.info("%s", line)
    return line


def is_classifier_of(name_or_path: str, labels: list[str]) -> bool:
    """Whether what was saved is a classifier of the very same classes, whose head `load_text_classifier` keeps.

    Raises:
        InputError: as `loading_errors`.
    """
    with loading_errors(name_or_path):
        config = AutoConfig.from_pretrained(model_folder(name_or_path), trust_remote_code=False)
    kinds = config.architectures or []
    saved = [str(config.id2label[number]) for number in range(config.num_labels)]
    return saved == labels and any(kind.endswith("Classification") for kind in kinds)


def can_fit(model: PreTrainedModel, rows: TokenRows) -> bool:
    """Whether `fit_head` refuses neither `model` nor the `rows`."""
    try:
        last_layer(model)
    except InputError:
        return False
    return rows.labels.ndim == 1


def freeze_encoder(model: PreTrainedModel) -> None:
    """Leaves of `model` only the last layer to be trained."""
    head = head_weights(model)
    for name, weight in model.named_parameters():
        weight.requires_grad = name in head


def last_layer(model: PreTrainedModel) -> torch.nn.Linear:
    """The layer of `model` that makes the logits.

    Raises:
        InputError: it is not a linear one with a bias.
    """
    names = {name.rpartition(".")[0] for name in head_weights(model)}
    layer = model.get_submodule(names.pop()) if len(names) == 1 else None
    if not isinstance(layer, torch.nn.Linear) or layer.bias is None:
        raise InputError(f"--linear_probe: {type(model).__name__} has no linear layer with a bias at its end: drop it")
    return layer


def _inputs_of(
    layer: torch.nn.Linear,
    model: PreTrainedModel,
    rows: Subset,
    collator: PaddingCollator,
    training_args: TrainingArguments,
) -> np.ndarray:
    """What reaches `layer` of each row, (rows, size), without dropout."""
    found = []
    hook = layer.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].float().cpu().numpy()))
    device = training_args.device
    model.to(device).eval()
    batches = DataLoader(rows, batch_size=training_args.per_device_eval_batch_size, collate_fn=collator)
    try:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=training_args.bf16):
            for batch in batches:
                model(**{name: values.to(device) for name, values in batch.items() if name != "labels"})
    finally:
        hook.remove()
        model.train()
    if found[0].ndim != 2:
        raise InputError(f"--linear_probe: {type(model).__name__} judges every token, not every row: drop it")
    return np.concatenate(found)


def _regression(features: np.ndarray, labels: np.ndarray, class_weight: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights (classes, size) and biases (classes,) for the classes in `labels` (rows,), and the percentage of held out
    rows that the same regression on the others is right for.
    """
    from sklearn.linear_model import LogisticRegression

    weights = None if class_weight == "none" else class_weight
    if weights not in (None, "balanced"):
        weights = {label: float(number) for label, number in enumerate(class_weight.split(","))}
        weights = {label: weights[label] for label in np.unique(labels)}
    mean, spread = features.mean(axis=0), features.std() + 1e-12
    scaled = (features - mean) / spread

    def fitted(penalty: float, rows: np.ndarray) -> LogisticRegression:
        model = LogisticRegression(C=penalty, max_iter=300, class_weight=weights)
        return model.fit(scaled[rows], labels[rows])

    # Rows stand in the order of their lengths, so these are of every length.
    held_out = np.arange(len(labels)) % HELD_OUT == HELD_OUT - 1
    if len(np.unique(labels[~held_out])) < 2 or not held_out.any():
        held_out[:] = False
    scores = {}
    if held_out.any():
        scores = {c: fitted(c, ~held_out).score(scaled[held_out], labels[held_out]) for c in PENALTIES}
    penalty = max(scores, key=scores.get, default=PENALTIES[0])
    model = fitted(penalty, np.ones(len(labels), dtype=bool))
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # scikit-learn tells two classes by one number
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = coefficients / spread
    return weight, intercepts - weight @ mean, 100 * scores.get(penalty, float("nan"))
