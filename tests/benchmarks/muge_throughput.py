"""Pairs per second of contrastive training: the recipe against a bare loop, and ChineseCLIPModel against cn-clip.

    python tests/benchmarks/muge_throughput.py recipe     the Trainer with its collator against the same tensors, ready
    python tests/benchmarks/muge_throughput.py overlap    an epoch over JPEG files, decoded by workers and without any
    python tests/benchmarks/muge_throughput.py cn-clip    one step of cn-clip's model.py against one of ours, ViT-B/16

By turns in one process, so that the ratios hold on a busy machine. `overlap` wants a core that the model leaves free
(OMP_NUM_THREADS=1 on two). The last needs cn-clip (pip install --no-deps cn-clip six) and 6 GB of memory; it computes
in float32 and, where the processor has bfloat16, in that as well. cn-clip fills every caption up to 52 tokens; ours is
cut to the longest of its batch, captions being as long as MUGE's.
"""

import argparse
import base64
import io
import itertools
import json
import logging
import statistics
import sys
import tempfile
import time
import types
from pathlib import Path

import datasets
import numpy as np
import torch
import transformers
from PIL import Image, ImageFilter
from torch.nn.functional import cross_entropy
from transformers import ChineseCLIPConfig, ChineseCLIPModel

sys.path.insert(0, str(Path(__file__).parents[2]))
from hfcls.retrieval import build as retrieval  # noqa: E402
from hfcls.retrieval import rows as pairs  # noqa: E402
from hfcls.retrieval.arguments import RetrievalArguments  # noqa: E402
from hfcls.retrieval.contrastive import contrastive_loss  # noqa: E402
from hfcls.retrieval.corpus import load_retrieval_corpus  # noqa: E402
from hfcls.retrieval.trainer import RetrievalTrainer  # noqa: E402
from hfcls.training.arguments import parse  # noqa: E402

BATCH_SIZE = 64
CAPTION_LENGTHS = (6, 20)  # tokens with [CLS] and [SEP]; MUGE's queries have some ten characters


class Clock(transformers.TrainerCallback):
    """When each step began, from the second on, without what Trainer prepares; and when the last one ended."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.times = []

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step >= 1:
            self.times.append(time.perf_counter())

    def on_train_end(self, args, state, control, **kwargs):
        self.times.append(time.perf_counter())


def rate(times: list[float]) -> float:
    """Pairs per second of the median step: what else a busy machine does makes single steps twice as long."""
    return BATCH_SIZE / statistics.median(np.diff(times))


def build(folder: str, steps: int, workers: int, data_dir: str | None) -> tuple[RetrievalTrainer, Clock]:
    """The Trainer of the recipe, of a model from scratch, as it is for `steps` steps after the first."""
    flags = f"--from_scratch mini --max_steps {steps + 1} --eval_strategy no --save_strategy no --bf16 False"
    flags += f" --per_device_train_batch_size {BATCH_SIZE} --learning_rate 1e-3 --disable_tqdm True"
    flags += f" --dataloader_num_workers {workers} --logging_steps {steps + 2} --output_dir {folder}/out"
    argv = flags.split() + (["--data_dir", data_dir] if data_dir else [])
    arguments, training_args = parse(
        RetrievalArguments, task="muge_clip", description="", defaults=lambda given: {}, argv=argv
    )
    corpus = load_retrieval_corpus(arguments, training_args)
    setup = retrieval.build(arguments, training_args, corpus, default="")
    trainer, clock = setup.build_trainer(arguments, training_args), Clock()
    trainer.add_callback(clock)
    return trainer, clock


def recipe(options: argparse.Namespace) -> None:
    """The Trainer as the recipe runs it on small pictures, against a loop over batches that are tensors already."""
    ratios = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            trainer, clock = build(folder, options.steps, 0, options.data_dir)
            batches = list(itertools.islice(trainer.get_train_dataloader(), options.steps + 1))
            bare = bare_loop(trainer.model, trainer.relations, batches)
            trainer.train()
            ours = rate(clock.times[:-1])
        ratios.append(ours / bare)
        print(f"bare loop {bare:7.1f} pairs/s, recipe {ours:7.1f}: {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} (at least 0.95)")
    sys.exit(statistics.median(ratios) < 0.95)


def bare_loop(model: ChineseCLIPModel, relations, batches: list[dict]) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    model.train()
    times = []
    for batch in batches:
        times.append(time.perf_counter())
        positives = relations(batch["image_rows"][:, None], batch["wordings"][None])
        outputs = model(batch["input_ids"], batch["pixel_values"], batch["attention_mask"])
        loss = contrastive_loss(outputs.image_embeds, outputs.text_embeds, model.logit_scale, positives)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return rate(times[1:])


def overlap(options: argparse.Namespace) -> None:
    """How much of the time that decoding takes is hidden behind the model: all of it, if there are cores enough."""
    hidden = []
    pairs.KEPT_BYTES = 0  # as for a large corpus
    with tempfile.TemporaryDirectory() as folder:
        datasets.config.HF_DATASETS_CACHE = Path(folder) / "cache"
        write_jpegs(Path(folder) / "corpus", (options.steps + 1) * BATCH_SIZE, options.side)
        for number in range(options.rounds):
            seconds = {}
            for workers in (0, options.workers):
                trainer, clock = build(f"{folder}/{number}/{workers}", options.steps, workers, f"{folder}/corpus")
                if workers == 0:
                    begun = time.perf_counter()
                    decoded = sum(len(batch["pixel_values"]) for batch in trainer.get_train_dataloader())
                    decoding = (time.perf_counter() - begun) * options.steps * BATCH_SIZE / decoded
                trainer.train()
                seconds[workers] = clock.times[-1] - clock.times[0]
            hidden.append((seconds[0] - seconds[options.workers]) / decoding)
            times = ", ".join(f"{value:.2f} s with {workers} workers" for workers, value in seconds.items())
            print(f"decoding alone {decoding:.2f} s, the epoch {times}: {hidden[-1]:.0%} of the decoding hidden")
    print(f"median {statistics.median(hidden):.0%} (at least 70 %)")
    sys.exit(statistics.median(hidden) < 0.7)


def write_jpegs(folder: Path, count: int, side: int) -> None:
    """A corpus of pictures with shapes and noise, `side` pixels wide and high, each with a text."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for split, pictures in (("train", count), ("valid", 2), ("test", 2)):
        with (folder / f"{split}_imgs.tsv").open("w") as images, (folder / f"{split}_texts.jsonl").open("w") as texts:
            for number in range(pictures):
                coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((side, side))
                fine = Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))
                content = io.BytesIO()
                Image.blend(coarse, fine.filter(ImageFilter.BoxBlur(1)), 0.3).save(content, "JPEG", quality=90)
                images.write(f"{number}\t{base64.b64encode(content.getvalue()).decode()}\n")
                row = {"text_id": number, "text": f"第{number}张图片", "image_ids": [number]}
                texts.write(json.dumps(row) + "\n")


def against_cn_clip(options: argparse.Namespace) -> None:
    """Forward, loss, backward and AdamW of both models on the same random pictures and captions."""
    rows = options.batch_size
    random = torch.Generator().manual_seed(0)
    pictures = torch.randn(rows, 3, 224, 224, generator=random)
    lengths = torch.randint(*CAPTION_LENGTHS, (rows,), generator=random)
    ids = torch.randint(1000, 20000, (rows, 52), generator=random)
    ids[torch.arange(52) >= lengths[:, None]] = 0
    cut = ids[:, : int(lengths.max())]
    mask = (cut != 0).long()
    target = torch.arange(rows)

    theirs, ours = cn_clip_model(), chinese_clip_model()

    def loss_of_theirs():
        images, texts, scale = theirs(pictures, ids)
        logits = scale * images @ texts.T
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2

    def loss_of_ours():
        outputs = ours(cut, pictures, mask)
        positives = torch.eye(rows, dtype=torch.bool)
        return contrastive_loss(outputs.image_embeds.float(), outputs.text_embeds.float(), ours.logit_scale, positives)

    capabilities = torch.cpu.get_capabilities()
    types_ = [torch.float32] + [torch.bfloat16] * bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True) for model in (theirs, ours)]
    for dtype in types_:
        speeds = ([], [])
        for number in range(options.steps + 1):
            for speed, optimizer, loss in zip(speeds, optimizers, (loss_of_theirs, loss_of_ours), strict=True):
                begun = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                    value = loss()
                value.backward()
                optimizer.step()
                optimizer.zero_grad()
                if number:  # the first is warm-up
                    speed.append(rows / (time.perf_counter() - begun))
        there, here = map(statistics.median, speeds)
        print(
            f"{dtype}: cn-clip {there:.2f} pairs/s, ChineseCLIPModel {here:.2f}: {here / there:.2f} x (at least 1.15)"
        )


def chinese_clip_model() -> ChineseCLIPModel:
    config = ChineseCLIPConfig(vision_config={"patch_size": 16}, text_config={"vocab_size": 21128})
    return ChineseCLIPModel(config).train()


def cn_clip_model() -> torch.nn.Module:
    """cn-clip's ViT-B/16 with RoBERTa-base. Of torchvision, its package imports five names that no model needs."""
    transforms = types.ModuleType("torchvision.transforms")
    for name in ("Compose", "ToTensor", "Normalize", "Resize", "InterpolationMode"):
        setattr(transforms, name, object)
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision"].transforms = sys.modules["torchvision.transforms"] = transforms
    from cn_clip.clip.model import CLIP

    text = {
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": 768,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "type_vocab_size": 2,
    }
    return CLIP(
        embed_dim=512,
        image_resolution=224,
        vision_layers=12,
        vision_width=768,
        vision_patch_size=16,
        vocab_size=21128,
        **{f"text_{name}": value for name, value in text.items()},
    ).train()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["recipe", "overlap", "cn-clip"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="recipe, overlap: how often both are timed")
    parser.add_argument("--workers", type=int, default=2, help="overlap: processes that decode")
    parser.add_argument("--side", type=int, default=800, help="overlap: of the pictures, in pixels")
    parser.add_argument("--data_dir", help="recipe: a corpus instead of the generated sample")
    parser.add_argument("--batch_size", type=int, default=8, help="cn-clip: pairs of a step")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    np.random.seed(0)
    {"recipe": recipe, "overlap": overlap, "cn-clip": against_cn_clip}[options.what](options)


if __name__ == "__main__":
    main()
