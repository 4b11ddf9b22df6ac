"""Temperature scaling: probabilities that mean what they say (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

All logits are divided by one number, fitted on validation. Predictions stay as they are; a model that was too sure of
itself becomes less so.
"""

import numpy as np
import torch

from hfcls.errors import InputError
from hfcls.metrics.calibration import fit_temperature
from hfcls.metrics.label_sets import fit_thresholds
from hfcls.metrics.target import Target


def scale_logits(model, temperature: float) -> None:
    """Divides all logits of `model` by `temperature`, in its weights: what is saved needs no code to be calibrated.

    A model whose logits are not those of its last linear layer has a method for it, `divide_logits(temperature)`; of
    any other, the weights and the bias of that layer are divided.

    Raises:
        InputError: there is no linear layer with as many outputs as classes.
    """
    if hasattr(model, "divide_logits"):
        model.divide_logits(temperature)
        return
    linear = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == model.config.num_labels
    ]
    if not linear:
        raise InputError(
            f"--calibrate: {type(model).__name__} has no linear layer in front of its logits: leave the flag out, or "
            f"give the model a method divide_logits(temperature)"
        )
    with torch.no_grad():
        for parameter in linear[-1].parameters():
            parameter /= temperature


def check_scalable(model, batch: dict) -> None:
    """Makes sure, before any training, that `scale_logits` divides the logits of `model`, on the inputs in `batch`.

    Raises:
        InputError: it does not: something comes after the last linear layer.
    """
    model.eval()
    inputs = {name: tensor.to(model.device) for name, tensor in batch.items() if name != "labels"}
    with torch.no_grad():
        before = model(**inputs).logits
        scale_logits(model, 2.0)
        after = model(**inputs).logits
        scale_logits(model, 0.5)  # powers of two: the weights are again what they were, to the last bit
    if not torch.allclose(before, 2 * after, rtol=1e-3, atol=1e-6):
        raise InputError(
            f"--calibrate: the logits of {type(model).__name__} do not come from a linear layer: leave the flag out, "
            f"or give the model a method divide_logits(temperature)"
        )


def calibrate(trainer, rows, target: Target) -> float:
    """Fits the temperature on `rows`, scales the logits of the model by it, notes it in the config, and returns it."""
    evaluated = trainer.predict(rows)
    temperature = fit_temperature(evaluated.predictions, evaluated.label_ids, target.loss)
    scale_logits(trainer.model, temperature)
    trainer.model.config.calibrated_temperature = temperature
    return temperature


def choose_thresholds(trainer, rows) -> np.ndarray:
    """(classes,) the thresholds of the greatest F1 on `rows`, noted in the config as well."""
    evaluated = trainer.predict(rows)
    thresholds = fit_thresholds(evaluated.predictions, evaluated.label_ids)
    trainer.model.config.decision_thresholds = thresholds.tolist()
    return thresholds


def saved_thresholds(model) -> np.ndarray | None:
    """The thresholds that `choose_thresholds` noted in the config of `model`, (classes,), or None."""
    noted = getattr(model.config, "decision_thresholds", None)
    return None if noted is None else np.array(noted)
