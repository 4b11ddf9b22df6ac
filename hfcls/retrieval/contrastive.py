"""The contrastive loss of CLIP over the batches of all processes."""

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F

MAX_LOGIT_SCALE = math.log(100)  # of the logarithm that is learned (Radford et al. 2021, section 2.5)


def contrastive_loss(
    image_features: torch.Tensor, text_features: torch.Tensor, logit_scale: torch.Tensor, positives: torch.Tensor
) -> torch.Tensor:
    """Mean cross entropy of finding the text of each picture and the picture of each text.

    A row with several positives has its target spread evenly over them (Khosla et al. 2020, Yang et al. 2022), so none
    is another's negative. With one positive a row, this is CLIP's loss (Radford et al. 2021).

    Args:
        image_features, text_features: (B, D), of unit length.
        logit_scale: the logarithm of the factor of the cosines, as ChineseCLIPModel keeps it.
        positives: (B, B) bool, whether the text of a column describes the picture of a row.
    """
    logits = logit_scale.exp() * image_features @ text_features.T
    return (_soft_cross_entropy(logits, positives) + _soft_cross_entropy(logits.T, positives.T)) / 2


def _soft_cross_entropy(logits: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, positives / positives.sum(dim=1, keepdim=True))


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all processes.

    Every process computes the same loss of the same rows, so each knows the gradient of its own without asking. It is
    multiplied by the number of processes because DistributedDataParallel divides the sum of their gradients by it.
    """

    @staticmethod
    def forward(ctx, rows):
        of_processes = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(of_processes, rows.contiguous())
        ctx.own = slice(dist.get_rank() * len(rows), (dist.get_rank() + 1) * len(rows))
        return torch.cat(of_processes)

    @staticmethod
    def backward(ctx, gradient):
        return gradient[ctx.own] * dist.get_world_size()


def gather(rows: torch.Tensor) -> torch.Tensor:
    """The rows (B, …) of all processes one after the other, (processes * B, …), with gradients; each has B."""
    return _Gather.apply(rows) if dist.is_available() and dist.is_initialized() else rows


class RandomState:
    """The state of the generators that dropout and masking draw from, to draw the same again."""

    def __init__(self, device: torch.device):
        self.device = device
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


def mask_patches(embeddings: torch.nn.Module, share: float) -> None:
    """Makes `embeddings`, whose output is (B, 1 + patches, D), leave out a random `share` of the patches in training.

    The class token stays. Li et al. 2023, "Scaling Language-Image Pre-training via Masking" (FLIP).
    """

    def drop(module, inputs, output):
        if not module.training:
            return output
        rows, tokens, width = output.shape
        kept = max(1, round((tokens - 1) * (1 - share)))
        order = torch.rand(rows, tokens - 1, device=output.device).argsort(dim=1)[:, :kept] + 1
        patches = output.gather(1, order.unsqueeze(2).expand(-1, -1, width))
        return torch.cat([output[:, :1], patches], dim=1)

    embeddings.register_forward_hook(drop)
