"""From splits of dataset cards to batches."""

from dataclasses import dataclass

import datasets
import numpy as np
import torch

from hfcls.cards.processor import CardProcessor, similarities
from hfcls.models.card_features import CardTable, as_numbers, pad
from hfcls.text.collator import PaddingCollator


class CardRows(torch.utils.data.Dataset):
    """The rows of one split: what the processor makes of each card, once for all its rows, numbers and labels.

    Attributes:
        cards: n-grams and counts of the distinct cards.
        tokens: of the distinct cards, where a transformer reads them.
        similarities: of the distinct cards (cards, 92), where an embedding model makes them.
        card: of each row, its place among the distinct cards, (rows,).
        lengths: features of each row's card, or its tokens, (rows,).
        numbers: (rows, 3) with NaN for missing.
        labels: (rows,).
        table: what the model's `CardTable` makes of each row, (rows, N), once `tabulate` was called.
    """

    def __init__(self, split: datasets.Dataset, processor: CardProcessor, similar: dict[str, torch.Tensor] | None):
        names = list(split["id"])
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        bodies = card_bodies(split)
        self.cards = [processor.extractor.ngrams(bodies[name], name) for name in places]
        self.tokens = None
        if processor.tokenizer is not None:
            self.tokens = processor.tokens([bodies[name] for name in places], list(places))
        self.similarities = None if similar is None else torch.stack([similar[name] for name in places])
        self.card = np.array([places[name] for name in names])
        sizes = [len(ids) for ids in self.tokens] if self.tokens is not None else [len(ids) for ids, _ in self.cards]
        self.lengths = np.array(sizes)[self.card]
        self.numbers = as_numbers(zip(split["downloads"], split["size"], split["num_rows"], strict=True))
        self.labels = np.asarray(split["label"], dtype=np.int64)

    @torch.inference_mode()
    def tabulate(self, table: CardTable) -> None:
        """Computes once what every epoch would compute again."""
        parts = []
        for start in range(0, len(self), 16):
            cards = self.card[start : start + 16]
            similar = None if self.similarities is None else self.similarities[cards]
            parts.append(table(*pad([self.cards[card] for card in cards]), self.numbers[start : start + 16], similar))
        self.table = torch.cat(parts).clone()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        card = self.card[row]
        content = {"card": self.cards[card], "numbers": self.numbers[row], "table": self.table[row]}
        if self.tokens is not None:
            content["input_ids"] = self.tokens[card]
        return content | {"labels": self.labels[row]}


@dataclass
class CardCollator:
    """Rows of `CardRows` → `ngrams` and `counts` (B, L), `numbers` (B, 3), `table` (B, N), `labels` (B,), and where a
    transformer reads the text `input_ids` and `attention_mask` (B, T).
    """

    pad_tokens: PaddingCollator | None = None

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        ngrams, counts = pad([row["card"] for row in rows])
        batch = {
            "ngrams": ngrams,
            "counts": counts,
            "numbers": torch.stack([row["numbers"] for row in rows]),
            "table": torch.stack([row["table"] for row in rows]),
            "labels": torch.from_numpy(np.array([row["labels"] for row in rows])),
        }
        if self.pad_tokens is not None:
            batch |= self.pad_tokens([{"input_ids": row["input_ids"]} for row in rows])
        return batch


def card_bodies(split: datasets.Dataset) -> dict[str, str]:
    """Of each card its text; without the first line, the words of the name, which a processor adds itself."""
    return {name: text.partition("\n")[2] for name, text in zip(list(split["id"]), list(split["text"]), strict=True)}


def all_similarities(splits: datasets.DatasetDict, processor: CardProcessor) -> dict[str, torch.Tensor] | None:
    """Of each card the similarities (92,) that the processor's embedding model makes; None where it has none.

    However the cards are split, the same texts are embedded, and so found in the cache.
    """
    if processor.embedder is None:
        return None
    bodies = {name: body for split in splits.values() for name, body in card_bodies(split).items()}
    names = sorted(bodies)
    found = similarities(processor.embedder.cached, [bodies[name] for name in names], names)
    return dict(zip(names, found, strict=True))
