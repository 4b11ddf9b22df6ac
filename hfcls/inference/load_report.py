"""What a model took of a checkpoint, in one line instead of the tables and bars of transformers."""

import logging
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

logger = logging.getLogger(__name__)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keeps transformers from printing bars, and what it says of the weights: `log_differences` does."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def not_noted(line: str) -> None:
    """Takes a note that is only to be logged."""


def log_differences(
    name: str, model: PreTrainedModel, loading: dict[str, Set], note: Callable[[str], None] = not_noted
) -> None:
    """One line if the checkpoint `name` lacked weights of `model` or had others: "new: classifier; unused: cls".

    Args:
        loading: what `from_pretrained(output_loading_info=True)` returns beside the model.
        note: takes the line, for the record of a run.
    """
    kept = model.state_dict().keys() - loading["missing_keys"]
    found = {"new": loading["missing_keys"], "unused": loading["unexpected_keys"]}
    parts = [f"{what}: {', '.join(modules(names, kept))}" for what, names in found.items() if names]
    if parts:
        logger.info("%s: %s", name, "; ".join(parts))
        note("; ".join(parts))


def modules(names: Set[str], kept: Set[str]) -> list[str]:
    """The largest modules that hold weights of `names` and none of `kept`.

    >>> modules({"cls.bias", "cls.dense.weight", "bert.pooler.weight"}, {"bert.embeddings.weight"})
    ['bert.pooler', 'cls']
    """
    others = {prefix for name in kept for prefix in _prefixes(name)}
    return sorted({next((p for p in _prefixes(name) if p not in others), name) for name in names})


def _prefixes(name: str) -> list[str]:
    """The modules that a weight lies in, the outermost first: bert, bert.pooler of bert.pooler.weight."""
    path = name.split(".")[:-1]
    return [".".join(path[: depth + 1]) for depth in range(len(path))]
