"""What the hardware computes in: by default, and whether it can what `--bf16` asks for."""

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


def hardware_defaults(given: dict) -> dict:
    """bfloat16 where the hardware computes in it (newer CUDA devices, CPUs with AMX or AVX512-BF16); pinned memory
    where there is a GPU to copy to.
    """
    bf16 = False
    use_cpu = given.get("use_cpu", False) or not torch.accelerator.is_available()
    if use_cpu:
        capabilities = torch.cpu.get_capabilities()
        bf16 = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    elif torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return {"bf16": bf16 and not given.get("fp16"), "use_cpu": use_cpu, "dataloader_pin_memory": not use_cpu}
