"""TextCNN against the loop people start from: `Conv2d` over texts padded to 32 tokens, in float32.

Both train on the same generated headlines, by turns in one process, so that the ratio holds on a busy machine:

    python tests/benchmarks/cnn_reference.py

Generated ids follow the shape of the Chinese headlines: 4,762 characters whose frequencies fall as in natural text,
200-wide vectors, lengths normal(19, 4). Ours sees rows of similar length together, padded to the longest.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from hfcls.models.text_cnn import TextCNNConfig, TextCNNForSequenceClassification  # noqa: E402

VOCAB_SIZE, EMBEDDING_DIM, FILTERS, WIDTHS, CLASSES = 4762, 200, 256, (2, 3, 4), 10
BATCH_SIZE, FIXED_LENGTH = 128, 32


class Conv2dTextCNN(nn.Module):
    """The common implementation: an image of one channel, a filter as wide as the vectors."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, EMBEDDING_DIM)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, FILTERS, (width, EMBEDDING_DIM)) for width in WIDTHS)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(FILTERS * len(WIDTHS), CLASSES)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        image = self.embedding(ids).unsqueeze(1)
        features = [convolution(image).relu().squeeze(3).amax(2) for convolution in self.convolutions]
        return self.classifier(self.dropout(torch.cat(features, dim=1)))


def headlines(batches: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Rows of ids from 1 on, each token drawn with the frequencies of Zipf's law, and their labels."""
    generator = torch.Generator().manual_seed(0)
    rows = batches * BATCH_SIZE
    lengths = (torch.randn(rows, generator=generator) * 4 + 19).round().clamp(3, FIXED_LENGTH).long()
    # Starting at the second rank gives a batch of 128 the 930 distinct tokens that real headlines have.
    frequencies = 1 / torch.arange(2, VOCAB_SIZE + 1, dtype=torch.float64)
    ids = torch.multinomial(frequencies, int(lengths.sum()), replacement=True, generator=generator) + 1
    return list(ids.split(lengths.tolist())), torch.randint(0, CLASSES, (rows,), generator=generator)


def padded(rows: list[torch.Tensor], width: int) -> torch.Tensor:
    return torch.stack([F.pad(row, (0, width - len(row))) for row in rows])


def samples_per_second(model: nn.Module, optimizer: torch.optim.Optimizer, loss, batches: list) -> float:
    begun = time.perf_counter()
    for ids, labels in batches:
        optimizer.zero_grad()
        loss(model, ids, labels).backward()
        optimizer.step()
    return sum(len(labels) for _, labels in batches) / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=12, help="batches of 128 rows in every turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    rows, labels = headlines(arguments.batches)
    fixed, sorted_by_length = [], []
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    for start in range(0, len(rows), BATCH_SIZE):
        fixed.append((padded(rows[start : start + BATCH_SIZE], FIXED_LENGTH), labels[start : start + BATCH_SIZE]))
        chosen = order[start : start + BATCH_SIZE]
        sorted_by_length.append((padded([rows[n] for n in chosen], len(rows[chosen[-1]])), labels[chosen]))
    distinct = statistics.mean(ids.unique().numel() - 1 for ids, _ in sorted_by_length)
    print(f"{arguments.threads} threads, batches of {BATCH_SIZE}, {distinct:.0f} distinct tokens in a batch")

    reference = Conv2dTextCNN()
    ours = TextCNNForSequenceClassification(
        TextCNNConfig(
            vocab_size=VOCAB_SIZE,
            embedding_dim=EMBEDDING_DIM,
            filter_widths=WIDTHS,
            num_filters=FILTERS,
            num_labels=CLASSES,
        )
    )
    contestants = {
        "Conv2d, length 32": (
            reference,
            torch.optim.Adam(reference.parameters(), 1e-3),
            lambda model, ids, labels: F.cross_entropy(model(ids), labels),
            fixed,
        ),
        "hfcls TextCNN, real lengths": (
            ours,
            torch.optim.Adam(ours.parameters(), 1e-3),
            lambda model, ids, labels: model(ids, attention_mask=ids != 0, labels=labels).loss,
            sorted_by_length,
        ),
    }
    for model, *rest, batches in contestants.values():
        model.train()
        samples_per_second(model, *rest, batches[:2])
    speeds = {name: [] for name in contestants}
    for _ in range(arguments.turns):
        for name, contestant in contestants.items():
            speeds[name].append(samples_per_second(*contestant))
    for name, values in speeds.items():
        print(f"{name:<28} {statistics.median(values):7.0f} samples/s  ({min(values):.0f} to {max(values):.0f})")
    ratios = [ours / theirs for theirs, ours in zip(*speeds.values(), strict=True)]
    print(f"ratio {statistics.median(ratios):.1f}  ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
