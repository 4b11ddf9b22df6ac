"""hfcls: fine-tune classifiers the Hugging Face way.

Every task is a `datasets` builder and a `transformers` model, trained by `Trainer`; what comes out reloads with
`from_pretrained`. Nothing heavy is imported before it is used.
"""

__version__ = "0.1.0"
__all__ = ["DatasetCardClassifier"]


def __getattr__(name: str):
    if name == "DatasetCardClassifier":  # imports torch
        from hfcls.cards.classifier import DatasetCardClassifier

        return DatasetCardClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
