"""Whether the processor computes what `--bf16` asks for."""

import torch
from transformers import PreTrainedModel, TrainingArguments

from hfcls.environment import computes_bf16_lstm
from hfcls.errors import InputError


def check_precision(model: PreTrainedModel, training_args: TrainingArguments) -> None:
    """Makes sure, before any training, that an LSTM can be trained in bfloat16 where it is to be.

    Raises:
        InputError: it cannot, as on processors with AVX2 and nothing newer.
    """
    if not training_args.bf16 or training_args.device.type != "cpu":
        return
    if any(isinstance(module, torch.nn.LSTM) for module in model.modules()) and not computes_bf16_lstm():
        raise InputError("--bf16: this processor computes no LSTM in bfloat16: give --bf16 False")
