"""The target of retrieval, and the names of its scores."""

from dataclasses import dataclass, field

KS = (1, 5, 10)
RECALLS = (*(f"recall_at_{k}" for k in KS), "mean_recall")


@dataclass(frozen=True)
class Pairs:
    """The target of retrieval: pictures and the texts that describe them. There are no classes."""

    names: list[str] = field(default_factory=list)

    kind = "pairs"
    problem_type = None
    printed = (*RECALLS, *(f"image_to_text_{name}" for name in RECALLS), "loss")
