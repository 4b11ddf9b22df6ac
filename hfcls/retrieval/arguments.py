"""What a retrieval recipe can be told on the command line."""

from dataclasses import dataclass, field
from typing import Literal

from hfcls.errors import InputError
from hfcls.training.arguments import SharedArguments


@dataclass
class RetrievalArguments(SharedArguments):
    """Which model is trained, and what is particular to contrastive training."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "A Chinese-CLIP of the Hub, modelscope:OWNER/NAME or a folder; absent: the recipe's own."},
    )
    from_scratch: Literal["tiny", "mini"] | None = field(
        default=None, metadata={"help": "Random weights, sized after the pictures: needs no network."}
    )
    vocab: str | None = field(
        default=None,
        metadata={"help": "from_scratch: a BERT vocabulary (vocab.txt) instead of one learned from the texts."},
    )
    max_length: int = field(default=52, metadata={"help": "Tokens kept of a text, special ones included."})
    contrastive_accumulation: int = field(
        default=1,
        metadata={"help": "Contrast so many batches as one: the loss of the large batch at the memory of a small one."},
    )
    freeze_vision: bool = field(default=False, metadata={"help": "Train the text tower only."})
    patch_masking: float = field(
        default=0.0, metadata={"help": "Share of the patches of a training picture that are left out (FLIP)."}
    )
    augment: bool = field(
        default=False, metadata={"help": "Small rotations, shifts, scales and shears of the training pictures."}
    )
    zero_shot_dir: str | None = field(
        default=None, metadata={"help": "Classify pictures <class>/<picture> by the names of their folders, too."}
    )
    prompt: str = field(default="一张{}的图片。", metadata={"help": "zero_shot_dir: the text of a class, {} its name."})

    def __post_init__(self):
        super().__post_init__()
        chosen = [name for name in ("model_name_or_path", "from_scratch", "evaluate_only") if getattr(self, name)]
        if len(chosen) > 1:
            raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other: give one of them")
        if self.vocab is not None and self.from_scratch is None:
            raise InputError(
                "--vocab goes with --from_scratch, a pretrained model has its own vocabulary: leave it out"
            )
        if self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: give a number of tokens of at least 3")
        if self.contrastive_accumulation < 1:
            raise InputError(f"--contrastive_accumulation {self.contrastive_accumulation}: give at least 1")
        if not 0 <= self.patch_masking < 1:
            raise InputError(f"--patch_masking {self.patch_masking:g}: give a share of at least 0 and below 1")
        if self.prompt.count("{}") != 1 or self.prompt.replace("{}", "").strip("{}") != self.prompt.replace("{}", ""):
            raise InputError(f"--prompt {self.prompt}: must hold {{}} once, where the name of the class goes")
