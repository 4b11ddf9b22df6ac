"""hfcls: fine-tune classifiers the Hugging Face way.

Every task is a `datasets` builder and a `transformers` model, trained by `Trainer`; what comes out reloads with
`from_pretrained`. Nothing heavy is imported before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hfcls.errors import InputError

if TYPE_CHECKING:
    from hfcls.cards.classifier import DatasetCardClassifier
    from hfcls.inference.classifier import Classifier
    from hfcls.inference.finished_run import Run
    from hfcls.text.api import evaluate, fine_tune

__version__ = "0.1.0"
__all__ = ["Classifier", "DatasetCardClassifier", "InputError", "Run", "evaluate", "fine_tune"]

_MODULES = {
    "Classifier": "hfcls.inference.classifier",
    "DatasetCardClassifier": "hfcls.cards.classifier",
    "Run": "hfcls.inference.finished_run",
    "evaluate": "hfcls.text.api",
    "fine_tune": "hfcls.text.api",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:  # they import torch
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
