"""Searching a pool by cosine, and how often that finds what is wanted."""

import torch

from hfcls.metrics.pairs import KS

QUERIES, POOL = 1024, 8192  # searched at once: 32 MB of scores


def search(queries: torch.Tensor, pool: torch.Tensor, k: int = max(KS)) -> torch.Tensor:
    """Rows of the `k` features of `pool` (P, D) nearest to each of `queries` (Q, D), (Q, min(k, P)), nearest first.

    Both are of unit length. Memory grows with Q + P, not with Q * P.
    """
    k = min(k, len(pool))
    found = []
    for some in queries.split(QUERIES):
        scores = torch.empty(len(some), 0, device=pool.device)
        rows = torch.empty(len(some), 0, dtype=torch.long, device=pool.device)
        for start in range(0, len(pool), POOL):
            part = some @ pool[start : start + POOL].T
            best = part.topk(min(k, part.shape[1]), dim=1)
            scores = torch.cat([scores, best.values], dim=1)
            rows = torch.cat([rows, best.indices + start], dim=1)
            best = scores.topk(min(k, scores.shape[1]), dim=1)
            scores, rows = best.values, rows.gather(1, best.indices)
        found.append(rows)
    return torch.cat(found)


def recall(hits: torch.Tensor) -> dict[str, float]:
    """`recall_at_1`, `_5` and `_10` and their mean, of `hits` (Q, found) bool: whether what was found is wanted.

    The share of queries with a hit among the first k; as cn-clip's `eval/evaluation.py` counts it.
    """
    values = {f"recall_at_{k}": hits[:, :k].any(dim=1).double().mean().item() for k in KS}
    return values | {"mean_recall": sum(values.values()) / len(KS)}
