"""Rows a second of `hfcls predict` against the pipeline of transformers, on the same model and the same texts.

    python tests/benchmarks/predict_throughput.py --model outputs/thucnews_bert --input test.txt --rows 10000

The input is a file of texts, one a line (what stands behind a tab is left out). Runs take turns, each reading the texts
and writing a CSV file, the way in which each is used:

usual   `pipeline("text-classification", model, truncation=True)(texts, batch_size=32)`
hfcls   `hfcls.inference.prediction.predict_file`

Ends with 1 unless both give the same labels, and probabilities that agree to 1e-6. Without --model and --input: a BERT
from random weights on the headlines of the embedded sample, repeated.
"""

import argparse
import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers

from hfcls.inference.classifier import Classifier
from hfcls.inference.prediction import predict_file
from hfcls.inference.text_files import TextFile
from hfcls.models.bert import bert_from_scratch
from hfcls.text.tokenization import train_wordpiece_tokenizer

SAMPLE = Path(__file__).parents[2] / "hfcls" / "data" / "samples" / "thucnews" / "train.txt"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--input", default=str(SAMPLE))
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--size", default="mini", choices=["tiny", "mini", "small", "base"], help="without --model")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    lines = [line.partition("\t")[0] for line in Path(options.input).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    texts = (lines * (options.rows // len(lines) + 1))[: options.rows]

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "texts.txt")
        source.write_text("\n".join(texts) + "\n", encoding="utf-8")
        classifier = Classifier(options.model or random_model(options.size, lines, folder))
        classify = transformers.pipeline(
            "text-classification",
            model=classifier.model,
            tokenizer=classifier.tokenizer,
            device=classifier.model.device,
        )

        def usual(output: Path):
            rows = source.read_text(encoding="utf-8").split("\n")[:-1]
            answers = classify(rows, batch_size=32, truncation=True, max_length=classifier.max_length)
            with output.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "prediction", "probability"])
                writer.writerows(
                    [text, answer["label"], f"{answer['score']:.9g}"]
                    for text, answer in zip(rows, answers, strict=True)
                )

        def hfcls(output: Path):
            predict_file(classifier, TextFile(str(source)), str(output))

        classifier.probabilities(texts[:64])  # warms up
        measured = {run.__name__: [] for run in (usual, hfcls)}
        for repeat in range(options.repeats):
            outputs = []
            for run in (usual, hfcls):
                outputs.append(Path(folder, f"{run.__name__}-{repeat}.csv"))
                begun = time.perf_counter()
                run(outputs[-1])
                measured[run.__name__].append(len(texts) / (time.perf_counter() - begun))
        other_labels, difference = compare(*outputs)

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{options.threads} CPU threads"
    print(f"\n{len(texts):,} texts, {device}; {other_labels} other labels, probabilities agree to {difference:.1e}")
    for name, values in measured.items():
        print(f"  {name:<6} {statistics.median(values):8.0f} rows/s   ({', '.join(f'{v:.0f}' for v in values)})")
    ratios = [a / b for a, b in zip(measured["hfcls"], measured["usual"], strict=True)]
    print(f"  hfcls / usual  {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")
    sys.exit(other_labels > 0 or difference > 1e-6)


def random_model(size: str, texts: list[str], folder: str) -> str:
    transformers.set_seed(0)
    tokenizer = train_wordpiece_tokenizer(texts, max_length=64)
    model = bert_from_scratch(size, tokenizer, [f"class {index}" for index in range(10)], 64)
    torch.nn.init.normal_(model.classifier.weight, std=0.1)  # so that the answers differ between texts
    path = str(Path(folder, "model"))
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def compare(first: Path, second: Path) -> tuple[int, float]:
    """Rows with other labels, and the largest difference of probabilities, in two files that answer the same texts."""
    others, largest = 0, 0.0
    with first.open(encoding="utf-8", newline="") as a, second.open(encoding="utf-8", newline="") as b:
        for row, other in zip(csv.DictReader(a), csv.DictReader(b), strict=True):
            assert row["text"] == other["text"]
            others += row["prediction"] != other["prediction"]
            largest = max(largest, abs(float(row["probability"]) - float(other["probability"])))
    return others, largest


if __name__ == "__main__":
    main()
