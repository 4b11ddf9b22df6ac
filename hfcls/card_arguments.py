"""What the recipe for dataset cards can be told on the command line."""

from dataclasses import dataclass, field
from typing import Literal

from hfcls.arguments import RecipeArguments
from hfcls.errors import InputError


@dataclass
class CardArguments(RecipeArguments):
    """Which classes of dataset cards are learned, and by which model."""

    target: Literal["fine", "coarse", "both"] = field(
        default="fine", metadata={"help": "The classes; both: fine ones, whose probabilities add up to the coarse."}
    )
    split_seed: int = field(default=42, metadata={"help": "Of the cards drawn for test and validation."})
    train_on_validation: bool = field(
        default=False, metadata={"help": "Train on the validation cards too: the last weights are kept, unchosen."}
    )
    architecture: Literal["fusion", "label_similarity", "ngram_linear"] = field(
        default="fusion", metadata={"help": "The model."}
    )
    classifier: Literal["inception", "svm"] = field(
        default="inception", metadata={"help": "label_similarity: what stands on the 98 numbers."}
    )
    similarities: bool = field(
        default=True, metadata={"help": "Compare card and name with the names of tasks; else the numbers are left."}
    )
    embedding_size: int = field(default=512, metadata={"help": "Singular vectors of the text embeddings."})
    ridge: float = field(default=0.07, metadata={"help": "fusion: penalty of the regression that the bag starts from."})

    def __post_init__(self):
        super().__post_init__()
        for name in ("embedding_size", "ridge"):
            if getattr(self, name) <= 0:
                raise InputError(f"--{name} {getattr(self, name)}: give a number above 0")
        if self.target == "both" and self.architecture == "ngram_linear":
            raise InputError("--target both is of fusion and label_similarity; ngram_linear learns fine or coarse")
        if self.train_on_validation and self.calibrate:
            raise InputError("--calibrate needs validation cards that were not trained on: drop --train_on_validation")
        if self.train_on_validation and self.num_folds is not None:
            raise InputError("--num_folds draws validation cards of its own: drop --train_on_validation")
