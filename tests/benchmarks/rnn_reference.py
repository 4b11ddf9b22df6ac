"""Training samples per second of TextRNN, beside the plain loop that the public headline baselines use.

    python tests/benchmarks/rnn_reference.py
    python tests/benchmarks/rnn_reference.py --data_dir thucnews_titles
    python tests/benchmarks/rnn_reference.py --bf16        # where the CPU multiplies in bf16 (AMX, AVX512-BF16)

Both train a two-layer bidirectional LSTM, hidden 128, on 200-wide trained vectors with Adam 1e-3 and batches of 128, on
the same 4,096 rows, in turn, in one process:

- reference: every row cut and padded to 32, rows in random order, `nn.LSTM` over the padding, classified by the output
  at the last position (which is padding for most rows), float32;
- ours: `TextRNNForSequenceClassification` on batches of similar length, each padded to its longest row.

Without --data_dir the ids are random and the lengths those of headlines: normal(19, 4), cut to 3–32.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from hfcls.models.text_rnn import TextRNNConfig, TextRNNForSequenceClassification

BATCH, PAD_TO, CLASSES, VOCABULARY = 128, 32, 10, 4762
ROWS, SHARES = 32 * BATCH, 4  # a repeat takes every fourth batch, so long and short ones alike


class Reference(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 200)
        self.lstm = nn.LSTM(200, 128, 2, bidirectional=True, batch_first=True, dropout=0.3)
        self.classifier = nn.Linear(256, CLASSES)

    def forward(self, input_ids):
        return self.classifier(self.lstm(self.embedding(input_ids))[0][:, -1])


def generated_rows():
    lengths = torch.normal(19.0, 4.0, (ROWS,)).round().clamp(3, PAD_TO).int().tolist()
    return [(torch.randint(1, VOCABULARY, (n,)), int(torch.randint(CLASSES, ()))) for n in lengths]


def headline_rows(data_dir):
    """The first lines of train.txt, text<TAB>class; characters are numbered as they come, 0 is padding."""
    numbers, rows = {}, []
    with open(Path(data_dir, "train.txt"), encoding="utf-8") as lines:
        for line in lines:
            text, label = line.rstrip("\n").rsplit("\t", 1)
            ids = [numbers.setdefault(c, 1 + len(numbers) % (VOCABULARY - 1)) for c in text[:PAD_TO]]
            rows.append((torch.tensor(ids), int(label)))
            if len(rows) == ROWS:
                break
    return rows


def batches(rows, width=None):
    for start in range(0, len(rows), BATCH):
        ids, labels = zip(*rows[start : start + BATCH], strict=True)
        padded = nn.utils.rnn.pad_sequence([*ids, torch.zeros(width or 0)], batch_first=True)[: len(ids)].long()
        yield padded, torch.tensor(labels)


def seconds(step, prepared):
    started = time.perf_counter()
    for ids, labels in prepared:
        step(ids, labels)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", help="a folder with train.txt: a headline, a tab and its class number a line")
    parser.add_argument("--repeats", type=int, default=8, help="eight batches each")
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--pooling", default="max_mean")
    parser.add_argument("--bf16", action="store_true", help="ours under bf16 autocast, as Trainer does with --bf16")
    options = parser.parse_args()

    torch.manual_seed(0)
    rows = headline_rows(options.data_dir) if options.data_dir else generated_rows()
    fixed = list(batches(rows, PAD_TO))
    similar = list(batches(sorted(rows, key=lambda row: len(row[0]))))

    reference = Reference()
    ours = TextRNNForSequenceClassification(
        TextRNNConfig(vocab_size=VOCABULARY, num_labels=CLASSES, cell=options.cell, pooling=options.pooling)
    ).train()
    # The same arithmetic; Trainer's default is the fused kernel, the plain loop's is not.
    adam = torch.optim.Adam(reference.parameters(), lr=1e-3)
    fused_adam = torch.optim.Adam(ours.parameters(), lr=1e-3, fused=True)

    def reference_step(ids, labels):
        adam.zero_grad()
        nn.functional.cross_entropy(reference(ids), labels).backward()
        adam.step()

    def our_step(ids, labels):
        fused_adam.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            loss = ours(ids, (ids != 0).long(), labels).loss
        loss.backward()
        fused_adam.step()

    seconds(reference_step, fixed[:2])
    seconds(our_step, similar[::16])
    ratios, rates = [], {"reference": [], "ours": []}
    for repeat in range(options.repeats):
        share = slice(repeat % SHARES, None, SHARES)
        rates["reference"].append(ROWS / SHARES / seconds(reference_step, fixed[share]))
        rates["ours"].append(ROWS / SHARES / seconds(our_step, similar[share]))
        ratios.append(rates["ours"][-1] / rates["reference"][-1])
    width = statistics.mean(ids.shape[1] for ids, _ in similar)
    print(f"{ROWS // SHARES} rows a repeat, {options.repeats} repeats, {torch.get_num_threads()} threads")
    print(f"reference  {statistics.median(rates['reference']):7.0f} samples/s  pad {PAD_TO}, float32")
    print(f"ours       {statistics.median(rates['ours']):7.0f} samples/s  pad {width:.1f} on average, ", end="")
    print(f"{'bf16' if options.bf16 else 'float32'}, {options.cell}, {options.pooling}")
    print(f"ratio      {statistics.median(ratios):7.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
