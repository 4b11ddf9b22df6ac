"""What the recipe for dataset cards can be told on the command line."""

from dataclasses import dataclass, field
from typing import Literal

from hfcls.errors import InputError
from hfcls.models import CARDS
from hfcls.text.arguments import FloorArguments


@dataclass
class CardArguments(FloorArguments):
    """Which classes of dataset cards are learned, and by which model."""

    target: Literal["fine", "coarse", "both"] = field(
        default="fine", metadata={"help": "The classes; both: fine ones, whose probabilities add up to the coarse."}
    )
    split_seed: int = field(default=42, metadata={"help": "Of the cards drawn for test and validation."})
    train_on_validation: bool = field(
        default=False, metadata={"help": "Train on the validation cards too: the last weights are kept, unchosen."}
    )
    architecture: Literal[*CARDS] = field(default="fusion", metadata={"help": "The model."})
    classifier: Literal["inception", "svm"] = field(
        default="inception", metadata={"help": "label_similarity: what stands on the 98 numbers."}
    )
    similarities: bool = field(
        default=True, metadata={"help": "Compare card and name with the names of tasks; else the numbers are left."}
    )
    embedding_model: str = field(
        default="lsa",
        metadata={
            "help": "What compares them: lsa, singular vectors of the training cards; or a model of "
            "sentence-transformers (extra [embeddings]): of the Hub, modelscope:OWNER/NAME, or a folder."
        },
    )
    embedding_prompt: str | None = field(
        default=None,
        metadata={
            "help": "embedding_model: what stands in front of every text, such as 'query: ' for E5. Absent: what the "
            "model itself brings, if anything."
        },
    )
    embedding_size: int = field(default=512, metadata={"help": "lsa: singular vectors."})
    trust_remote_code: bool = field(
        default=False, metadata={"help": "embedding_model: run code that comes with it, as Jina's need."}
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "fusion: any AutoModel of texts reads the cards; absent: a bag of n-grams."}
    )
    from_scratch: Literal["tiny", "mini", "small", "base"] | None = field(
        default=None, metadata={"help": "fusion: a BERT with random weights reads the cards."}
    )
    max_length: int = field(default=512, metadata={"help": "Tokens of a card that the model of texts reads."})
    ridge: float = field(default=0.07, metadata={"help": "fusion: penalty of the regression that the bag starts from."})

    def __post_init__(self):
        super().__post_init__()
        for name in ("embedding_size", "ridge"):
            if getattr(self, name) <= 0:
                raise InputError(f"--{name} {getattr(self, name)}: give a number above 0")
        if self.embedding_prompt is not None and self.embedding_model == "lsa":
            raise InputError("--embedding_prompt is of an --embedding_model of sentences, which lsa is not: drop it")
        encoders = [name for name in ("model_name_or_path", "from_scratch") if getattr(self, name) is not None]
        if encoders and self.evaluate_only is not None:
            raise InputError(f"--{encoders[0]} and --evaluate_only exclude each other: give one of them")
        if len(encoders) == 2:
            raise InputError("--model_name_or_path and --from_scratch exclude each other: give one of them")
        if encoders and self.architecture != "fusion":
            raise InputError(f"--{encoders[0]} is of --architecture fusion, not of {self.architecture}")
        if self.max_length < 3:
            raise InputError(f"--max_length {self.max_length}: give a number of tokens of at least 3")
        if self.target == "both" and self.architecture == "ngram_linear":
            raise InputError("--target both is of fusion and label_similarity; ngram_linear learns fine or coarse")
        for flag in ("calibrate", "class_offsets"):
            if self.train_on_validation and getattr(self, flag):
                raise InputError(f"--{flag} needs validation cards of its own: drop --train_on_validation")
        if self.train_on_validation and self.num_folds is not None:
            raise InputError("--num_folds draws validation cards of its own: drop --train_on_validation")
