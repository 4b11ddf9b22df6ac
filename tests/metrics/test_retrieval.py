import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from hfcls.metrics.retrieval import recall, search

ALL_SCORES = 30_000 * 5_000 * 4 / 2**20  # MB, of every picture with every text
MEMORY = """
import pathlib, re, torch
from hfcls.metrics.retrieval import recall, search

def peak():  # not getrusage's, which begins with what the parent process holds
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) / 2**10

torch.set_num_threads(1)
images, texts = (torch.nn.functional.normalize(torch.randn(rows, 64), dim=1) for rows in (30_000, 5_000))
search(texts[:2], images[:20])
before = peak()
for queries, pool in ((texts, images), (images, texts)):
    found = search(queries, pool)
    assert found.shape == (len(queries), 10)
    recall(found == torch.arange(len(queries))[:, None])
searched = peak() - before
(texts @ images.T).sum()
print(searched, peak() - before)
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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read as Linux tells it")
def test_a_large_pool_takes_little_memory():
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # what is freed is given back, not kept in pieces
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, env=environment)
    searched, all_scores = map(float, done.stdout.split())
    assert searched < ALL_SCORES / 3
    assert all_scores > ALL_SCORES * 0.9  # so it is seen when someone takes as much
