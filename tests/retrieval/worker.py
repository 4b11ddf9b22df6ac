"""Some steps of contrastive training, for tests with processes too: `python tests/retrieval/worker.py DIR FLAGS …`.

Losses, gradients and metrics of the first FLAGS (one argument) go to DIR/0/result.npz, of the second to DIR/1, …
"""

import logging
import sys
from pathlib import Path

import numpy as np
import torch

from hfcls.retrieval import build as retrieval
from hfcls.retrieval.arguments import RetrievalArguments
from hfcls.retrieval.corpus import load_retrieval_corpus
from hfcls.training import run as training
from hfcls.training.arguments import parse
from tests.worker import Record

FLAGS = (
    "--from_scratch tiny --max_train_samples 40 --max_eval_samples 20 --use_cpu --disable_tqdm True --bf16 False "
    "--train_sampling_strategy sequential --max_steps 2 --logging_steps 1 --learning_rate 1e-3 --max_grad_norm 0 "
    "--eval_strategy steps --eval_steps 2 --save_strategy no --load_best_model_at_end False"
)


def build(output_dir: Path, flags: str = ""):
    """A trainer whose first batches hold pairs with equal texts, because the pairs stand in the order of the texts."""
    argv = ["--output_dir", str(output_dir), *FLAGS.split(), *flags.split()]
    arguments, training_args = parse(
        RetrievalArguments,
        task="worker",
        description="",
        defaults=lambda _: {"metric_for_best_model": "recall_at_1"},
        argv=argv,
    )
    training.start(training_args)
    corpus = load_retrieval_corpus(arguments, training_args)
    setup = retrieval.build(arguments, training_args, corpus, default="")
    return setup.build_trainer(arguments, training_args)


def measure(output_dir: Path, flags: str = "") -> dict[str, np.ndarray]:
    trainer, record = build(output_dir, flags), Record()
    trainer.add_callback(record)
    trainer.train()
    history = trainer.state.log_history
    evaluation = next(entry for entry in history if "eval_loss" in entry)
    results = {
        "losses": np.array([entry["loss"] for entry in history if "loss" in entry]),
        "gradients": np.array(record.gradients),
        "processes": trainer.args.world_size,
        "evaluation": [evaluation[f"eval_{name}"] for name in ("recall_at_10", "image_to_text_recall_at_10", "loss")],
    }
    if trainer.is_world_process_zero():
        output_dir.mkdir(parents=True, exist_ok=True)
        np.savez(output_dir / "result.npz", **results)
    return results


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    for number, flags in enumerate(sys.argv[2:]):
        measure(Path(sys.argv[1]) / str(number), flags)
