"""Rows a second and accuracy of a classifier of texts by torch, onnxruntime in float32 and int8, and OpenVINO.

    python tests/benchmarks/onnx_throughput.py MODEL OUT rows.csv [--rows 10000] [--openvino OUT2]

MODEL is a finished run, OUT what `hfcls export MODEL OUT --int8` wrote (without --int8 there is no int8 engine), OUT2
what `--format openvino` wrote, rows.csv has the columns text and label. Texts are encoded once and not timed. Each
engine computes a piece of the rows (--piece) in turn, with as many threads as OMP_NUM_THREADS says, so that what else
runs on the machine slows all of them down alike; the time of the processor leaves it out. Batches are those of
`hfcls predict`. The largest difference to a logit of torch is told as well.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas

from hfcls.inference.classifier import Classifier
from hfcls.inference.export.manifest import GRAPH, INT8_GRAPH
from hfcls.inference.onnx_classifier import OnnxClassifier, open_session
from hfcls.metrics.mcnemar import mcnemar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--piece", type=int, default=1024)
    parser.add_argument("--openvino", metavar="OUT2")
    options = parser.parse_args()
    table = pandas.read_csv(options.file, dtype=str, keep_default_na=False)[: options.rows]
    engines = {"torch": Classifier(options.model, device="cpu")}
    for name, graph in (("onnx", GRAPH), ("int8", INT8_GRAPH)):
        if (Path(options.out) / graph).is_file():
            engines[name] = OnnxClassifier(options.out)
            engines[name]._session = open_session(engines[name].folder / graph)
    if options.openvino is not None:
        engines["openvino"] = OnnxClassifier(options.openvino)
    encoded = engines["torch"].encode(list(table["text"]))
    seconds, answers = dict.fromkeys(engines, 0.0), {name: [] for name in engines}
    computing = dict.fromkeys(engines, 0.0)  # of the processor alone
    for start in range(0, len(table), options.piece):
        piece = {name: column[start : start + options.piece] for name, column in encoded.items()}
        for name, engine in engines.items():
            begun, used = time.perf_counter(), time.process_time()
            answers[name].append(engine.encoded_logits(piece))
            seconds[name] += time.perf_counter() - begun
            computing[name] += time.process_time() - used
        if start + options.piece >= len(table) or start // options.piece % 2 == 1:  # it takes a while
            report(table["label"][: start + options.piece], answers, seconds, computing, engines["torch"].labels)


def report(labels, answers: dict, seconds: dict, computing: dict, names: list[str]) -> None:
    """Prints a line for each engine: what it did so far."""
    number = {label: place for place, label in enumerate(names)}
    truth = np.array([number[label] for label in labels])
    logits = {name: np.concatenate(found) for name, found in answers.items()}
    correct = {name: found.argmax(axis=1) == truth for name, found in logits.items()}
    print(f"{len(truth):,} rows")
    for name in answers:
        print(
            f"  {name:8} {len(truth) / seconds[name]:8.1f} rows/s ({seconds['torch'] / seconds[name]:.2f} x torch), "
            f"{len(truth) / computing[name]:8.1f} a second of processor "
            f"({computing['torch'] / computing[name]:.2f} x), accuracy {correct[name].mean():.4f}, "
            f"McNemar's p {mcnemar(correct['torch'], correct[name]):.3g}, "
            f"logits to {np.abs(logits[name] - logits['torch']).max():.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
