"""A small training run for tests that need processes of their own: `python tests/worker.py WHAT DIR [flags]`.

gradients   one epoch of a tiny BERT on generated rows; losses, gradients and predictions go to DIR/result.npz
model       a few steps, then the model as `from_pretrained` reads it: logits go to DIR/result.npz
losses      one step on 16 rows with each of LOSSES, whole and in four parts; results go to DIR/result.npz
kill        the same run uninterrupted (DIR/whole), then killed by SIGKILL at several points and resumed (DIR/<point>)

For runs of a whole recipe that are killed and resumed, see tests/killed_recipe.py.
"""

import gc
import logging
import os
import signal
import sys
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers

from hfcls.models.bert import bert_from_scratch
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.text.batches import build_collator
from hfcls.text.rows import tokenize_corpus
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training import run as training
from hfcls.training.arguments import parse
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus

CHARACTERS = "天地玄黄宇宙洪荒日月盈昃辰宿列张"
FLAGS = (
    "--from_scratch tiny --seed 3 --use_cpu --disable_tqdm True --report_to none --max_length 24 --bf16 False".split()
)


FEW = (1, 2, 3, 5)  # rows that are predicted for themselves, some fewer than there are processes


def generated_rows(count: int, seed: int) -> datasets.Dataset:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    texts = [
        CHARACTERS[label] * 2 + "".join(random.choice(list(CHARACTERS), random.integers(2, 20))) for label in labels
    ]
    label = datasets.ClassLabel(names=["a", "b", "c"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)


def build(output_dir: Path, flags: list[str], *, dropout: float, train_rows: int = 128):
    arguments, training_args = parse(
        PretrainedTextArguments,
        task="worker",
        description="",
        defaults=lambda given: {},
        argv=["--output_dir", str(output_dir), *FLAGS, *flags],
    )
    training.start(training_args)
    splits = datasets.DatasetDict(
        train=generated_rows(train_rows, 0), validation=generated_rows(53, 1), test=generated_rows(53, 2)
    )
    corpus = Corpus("generated", "generated", "zh", splits)
    tokenizer = train_wordpiece_tokenizer(splits["train"]["text"], max_length=24)
    rows, _ = tokenize_corpus(corpus, tokenizer, training_args, keep="head", max_length=arguments.tokens_kept)
    model = bert_from_scratch("tiny", tokenizer, corpus.target.names, rows.max_length)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(model.config, name, dropout)
    collator = build_collator(arguments, training_args, tokenizer, rows, model)
    setup = ClassifierSetup(corpus, tokenizer, rows, collator, model, "tiny")
    return setup.build_trainer(arguments, training_args), rows


class Record(transformers.TrainerCallback):
    """Keeps the gradient of every step."""

    def __init__(self):
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        model = getattr(model, "module", model)
        self.gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).numpy().copy())


def gradients(directory: Path, flags: list[str]) -> None:
    trainer, rows = build(
        directory,
        ["--num_train_epochs", "1", "--logging_steps", "1", "--eval_strategy", "epoch", *flags],
        dropout=0.0,
    )
    record = Record()
    trainer.add_callback(record)
    trainer.train()
    predicted = trainer.predict(rows.test)
    few = {f"logits_of_{n}": trainer.predict(torch.utils.data.Subset(rows.test, range(n))).predictions for n in FEW}
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    evaluation = next(entry for entry in trainer.state.log_history if "eval_loss" in entry)
    if trainer.is_world_process_zero():
        np.savez(
            directory / "result.npz",
            losses=losses,
            gradients=np.array(record.gradients),
            logits=predicted.predictions,
            labels=predicted.label_ids,
            expected_labels=rows.test.labels,
            weights=torch.cat([weight.detach().flatten() for weight in trainer.model.parameters()]).numpy(),
            **few,
            eval_loss=evaluation["eval_loss"],
            eval_accuracy=evaluation["eval_accuracy"],
            processes=trainer.args.world_size,
        )
    trainer.end()


def model(directory: Path, flags: list[str]) -> None:
    """Trains, resumes from its last checkpoint but one step, saves, and answers with what was saved."""
    steps = ["--save_strategy", "steps", "--save_steps", "2", "--eval_strategy", "no", *flags]
    trainer, rows = build(directory, ["--max_steps", "4", "--logging_steps", "1", *steps], dropout=0.3)
    trainer.train()
    trainer.save_model()
    logits = trainer.predict(rows.test).predictions
    trainer, _ = build(directory / "again", ["--max_steps", "4", *steps], dropout=0.3)
    trainer.train(resume_from_checkpoint=str(directory / "checkpoint-2"))
    resumed = trainer.predict(rows.test).predictions
    if trainer.is_world_process_zero():
        saved = transformers.AutoModelForSequenceClassification.from_pretrained(directory).eval()
        with torch.no_grad():
            batch = trainer.data_collator(rows.test.__getitems__(range(len(rows.test))))
            reloaded = saved(**batch).logits
        np.savez(directory / "result.npz", logits=logits, resumed=resumed, reloaded=reloaded)
    trainer.end()


LOSSES = {
    "weights_and_smoothing": "--class_weight balanced --label_smoothing_factor 0.1",
    "focal": "--loss focal --class_weight 0.5,1,3",
    "class_balanced": "--loss class_balanced",
    "smoothing": "--label_smoothing_factor 0.1",
}


def losses(directory: Path, flags: list[str] = ()) -> None:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    flags = [*flags, *"--train_sampling_strategy sequential --max_steps 1 --logging_steps 1 --eval_strategy no".split()]
    flags += ["--max_grad_norm", "0", "--save_strategy", "no"]
    results = {"processes": processes}
    for name, loss_flags in LOSSES.items():
        for steps in (1, 4):
            batch = f"--per_device_train_batch_size {16 // processes // steps} --gradient_accumulation_steps {steps}"
            trainer, _ = build(directory / f"{name}{steps}", [*flags, *batch.split(), *loss_flags.split()], dropout=0.0)
            record = Record()
            trainer.add_callback(record)
            trainer.train()
            (results[f"{name}_gradient_{steps}"],) = record.gradients
            (results[f"{name}_loss_{steps}"],) = [e["loss"] for e in trainer.state.log_history if "loss" in e]
    if trainer.is_world_process_zero():
        np.savez(directory / "result.npz", **results)
    trainer.end()


class Kill(transformers.TrainerCallback):
    """Ends this process as a power failure would, after step `step`."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def _train(directory: Path, *, resume: bool, kill_at: int | None = None, kill_while_saving: int | None = None) -> None:
    flags = ["--num_train_epochs", "3", "--per_device_train_batch_size", "16", "--learning_rate", "1e-3"]
    flags += ["--eval_strategy", "steps", "--eval_steps", "3", "--logging_steps", "1"]
    flags += ["--resume_from_checkpoint", "auto"] if resume else []
    trainer, _ = build(directory, flags, dropout=0.3)
    if kill_at is not None:
        trainer.add_callback(Kill(kill_at))
    if kill_while_saving is not None:
        save = trainer._save_optimizer_and_scheduler

        def torn_save(output_dir):
            save(output_dir)
            if trainer.state.global_step == kill_while_saving:
                os.kill(os.getpid(), signal.SIGKILL)

        trainer._save_optimizer_and_scheduler = torn_save
    trainer.args.load_best_model_at_end = False  # compare the last weights
    trainer.train(resume_from_checkpoint=trainer.args.resume_from_checkpoint)
    trainer.save_model()


def in_child(function, **options) -> int:
    """Runs `function` in a fork and returns its wait status: imports are paid once."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function(**options)
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def kill(directory: Path, flags: list[str]) -> None:
    gc.freeze()  # Trainer collects garbage after each run
    assert in_child(_train, directory=directory / "whole", resume=False) == 0
    points = {
        "before_the_first_save": {"kill_at": 2},
        "inside_an_epoch": {"kill_at": 5},
        "between_epochs": {"kill_at": 9},
        "after_an_epoch": {"kill_at": 16},
        "while_saving": {"kill_while_saving": 12},
        "while_saving_the_first": {"kill_while_saving": 3},
    }
    for name, point in points.items():
        assert in_child(_train, directory=directory / name, resume=False, **point) == signal.SIGKILL, name
        assert in_child(_train, directory=directory / name, resume=True) == 0, name


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    {"gradients": gradients, "losses": losses, "model": model, "kill": kill}[sys.argv[1]](
        Path(sys.argv[2]), sys.argv[3:]
    )
