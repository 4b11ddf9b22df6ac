"""How much of a GPU training and prediction use, in one call of less than eight minutes: one Markdown table.

    python tests/benchmarks/gpu.py                # every row; BENCHMARK.md holds the table as well
    python tests/benchmarks/gpu.py --only bert    # rows whose model has this in its name
    python tests/benchmarks/gpu.py --tiny         # on a CPU, models and rows of toy size: that the script runs

No downloads: weights and token ids are random, texts as long as reviews (mean 273 tokens, cut at 512) or Chinese
headlines (mean 22). Every run of ours trains four epochs of the same rows, the others two, and is timed over the last,
the GPU waited for at both ends; launches, and times that Python waits for the GPU, are counted in the one before.

hfcls                the Trainer of the recipes with its defaults: on a GPU, steps are recorded and replayed
hfcls, compiled      with --torch_compile True as well
hfcls, padding-free  with --padding_free, which records nothing
hfcls, not recorded  with --cuda_graphs False
bare loop            forward, backward, clipping and fused AdamW over the very batches of "hfcls", already on the GPU
Trainer, dynamic     transformers.Trainer as its tutorials have it: random order, padded to the longest of a batch
Trainer, max         the same, padded to the maximum

Share: multiply-adds that the model needs for the tokens themselves (padding is no use), against the rate at which the
device multiplies matrices in bf16, measured first. Ends with 1 if recorded or padding-free steps train otherwise.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import gpu_models
import torch
import transformers
from gpu_models import Case
from torch.profiler import ProfilerActivity, profile

from hfcls.metrics.one_label import OneLabel
from hfcls.models.attention import use_given_masks
from hfcls.retrieval.trainer import RetrievalTrainer
from hfcls.text.arguments import PretrainedTextArguments
from hfcls.text.batches import build_collator
from hfcls.training.arguments import parse
from hfcls.training.options import trainer_options
from hfcls.training.setup import Rows
from hfcls.training.trainer import ClassifierTrainer

EPOCHS = 4
# On a CPU, calls of operators stand for launches, and questions about their results for waits.
LAUNCHES = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cuLaunchKernelEx", "cudaGraphLaunch")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::is_nonzero")
COLUMNS = "Model | Batch | How | ms a step | rows/s | tokens/s | TFLOP/s | Share | Launches | Waits | Peak GiB".split(
    " | "
)
ON_GPU = torch.cuda.is_available()
# With these, losses have to be those of steps as everyone computes them. On a CPU, compiling takes minutes.
COMPARED = ("--cuda_graphs True", "--padding_free True", *(["--torch_compile True"] if ON_GPU else []))


@dataclass
class Clock(transformers.TrainerCallback):
    """Times the last of `epochs`, and profiles steps of the one before."""

    steps: int
    epochs: int = EPOCHS
    profiled: int = 5

    def __post_init__(self):
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * ON_GPU
        self.profiler, self.begun, self.ended = profile(activities=activities), 0.0, 0.0

    def on_step_end(self, args, state, control, **kwargs):
        step = state.global_step
        first = max(1, (self.epochs - 2) * self.steps)
        if step == first:
            self.profiler.start()
        if step == first + min(self.profiled, self.steps - 1):
            self.profiler.stop()
        if step == (self.epochs - 1) * self.steps:
            self.begun = now()
        if step == self.epochs * self.steps:
            self.ended = now()

    def counted(self, names: tuple[str, ...]) -> float:
        """Calls of these names a step."""
        events = self.profiler.key_averages()
        if names == LAUNCHES and not ON_GPU:
            names = {event.key for event in events if event.key.startswith("aten::")}
        calls = sum(event.count for event in events if event.key in names)
        return calls / min(self.profiled, self.steps - 1)


def now() -> float:
    if ON_GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(size: int) -> float:
    """Floating-point operations a second of bf16 matrix products of `size` × `size`."""
    device = "cuda" if ON_GPU else "cpu"
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        one @ other
    begun, repeats = now(), 30 if ON_GPU else 3
    for _ in range(repeats):
        one @ other
    return repeats * 2 * size**3 / (now() - begun)


def ours(case: Case, folder: str, flags: str) -> tuple[float, Clock]:
    """Seconds of the timed epoch with the Trainer of the recipes."""
    trainer = our_trainer(case, folder, flags)
    clock = Clock(case.steps)
    trainer.add_callback(clock)
    trainer.train()
    return clock.ended - clock.begun, clock


def our_trainer(case: Case, folder: str, flags: str) -> ClassifierTrainer:
    argv = f"--output_dir {folder}/out --per_device_train_batch_size {case.batch} --num_train_epochs {EPOCHS} {flags}"
    argv += " --eval_strategy no --save_strategy no --report_to none --disable_tqdm True --learning_rate 2e-5"
    argv += "" if ON_GPU else " --use_cpu --bf16 False"
    arguments, training_args = parse(
        PretrainedTextArguments, task="gpu", description="", defaults=lambda given: {}, argv=argv.split()
    )
    model = case.model()
    collator = case.collator
    if collator is None:
        rows = Rows(case.rows, case.rows, case.rows, max_length=case.longest)
        collator = build_collator(arguments, training_args, TOKENIZER, rows, model)
    options = trainer_options(arguments, training_args) | {"train_dataset": case.rows, "data_collator": collator}
    model.accepts_loss_kwargs = False
    if case.relations is not None:
        use_given_masks(model)  # as retrieval/build.py does
        return RetrievalTrainer(**options, model=model, relations=case.relations)
    model.config.problem_type = OneLabel(["a", "b"]).problem_type
    return ClassifierTrainer(**options, model=model)


TOKENIZER = SimpleNamespace(pad_token_id=0, padding_side="right")


def bare(case: Case, folder: str) -> tuple[float, None]:
    """Seconds of a loop over the batches of an epoch, which lie on the device."""
    trainer = our_trainer(case, folder, "")
    device = trainer.args.device
    batches = [{name: tensor.to(device) for name, tensor in batch.items()} for batch in trainer.get_train_dataloader()]
    model = trainer.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, fused=True)
    for epoch in range(2):
        if epoch == 1:
            begun = now()
        for batch in batches:
            with torch.autocast(device.type, torch.bfloat16, enabled=ON_GPU):
                loss = trainer.compute_loss(model, dict(batch))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return now() - begun, None


def theirs(case: Case, folder: str, padding: str) -> tuple[float, Clock]:
    """Seconds of the timed epoch with transformers' own Trainer."""
    args = transformers.TrainingArguments(
        folder,
        per_device_train_batch_size=case.batch,
        num_train_epochs=2,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=ON_GPU,
        use_cpu=not ON_GPU,
        dataloader_pin_memory=ON_GPU,
    )
    collator = transformers.DataCollatorWithPadding(
        transformers.BertTokenizer(), padding="max_length" if padding == "max" else True, max_length=case.longest
    )
    rows = [{"input_ids": row["input_ids"].tolist(), "labels": row["labels"]} for row in case.rows]
    clock = Clock(case.steps, epochs=2)
    trainer = transformers.Trainer(case.model(), args, train_dataset=rows, data_collator=collator, callbacks=[clock])
    trainer.train()
    return clock.ended - clock.begun, clock


RUNS = {
    "hfcls": lambda case, folder: ours(case, folder, ""),
    "hfcls, compiled": lambda case, folder: ours(case, folder, "--torch_compile True"),
    "hfcls, not recorded": lambda case, folder: ours(case, folder, "--cuda_graphs False"),
    "hfcls, padding-free": lambda case, folder: ours(case, folder, "--padding_free"),
    "bare loop": bare,
    "Trainer, dynamic": lambda case, folder: theirs(case, folder, "dynamic"),
    "Trainer, max": lambda case, folder: theirs(case, folder, "max"),
}


def measured(case: Case, how: str, rate: float) -> tuple[list[str], float]:
    """A row of the table, and rows a second."""
    if ON_GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        seconds, clock = RUNS[how](case, folder)
    rows = len(case.rows) / seconds
    flops = case.flops / seconds
    cells = [case.name, str(case.batch), how, f"{1000 * seconds / case.steps:.1f}", f"{rows:,.0f}"]
    cells += [f"{case.tokens / seconds:,.0f}" if case.tokens else "–"]
    cells += [f"{flops / 1e12:.1f}", f"{flops / rate:.1%}"] if case.flops else ["–", "–"]
    cells += ["–", "–"] if clock is None else [f"{clock.counted(names):.0f}" for names in (LAUNCHES, WAITS)]
    cells += [f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if ON_GPU else "–"]
    return cells, rows


def same_losses(case: Case, flags: str) -> float:
    """The largest difference between losses with `flags` and without, over all steps."""
    curves = []
    for given in ("--cuda_graphs False", flags):
        transformers.set_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            trainer = our_trainer(case, folder, f"--logging_steps 1 {given}")
            trainer.train()
        curves.append(torch.tensor([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]))
    return (curves[0] - curves[1]).abs().max().item()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--seconds", type=int, default=420, help="what begins later than this is left out, and said")
    parser.add_argument("--output", default="BENCHMARK.md")
    options = parser.parse_args(argv)
    begun = time.monotonic()
    rate = matrix_rate(128 if options.tiny else 8192)
    device = torch.cuda.get_device_name() if ON_GPU else "a CPU"
    lines = [f"{device}, torch {torch.__version__}, matrix products in bf16: {rate / 1e12:.0f} TFLOP/s", ""]
    lines += [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    ratios, left_out = [], []
    for case in gpu_models.cases(options.tiny):
        if options.only.lower() not in case.name.lower():
            continue
        speeds = {}
        for how in case.runs:
            if time.monotonic() - begun > options.seconds:
                left_out.append(f"{case.name}, {how}")
                continue
            cells, speeds[how] = measured(case, how, rate)
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
        best = max((speed for how, speed in speeds.items() if how.startswith("hfcls")), default=0.0)
        others = [f"{best / speed:.2f} × {how}" for how, speed in speeds.items() if not how.startswith("hfcls")]
        ratios += [f"- {case.name}: {', '.join(others)}"] if others and best else []
    lines += ["", "The fastest of ours against the others:", "", *ratios, ""]
    if options.only.lower() in "predict":
        lines += gpu_models.predict_lines(options.tiny)
    differences = {flags: same_losses(gpu_models.checked(options.tiny), flags) for flags in COMPARED}
    lines += ["", *(f"losses with {flags} and without differ by {value:.1e}" for flags, value in differences.items())]
    lines += [f"left out after {options.seconds} s: {'; '.join(left_out)}"] if left_out else []
    print("\n".join(["", *lines]))
    Path(options.output).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(max(differences.values()) > 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
