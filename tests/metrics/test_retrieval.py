import subprocess
import sys

import numpy as np
import torch
from torch.nn.functional import normalize

from hfcls.metrics.retrieval import recall, search

MEMORY = """
import resource, torch
from hfcls.metrics.retrieval import recall, search
torch.set_num_threads(1)
images, texts = (torch.nn.functional.normalize(torch.randn(rows, 64), dim=1) for rows in (30_000, 5_000))
for queries, pool in ((texts, images), (images, texts)):
    found = search(queries, pool)
    assert found.shape == (len(queries), 10)
    recall(found == torch.arange(len(queries))[:, None])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def test_search_against_brute_force():
    random = torch.Generator().manual_seed(0)
    queries, pool = (normalize(torch.randn(1000, 32, generator=random), dim=1) for _ in range(2))
    scores = queries.numpy() @ pool.numpy().T
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(search(queries, pool).numpy(), expected)

    wanted = torch.rand(1000, 1000, generator=random) < 0.01
    hits = wanted.gather(1, torch.from_numpy(expected))
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    for k in (1, 5, 10):
        share = np.mean([(ranks[row][wanted[row].numpy()] < k).any() for row in range(1000)])
        assert recall(hits)[f"recall_at_{k}"] == share
    assert recall(hits)["mean_recall"] == np.mean([recall(hits)[f"recall_at_{k}"] for k in (1, 5, 10)])


def test_search_in_parts(monkeypatch):
    random = torch.Generator().manual_seed(1)
    queries, pool = (normalize(torch.randn(rows, 16, generator=random), dim=1) for rows in (50, 70))
    whole = search(queries, pool)
    monkeypatch.setattr("hfcls.metrics.retrieval.QUERIES", 7)
    monkeypatch.setattr("hfcls.metrics.retrieval.POOL", 6)  # less than what is looked for
    assert torch.equal(search(queries, pool), whole)
    assert search(queries, pool[:4]).shape == (50, 4)


def test_a_large_pool_takes_little_memory():
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2
