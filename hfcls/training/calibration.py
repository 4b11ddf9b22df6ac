"""What is fitted on validation once training has ended, and put into the weights: what is saved needs no code for it.

Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599): all logits are divided by one number, so that
probabilities mean what they say. Predictions stay as they are; a model that was too sure of itself becomes less so.

Class offsets: to the logits of each class a number is added, so that the macro F1 is greatest. Predictions change.
"""

import numpy as np
import torch

from hfcls.errors import InputError
from hfcls.metrics.calibration import fit_temperature
from hfcls.metrics.class_offsets import fit_class_offsets
from hfcls.metrics.label_sets import fit_thresholds
from hfcls.metrics.target import Target


def scale_logits(model, temperature: float) -> None:
    """Divides all logits of `model` by `temperature`, in its weights.

    A model whose logits are not those of its last linear layer has a method for it, `divide_logits(temperature)`; of
    any other, the weights and the bias of that layer are divided.

    Raises:
        InputError: there is no linear layer with as many outputs as classes.
    """
    if hasattr(model, "divide_logits"):
        model.divide_logits(temperature)
        return
    layer = _last_layer(model)
    if layer is None:
        raise InputError(
            f"--calibrate: {type(model).__name__} has no linear layer in front of its logits: leave the flag out, or "
            f"give the model a method divide_logits(temperature)"
        )
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter /= temperature


def shift_logits(model, offsets: torch.Tensor) -> None:
    """Adds `offsets` (classes,) to all logits of `model`, in its weights.

    A model whose logits are not those of its last linear layer has a method for it, `shift_logits(offsets)`, which
    changes weights of the shape (classes,) alone; of any other, the bias of that layer is shifted.

    Raises:
        InputError: there is no linear layer with as many outputs as classes and a bias.
    """
    if hasattr(model, "shift_logits"):
        model.shift_logits(offsets)
        return
    layer = _last_layer(model)
    if layer is None or layer.bias is None:
        raise InputError(
            f"--class_offsets: {type(model).__name__} has no bias in front of its logits: leave the flag out, or give "
            f"the model a method shift_logits(offsets)"
        )
    with torch.no_grad():
        layer.bias += offsets.to(layer.bias)


def _last_layer(model) -> torch.nn.Linear | None:
    """The last linear layer with as many outputs as classes."""
    classes = model.config.num_labels
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == classes]
    return linear[-1] if linear else None


def check_scalable(model, batch: dict) -> None:
    """Makes sure, before any training, that `scale_logits` divides the logits of `model`, on the inputs in `batch`.

    Raises:
        InputError: it does not: something comes after the last linear layer.
    """
    before = _logits(model, batch)
    scale_logits(model, 2.0)
    after = _logits(model, batch)
    scale_logits(model, 0.5)  # powers of two: the weights are again what they were, to the last bit
    if not torch.allclose(before, 2 * after, rtol=1e-3, atol=1e-6):
        raise InputError(
            f"--calibrate: the logits of {type(model).__name__} do not come from a linear layer: leave the flag out, "
            f"or give the model a method divide_logits(temperature)"
        )


def check_shiftable(model, batch: dict) -> None:
    """Makes sure, before any training, that `shift_logits` shifts the logits of `model`, on the inputs in `batch`.

    Raises:
        InputError: it does not: something comes after the last linear layer.
    """
    offsets = torch.arange(1.0, model.config.num_labels + 1, device=model.device)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items() if tensor.shape == offsets.shape}
    before = _logits(model, batch)
    shift_logits(model, offsets)
    after = _logits(model, batch)
    model.load_state_dict(weights, strict=False)
    if not torch.allclose(before + offsets, after, rtol=1e-3, atol=1e-3):
        raise InputError(
            f"--class_offsets: the logits of {type(model).__name__} do not come from a linear layer: leave the flag "
            f"out, or give the model a method shift_logits(offsets)"
        )


@torch.no_grad()
def _logits(model, batch: dict) -> torch.Tensor:
    model.eval()
    inputs = {name: tensor.to(model.device) for name, tensor in batch.items() if name != "labels"}
    return model(**inputs).logits.float()


def choose_class_offsets(trainer, rows) -> np.ndarray:
    """(classes,) the offsets of the greatest macro F1 on `rows`, added to the logits of the model, noted in the config.

    They are chosen before a temperature is fitted, which changes no prediction.
    """
    evaluated = trainer.predict(rows)
    offsets = fit_class_offsets(evaluated.predictions, evaluated.label_ids)
    shift_logits(trainer.model, torch.from_numpy(offsets).float())
    trainer.model.config.class_offsets = offsets.tolist()
    return offsets


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
