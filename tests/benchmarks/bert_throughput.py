"""Samples per second of the BERT recipe, beside transformers' usual recipe and a bare PyTorch loop.

    python tests/benchmarks/bert_throughput.py --data_dir thucnews_titles --size mini
    python tests/benchmarks/bert_throughput.py --data_dir thucnews_titles --size base --steps 4 --repeats 2

All run in one process, in turn, on the same model, optimizer and batch size:

- usual: `transformers.Trainer` as the tutorials have it: rows padded to 128, float32, random order;
- hfcls: the recipe as it is: rows padded to the longest of a batch of similar lengths, bf16 where the hardware has it;
- bare: a loop over the very batches of the recipe, already collated, in the same precision, with clipping and schedule.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from pathlib import Path

import torch
import transformers
from accelerate.state import AcceleratorState
from datasets import DatasetDict

from hfcls.data.corpora import CORPORA
from hfcls.models.bert import bert_from_scratch
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.text.collator import text_collator
from hfcls.text.rows import tokenize_corpus
from hfcls.text.tokenization import train_wordpiece_tokenizer
from hfcls.training import describe
from hfcls.training import run as training
from hfcls.training.arguments import parse
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.corpus import load_corpus

WARM_UP = 1


class Clock(transformers.TrainerCallback):
    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **kwargs):
        if torch.cuda.is_available() and state.global_step in (WARM_UP, state.max_steps):
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    def samples_per_second(self, batch_size):
        return (len(self.times) - WARM_UP) * batch_size / (self.times[-1] - self.times[WARM_UP - 1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--size", default="mini", choices=["tiny", "mini", "small", "base"])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of each run, after one that is not")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    flags = f"--from_scratch {options.size} --per_device_train_batch_size {options.batch_size} --report_to none"
    flags += f" --max_steps {options.steps + WARM_UP} --eval_strategy no --save_strategy no --disable_tqdm True"
    flags += f" --data_dir {options.data_dir}" if options.data_dir else ""
    output_dir = tempfile.mkdtemp()
    arguments, training_args = parse(
        PretrainedTextArguments,
        task="benchmark",
        description="",
        defaults=lambda given: {},
        argv=[*flags.split(), "--output_dir", output_dir],
    )
    training.start(training_args)
    corpus = load_corpus(CORPORA["thucnews"], arguments, training_args)
    tokenizer = train_wordpiece_tokenizer(corpus.splits["train"]["text"], max_length=512)
    rows, _ = tokenize_corpus(corpus, tokenizer, training_args, keep="head", max_length=arguments.tokens_kept)
    padded = DatasetDict(train=corpus.splits["train"]).map(
        lambda batch: tokenizer(batch["text"], padding="max_length", truncation=True, max_length=128), batched=True
    )["train"]

    def new_model():
        transformers.set_seed(0)
        return bert_from_scratch(options.size, tokenizer, corpus.target.names, 128)

    def setup(model):
        return ClassifierSetup(corpus, tokenizer, rows, text_collator(tokenizer), model, options.size)

    def usual():
        clock = Clock()
        args = transformers.TrainingArguments(
            output_dir,
            per_device_train_batch_size=options.batch_size,
            max_steps=options.steps + WARM_UP,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=50,
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        transformers.Trainer(
            new_model(), args, train_dataset=padded, processing_class=tokenizer, callbacks=[clock]
        ).train()
        return clock.samples_per_second(options.batch_size)

    def hfcls():
        clock = Clock()
        trainer = setup(new_model()).build_trainer(arguments, training_args)
        trainer.add_callback(clock)
        trainer.train()
        return clock.samples_per_second(options.batch_size)

    def bare():
        model = new_model()
        trainer = setup(model).build_trainer(arguments, training_args)
        device = training_args.device
        batches = []
        for batch in trainer.get_train_dataloader():
            batches.append({name: tensor.to(device) for name, tensor in batch.items()})
            if len(batches) == options.steps + WARM_UP:
                break
        optimizer = trainer.create_optimizer()
        scheduler = transformers.get_linear_schedule_with_warmup(optimizer, 0, options.steps + WARM_UP)
        autocast = torch.autocast(device.type, torch.bfloat16) if training_args.bf16 else contextlib.nullcontext()
        model.train()
        for step, batch in enumerate(batches):
            if step == WARM_UP:
                begun = time.perf_counter()
            with autocast:
                loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            loss.item()
        return options.steps * options.batch_size / (time.perf_counter() - begun)

    measured = {run.__name__: [] for run in (usual, hfcls, bare)}
    for _ in range(options.repeats):
        for run in (usual, hfcls, bare):
            # Trainer's precision would be that of the first one in the process. Private in accelerate, read in 1.15.
            AcceleratorState._reset_state()
            measured[run.__name__].append(run())
    print(
        f"\nBERT {options.size}, batch {options.batch_size}, {torch.get_num_threads()} threads,",
        describe.precision(training_args),
    )
    for name, values in measured.items():
        print(f"  {name:<6} {statistics.median(values):8.1f} samples/s   ({', '.join(f'{v:.1f}' for v in values)})")
    for other in ("usual", "bare"):
        ratios = [a / b for a, b in zip(measured["hfcls"], measured[other], strict=True)]
        print(f"  hfcls / {other:<6} {statistics.median(ratios):.2f}   ({min(ratios):.2f} to {max(ratios):.2f})")
    Path(output_dir).rmdir() if not any(Path(output_dir).iterdir()) else None


if __name__ == "__main__":
    main()
