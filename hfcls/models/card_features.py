"""What the models of dataset cards look at: n-grams by field, similarities to the names of tasks, numbers.

The file needs torch, transformers and card_ngrams.py; both lie beside the weights of the models that import it.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers import BatchFeature, FeatureExtractionMixin
from transformers import initialization as init
from transformers.modeling_outputs import ModelOutput

from .card_ngrams import FIELD_BITS, FIELDS, count_ngrams, words_of

ABSENT = 2**62  # in place of an id; sorts behind all others
NUMBERS = 3  # downloads, size, rows
LSA = "lsa"  # latent semantic analysis, in place of the name of an embedding model

# The task categories of the Hub, by whose names cards are compared.
TASK_CATEGORIES = """
feature-extraction text-to-image image-to-text text-to-video visual-question-answering document-question-answering
graph-machine-learning depth-estimation image-classification object-detection image-segmentation image-to-image
unconditional-image-generation video-classification zero-shot-image-classification zero-shot-object-detection
mask-generation image-feature-extraction text-classification token-classification table-question-answering
question-answering zero-shot-classification translation summarization conversational text-generation
text2text-generation fill-mask sentence-similarity text-retrieval multiple-choice table-to-text text-to-speech
text-to-audio automatic-speech-recognition audio-to-audio audio-classification voice-activity-detection
tabular-classification tabular-regression tabular-to-text time-series-forecasting reinforcement-learning robotics other
""".split()


class CardFeatureExtractor(FeatureExtractionMixin):
    """From cards to `ngrams` and `counts` (B, L) and `numbers` (B, 3); nothing is learned, so nothing is kept.

    `text` holds the words and pairs of words of the name and the card; `summary`, `tasks` and `structure` those under
    the headings of SECTIONS; `name` strings of two to five letters of the name's words.

    >>> CardFeatureExtractor()(["# Movie reviews\\nGood or bad?"], ["me/movie_reviews"], downloads=[12])["numbers"]
    tensor([[12., nan, nan]])
    """

    model_input_names = ["ngrams", "counts", "numbers"]

    def __call__(
        self,
        cards: Sequence[str],
        names: Sequence[str],
        downloads: Sequence[float | None] | None = None,
        sizes: Sequence[float | None] | None = None,
        num_rows: Sequence[float | None] | None = None,
    ) -> BatchFeature:
        """`cards` in Markdown, without HTML; `names` as on the Hub; of the numbers None is one that is not known."""
        unknown = [None] * len(cards)
        numbers = zip(downloads or unknown, sizes or unknown, num_rows or unknown, strict=True)
        ngrams, counts = pad([self.ngrams(card, name) for card, name in zip(cards, names, strict=True)])
        return BatchFeature({"ngrams": ngrams, "counts": counts, "numbers": as_numbers(numbers)})

    def ngrams(self, card: str, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and counts of the distinct features of one card, (L,) int64 and (L,) float32."""
        counts = count_ngrams(card, name)
        return torch.tensor(list(counts), dtype=torch.int64), torch.tensor(list(counts.values()), dtype=torch.float32)


def pad(cards: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and counts of several cards, as `ngrams` gives them, (B, L) each, filled up with ABSENT and 0."""
    ids, counts = zip(*cards, strict=True)
    return (
        nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=ABSENT),
        nn.utils.rnn.pad_sequence(counts, batch_first=True),
    )


def as_numbers(rows: Iterable[Sequence[float | None]]) -> torch.Tensor:
    """(B, 3) float32 with NaN for None."""
    return torch.tensor([[math.nan if number is None else number for number in row] for row in rows])


class NgramBag(nn.Module):
    """TF-IDF of the features that were seen in training: (1 + log count) * idf, each field scaled to length 1.

    Buffers: `ids` (features + 1,), sorted, the last one ABSENT, and `idf`, whose last is 0.
    """

    def __init__(self, num_features: int):
        super().__init__()
        self.register_buffer("ids", torch.full((num_features + 1,), ABSENT))
        self.register_buffer("idf", torch.zeros(num_features + 1))

    def forward(self, ngrams: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) twice → numbers of the features, and values; the unseen have the number after the last one."""
        rows = torch.searchsorted(self.ids, ngrams)
        rows = rows.masked_fill(self.ids[rows] != ngrams, len(self.ids) - 1)
        values = (1 + counts.clamp(min=1).log()) * self.idf[rows]
        fields = (ngrams >> FIELD_BITS).clamp(max=len(FIELDS))  # the last one is of padding
        squares = values.new_zeros(ngrams.shape[0], len(FIELDS) + 1).scatter_add(1, fields, values.square())
        return rows, values / squares.sqrt().clamp(min=1e-9).gather(1, fields)


def bag_sum(rows: torch.Tensor, values: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """What `NgramBag` gives, (B, L) twice, and a table (features, N) → the weighted sums of its rows, (B, N)."""
    if torch.compiler.is_exporting():  # a graph cannot leave out what is not known
        known = F.pad(table, (0, 0, 0, 1))[rows.clamp(max=len(table))]  # (B, L, N)
        return torch.matmul(values.unsqueeze(1), known).squeeze(1)
    known = rows < len(table)  # most are not: padding, and what was rare in training
    counts = known.sum(1)
    return F.embedding_bag(rows[known], table, counts.cumsum(0) - counts, mode="sum", per_sample_weights=values[known])


class CardTable(nn.Module):
    """The row of numbers that stands for a card: similarities to task names, three numbers, three flags of missing.

    A card is compared to each of TASK_CATEGORIES by the cosine of its own embedding and of its name's: 92 numbers,
    standardised as the others are. Without similarities, six are left. They come from an embedding model, or are
    computed here: the embedding of a text is then its TF-IDF times the singular vectors of the training cards (latent
    semantic analysis, Deerwester et al. 1990).

    Args:
        embedding_model: None for no similarities, LSA for those computed here, or the name of the model they come from.
        num_terms: LSA: words with an embedding.
        embedding_size: LSA: of a text.
        number_mean, number_std: of log(1 + number) among the training cards where it is known, three each.
    """

    def __init__(
        self,
        embedding_model: str | None,
        num_terms: int,
        embedding_size: int,
        number_mean: Sequence[float],
        number_std: Sequence[float],
    ) -> None:
        super().__init__()
        similarities = 0 if embedding_model is None else 2 * len(TASK_CATEGORIES)
        self.size = similarities + 2 * NUMBERS
        self.embedding_model = embedding_model
        self.number_mean, self.number_std = list(number_mean), list(number_std)
        self.bag = NgramBag(num_terms)
        self.register_buffer("components", torch.zeros(num_terms, embedding_size if num_terms else 0))
        self.register_buffer("mean", torch.zeros(similarities))
        self.register_buffer("std", torch.ones(similarities))

    def embed(self, ngrams: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, embedding_size) of length 1 (0 where no word is known) from the words of the field `text`."""
        rows, values = self.bag(ngrams, counts)
        return F.normalize(bag_sum(rows, values, self.components))

    def similarities(self, ngrams: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Cosines of card and name with every task, (B, 2 * tasks)."""
        words = ngrams - (FIELDS.index("name_words") << FIELD_BITS)
        of_name = (ngrams >> FIELD_BITS) == FIELDS.index("name_words")
        name = self.embed(words.masked_fill(~of_name, ABSENT), counts)
        tasks = [[zlib.crc32(word.encode()) for word in words_of(task.replace("-", " "))] for task in TASK_CATEGORIES]
        ids, ones = pad([(torch.tensor(task), torch.ones(len(task))) for task in tasks])
        tasks = self.embed(ids.to(ngrams.device), ones.to(counts.device))
        return torch.cat([self.embed(ngrams, counts) @ tasks.T, name @ tasks.T], dim=1)

    def forward(
        self,
        ngrams: torch.Tensor,
        counts: torch.Tensor,
        numbers: torch.Tensor,
        similarities: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, L) twice, (B, 3) with NaN for missing and (B, 92), if they are not computed here → (B, size).

        Raises:
            ValueError: the similarities of an embedding model are missing.
        """
        missing = numbers.isnan()
        scaled = (numbers.log1p() - numbers.new_tensor(self.number_mean)) / numbers.new_tensor(self.number_std)
        table = torch.cat([scaled.masked_fill(missing, 0.0), missing.float()], dim=1)
        if self.embedding_model is None:
            return table
        if self.embedding_model == LSA:
            similarities = self.similarities(ngrams, counts)
        elif similarities is None:
            raise ValueError(
                f"similarities are missing: {self.embedding_model} makes them; ask hfcls.DatasetCardClassifier instead"
            )
        return torch.cat([(similarities - self.mean) / self.std, table], dim=1)


@dataclass
class CardClassifierOutput(ModelOutput):
    """`logits` (B, num_labels) and, of a model with coarse classes, `coarse_logits`, the sums of its probabilities."""

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    coarse_logits: torch.FloatTensor | None = None


@torch.no_grad()
def init_card_buffers(module: nn.Module) -> None:
    """What `_init_weights` of a model does for the modules of this file."""
    if isinstance(module, NgramBag):
        init.constant_(module.ids, ABSENT)
        init.zeros_(module.idf)
    elif isinstance(module, CardTable):
        init.zeros_(module.components)
        init.zeros_(module.mean)
        init.ones_(module.std)


def coarse_logits(logits: torch.Tensor, coarse_of: Sequence[int]) -> torch.Tensor:
    """Logits (B, coarse classes) whose probabilities are the sums of those of `logits` (B, classes).

    `coarse_of` is the coarse class of each class.
    """
    groups = torch.tensor(coarse_of, device=logits.device)
    members = groups == torch.arange(max(coarse_of) + 1, device=logits.device).unsqueeze(1)  # (coarse, classes)
    return logits.unsqueeze(1).masked_fill(~members, -torch.inf).logsumexp(dim=2)


CardFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
