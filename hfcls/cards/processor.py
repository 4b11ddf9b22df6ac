"""From raw cards to what a model of cards takes, in training and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from hfcls.cards import sentence_embedder
from hfcls.cards.sentence_embedder import SentenceEmbedder
from hfcls.inference.download import model_folder
from hfcls.inference.loading import load_model, loading_errors
from hfcls.models.card_features import LSA, TASK_CATEGORIES, CardFeatureExtractor
from hfcls.models.card_ngrams import name_words


@dataclass
class CardProcessor:
    """Reads cards: n-grams and numbers for every model, tokens and similarities for those that need them.

    Attributes:
        tokenizer: where a transformer reads the text; cards are cut to its `model_max_length`.
        embedder: where similarities come from an embedding model.
    """

    extractor: CardFeatureExtractor
    tokenizer: PreTrainedTokenizerBase | None = None
    embedder: SentenceEmbedder | None = None

    @classmethod
    def from_pretrained(cls, folder: str, config, *, trust_remote_code: bool = False) -> "CardProcessor":
        """What was saved in `folder` with a model of which `config` is the config.

        `trust_remote_code` allows the embedding model to run code of its own.

        Raises:
            InputError: the embedding model cannot be loaded.
            OSError: another part is not there.
        """
        has_encoder = getattr(config, "text_config", None) is not None
        return cls(
            AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False),
            AutoTokenizer.from_pretrained(folder, trust_remote_code=False) if has_encoder else None,
            sentence_embedder.saved(folder, trust_remote_code=trust_remote_code)
            if config.embedding_model not in (None, LSA)
            else None,
        )

    def __call__(
        self,
        cards: Sequence[str],
        names: Sequence[str],
        downloads: Sequence[float | None] | None = None,
        sizes: Sequence[float | None] | None = None,
        num_rows: Sequence[float | None] | None = None,
    ) -> dict[str, torch.Tensor]:
        """A batch for the model; the arguments are those of `CardFeatureExtractor`."""
        inputs = dict(self.extractor(cards, names, downloads, sizes, num_rows))
        if self.tokenizer is not None:
            inputs |= self.tokenizer.pad({"input_ids": self.tokens(cards, names)}, return_tensors="pt")
        if self.embedder is not None:
            inputs["similarities"] = similarities(self.embedder, cards, names)
        return inputs

    def tokens(self, cards: Sequence[str], names: Sequence[str]) -> list[list[int]]:
        """Token ids of each card, the words of its name in front."""
        texts = [f"{' '.join(name_words(name))}\n{card}" for card, name in zip(cards, names, strict=True)]
        return self.tokenizer(texts, truncation=True, return_attention_mask=False)["input_ids"]

    def save_pretrained(self, folder: str | Path) -> None:
        """Saves extractor and tokenizer. The embedding model never changes: it is saved once, with `embedder.save`."""
        self.extractor.save_pretrained(folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)


def similarities(embed, cards: Sequence[str], names: Sequence[str]) -> torch.Tensor:
    """Cosines of each card and of its name with every one of TASK_CATEGORIES, (cards, 2 * tasks).

    `embed` makes embeddings of length 1 of texts.
    """
    tasks = torch.from_numpy(embed([task.replace("-", " ") for task in TASK_CATEGORIES]))
    of_cards = torch.from_numpy(embed(cards))
    of_names = torch.from_numpy(embed([" ".join(name_words(name)) for name in names]))
    return torch.cat([of_cards @ tasks.T, of_names @ tasks.T], dim=1)


def load_card_model(name_or_path: str, *, trust_remote_code: bool = False) -> tuple[CardProcessor, PreTrainedModel]:
    """The classifier of cards that was saved, and what reads cards for it.

    `trust_remote_code` allows its embedding model, if it was trained with one, to run code of its own.

    Raises:
        InputError: it is not there, cannot be read, or there is no network.
    """
    with loading_errors(name_or_path):
        model = load_model(AutoModelForSequenceClassification, name_or_path)
        return CardProcessor.from_pretrained(
            model_folder(name_or_path), model.config, trust_remote_code=trust_remote_code
        ), model
