"""From splits of dataset cards to batches."""

from dataclasses import dataclass

import datasets
import numpy as np
import torch

from hfcls.cards.processor import CardProcessor, similarities
from hfcls.models.card_features import CardTable, as_numbers, pad
from hfcls.text.collator import PaddingCollator


@dataclass(frozen=True)
class CardSplit:
    """What the processor makes of one split: each card read once, whatever the number of its rows.

    Attributes:
        cards: n-grams and counts of the distinct cards.
        tokens: of the distinct cards, where a transformer reads them.
        similarities: of the distinct cards (cards, 92), where an embedding model makes them.
        card: of each row, its place among the distinct cards, (rows,).
        numbers: (rows, 3) with NaN for missing.
        labels: (rows,).
    """

    cards: list[tuple[torch.Tensor, torch.Tensor]]
    tokens: list[list[int]] | None
    similarities: torch.Tensor | None
    card: np.ndarray
    numbers: torch.Tensor
    labels: np.ndarray

    @classmethod
    def read(
        cls, split: datasets.Dataset, processor: CardProcessor, similar: dict[str, torch.Tensor] | None
    ) -> "CardSplit":
        """Reads the cards of `split`; `similar` is what `all_similarities` found."""
        names = list(split["id"])
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}
        bodies = card_bodies(split)
        return cls(
            cards=[processor.extractor.ngrams(bodies[name], name) for name in places],
            tokens=processor.tokens([bodies[name] for name in places], list(places)) if processor.tokenizer else None,
            similarities=None if similar is None else torch.stack([similar[name] for name in places]),
            card=np.array([places[name] for name in names]),
            numbers=as_numbers(zip(split["downloads"], split["size"], split["num_rows"], strict=True)),
            labels=np.asarray(split["label"], dtype=np.int64),
        )

    @torch.no_grad()
    def table(self, table: CardTable) -> torch.Tensor:
        """What `table` makes of each row, (rows, N)."""
        batches = []
        for start in range(0, len(self.labels), 16):
            cards = self.card[start : start + 16]
            similar = None if self.similarities is None else self.similarities[cards]
            batches.append(table(*pad([self.cards[card] for card in cards]), self.numbers[start : start + 16], similar))
        return torch.cat(batches)


class CardRows(torch.utils.data.Dataset):
    """The rows of one split, as `CardCollator` takes them.

    Attributes:
        split: what was read.
        table: what the model's `CardTable` makes of each row, (rows, N): it never changes, so it is computed once.
        lengths: features of each row's card, or its tokens, (rows,).
        labels: (rows,).
    """

    def __init__(self, split: CardSplit, table: CardTable):
        self.split = split
        self.table = split.table(table)
        sizes = [len(ids) for ids in split.tokens] if split.tokens else [len(ids) for ids, _ in split.cards]
        self.lengths = np.array(sizes)[split.card]
        self.labels = split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict:
        card = self.split.card[row]
        content = {"card": self.split.cards[card], "numbers": self.split.numbers[row], "table": self.table[row]}
        if self.split.tokens is not None:
            content["input_ids"] = self.split.tokens[card]
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
