"""What torch computes and `torch.onnx.export` has no ONNX operators for, said in ONNX.

Read in torch 2.13 and onnxscript 0.7: recurrent layers are unrolled to the length of the example, a stable sort, a
search in sorted numbers and a shift of signed numbers have no translation.
"""

import copy
import math

import torch
from onnxscript import ir
from onnxscript import opset18 as op
from torch import nn

from hfcls.models.text_rnn import CELLS

OPSET = 23

# Of each cell: the ONNX operator, and where its gates lie among those of torch.
_GATES = {
    "rnn": ("RNN", [0]),
    "gru": ("GRU", [1, 0, 2]),  # update, reset, new: torch has reset, update, new
    "lstm": ("LSTM", [0, 3, 1, 2]),  # input, output, forget, cell: torch has input, forget, cell, output
    "lstm_by_hand": ("LSTM", [0, 3, 1, 2]),
}


class RecurrentCell(nn.Module):
    """One of `text_rnn.CELLS` as one ONNX operator; it can be exported, and not be run."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        kind = next(name for name, cell_class in CELLS.items() if isinstance(cell, cell_class))
        self.operator, order = _GATES[kind]
        self.hidden_size = cell.weight_hh_l0.shape[1]

        def gates(weight: torch.Tensor) -> torch.Tensor:
            blocks = weight.detach().chunk(len(order))
            return torch.cat([blocks[place] for place in order]).unsqueeze(0)

        self.register_buffer("weight_ih", gates(cell.weight_ih_l0))
        self.register_buffer("weight_hh", gates(cell.weight_hh_l0))
        self.register_buffer("bias", torch.cat([gates(cell.bias_ih_l0), gates(cell.bias_hh_l0)], dim=1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        """(L, B, D) → (L, B, H); the encoder of text_rnn does not use the last states."""
        attributes = {"hidden_size": self.hidden_size}
        if self.operator == "GRU":
            attributes["linear_before_reset"] = 1
        states = torch.onnx.ops.symbolic(
            self.operator,
            (x, self.weight_ih, self.weight_hh, self.bias),
            attributes,
            dtype=x.dtype,
            shape=(x.shape[0], 1, x.shape[1], self.hidden_size),  # the 1 is of directions
            version=OPSET,
        )
        return states.squeeze(1), None


def exportable(model: nn.Module) -> nn.Module:
    """A copy of `model` for `torch.onnx.export`, its recurrent layers replaced; the copy cannot be run."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, tuple(CELLS.values())) and hasattr(child, "weight_hh_l0"):
                setattr(module, name, RecurrentCell(child))
    return model


def _sort(numbers, *, stable=False, dim=-1, descending=False):
    """TopK: of equal numbers it puts the first one first, as a stable sort does."""
    size = op.Reshape(op.Gather(op.Shape(numbers), op.Constant(value_int=dim), axis=0), op.Constant(value_ints=[1]))
    if numbers.dtype != ir.DataType.BOOL:
        return op.TopK(numbers, size, axis=dim, largest=int(descending), sorted=1)
    values, places = op.TopK(op.Cast(numbers, to=ir.DataType.INT32), size, axis=dim, largest=int(descending), sorted=1)
    return op.Cast(values, to=ir.DataType.BOOL), places


def _searchsorted(sorted_numbers, numbers, *, out_int32=False, right=False, side=None, sorter=None):
    """The place of the first of `sorted_numbers` (N,) that is not below each of `numbers`, by halving."""
    size = sorted_numbers.shape[0]
    place = op.Mul(numbers, op.Constant(value_int=0))
    for power in reversed(range(math.ceil(math.log2(size + 1)))):
        next_place = op.Add(place, op.Constant(value_int=2**power))
        within = op.LessOrEqual(next_place, op.Constant(value_int=size))
        last = op.Min(op.Sub(next_place, op.Constant(value_int=1)), op.Constant(value_int=size - 1))
        below = op.Less(op.Gather(sorted_numbers, last, axis=0), numbers)
        place = op.Where(op.And(within, below), next_place, place)
    return place


TRANSLATIONS = {
    torch.ops.aten.sort.stable: _sort,
    torch.ops.aten.searchsorted.Tensor: _searchsorted,
}
