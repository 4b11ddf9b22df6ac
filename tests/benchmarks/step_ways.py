"""What a training step of BERT-base would win on a GPU by ways that hfcls does not go: see recipes/speed.md.

    python tests/benchmarks/step_ways.py           # on a GPU, two minutes, most of them compiling
    python tests/benchmarks/step_ways.py --tiny    # on a CPU, a model of toy size: that the script runs

A step is forward and backward pass in bf16, recorded as a CUDA graph, clipping and AdamW, on 32 rows of random tokens
of nearly one length. Each way adds to the one above. Share is as in gpu.py: multiply-adds for the tokens themselves,
against the rate at which the GPU multiplies matrices.
"""

import argparse
from contextlib import nullcontext
from dataclasses import dataclass, replace
from unittest.mock import patch

import torch
from accelerate.utils import compile_regions
from gpu import ON_GPU, matrix_rate, now
from gpu_models import encoder_flops
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import layer_norm, linear
from transformers import BertConfig, BertForSequenceClassification
from transformers.models.bert import modeling_bert

from hfcls.models.attention import use_given_masks

DEVICE = "cuda" if ON_GPU else "cpu"
ROWS, WARM_UPS = 32, 5


@dataclass
class Way:
    """How a step is computed; the fields are what the table of speed.md adds, from top to bottom."""

    name: str
    compiled: str | None = None  # dynamic: for all lengths, static: for this one
    one_product: bool = False  # of query, key and value
    half_norms: bool = False
    folded: bool = False  # clipping inside AdamW, gradients not copied
    dense: bool = False  # every row as long as the longest
    cudnn: bool = False
    dropout: float = 0.1
    width: int = 256


def ways() -> list[Way]:
    found = [Way("not compiled"), Way("compiled, all lengths", compiled="dynamic")]
    for name, added in (
        ("compiled, one length", {"compiled": "static"}),
        ("one product", {"one_product": True}),
        ("half norms", {"half_norms": True}),
        ("folded clipping", {"folded": True}),
        ("no padding", {"dense": True}),
        ("cuDNN's attention", {"cudnn": ON_GPU}),
        ("no dropout", {"dropout": 0.0}),
    ):
        found.append(replace(found[-1], name=name, **added))
    full = {"width": 512}
    return [*found, replace(found[1], name="512 tokens", **full), replace(found[-2], name="512, cuDNN", **full)]


def one_product(self, hidden_states, attention_mask=None, past_key_values=None, **options):
    """`BertSelfAttention.forward` with the weights of query, key and value as one matrix."""
    layers = self.query, self.key, self.value
    weight, bias = torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    shape = hidden_states.shape[:-1]
    parts = linear(hidden_states, weight, bias).view(*shape, 3, -1, self.attention_head_size).unbind(-3)
    attend = modeling_bert.ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, None)
    dropout = self.dropout.p if self.training else 0.0
    parts = (part.transpose(1, 2) for part in parts)
    output, _ = attend(self, *parts, attention_mask, dropout=dropout, scaling=self.scaling, **options)
    return output.reshape(*shape, -1).contiguous(), None


def half_norm(self, x):
    """`LayerNorm.forward` in bf16, which autocast computes in float32."""
    with torch.autocast(DEVICE, enabled=False):
        weight, bias = (part.to(torch.bfloat16) for part in (self.weight, self.bias))
        return layer_norm(x.to(torch.bfloat16), self.normalized_shape, weight, bias, self.eps)


def measured(way: Way, layers: int, hidden: int, repeats: int) -> tuple[float, float]:
    """Seconds of a step, and the floating-point operations that its tokens need."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    dropout = {"hidden_dropout_prob": way.dropout, "attention_probs_dropout_prob": way.dropout}
    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": 4 * hidden}
    config = BertConfig(**sizes, num_attention_heads=max(2, hidden // 64), **dropout)
    model = BertForSequenceClassification(config).to(DEVICE).train()
    use_given_masks(model)
    if way.compiled:
        model = compile_regions(model, dynamic=way.compiled == "dynamic")
    batch = {
        "input_ids": torch.randint(110, 30_000, (ROWS, way.width), device=DEVICE),
        "labels": torch.randint(0, 2, (ROWS,), device=DEVICE),
    }
    lengths = torch.linspace(way.width - 15 * (not way.dense), way.width, ROWS).long()
    if not way.dense:
        batch["attention_mask"] = (torch.arange(way.width) < lengths[:, None]).long().to(DEVICE)
    weights = list(model.parameters())
    kept = [torch.zeros_like(weight) for weight in weights]
    optimizer = torch.optim.AdamW(weights, lr=2e-5, fused=True)

    def compute() -> None:
        model.zero_grad()
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION) if way.cudnn else nullcontext():
            with torch.autocast(DEVICE, torch.bfloat16):
                loss = model(**batch).loss
            loss.backward()
        if not way.folded:
            torch._foreach_copy_(kept, [weight.grad for weight in weights])

    replay = recorded(compute) if ON_GPU else compute

    def step() -> None:
        replay()
        if way.folded:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm([weight.grad for weight in weights])))
            optimizer.grad_scale, optimizer.found_inf = norm.clamp(min=1.0), torch.zeros((), device=DEVICE)
        else:
            for weight, gradient in zip(weights, kept, strict=True):
                weight.grad = gradient
            nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()

    for _ in range(WARM_UPS):
        step()
    begun = now()
    for _ in range(repeats):
        step()
    return (now() - begun) / repeats, encoder_flops(lengths.numpy(), layers, hidden, 4 * hidden)


def recorded(compute):
    """The replay of a CUDA graph of `compute`."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compute()
    return graph.replay


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args(argv)
    layers, hidden, repeats = (1, 32, 1) if options.tiny else (12, 768, 40)
    rate = matrix_rate(128 if options.tiny else 8192)
    print(f"matrix products in bf16: {rate / 1e12:.0f} TFLOP/s\n\n| | ms a step | Share |\n|---|---:|---:|")
    for way in ways():
        if options.tiny:
            way = replace(way, width=way.width // 16, compiled=None)
        attention = patch.object(modeling_bert.BertSelfAttention, "forward", one_product)
        norms = patch.object(nn.LayerNorm, "forward", half_norm)
        with attention if way.one_product else nullcontext(), norms if way.half_norms else nullcontext():
            seconds, flops = measured(way, layers, hidden, repeats)
        print(f"| {way.name} | {1000 * seconds:.1f} | {flops / seconds / rate:.1%} |", flush=True)


if __name__ == "__main__":
    main()
