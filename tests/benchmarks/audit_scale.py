"""Time and memory of `hfcls check` on a generated table, and how much of what was planted in it is found.

    python tests/benchmarks/audit_scale.py                  # a million rows of some 20 characters
    python tests/benchmarks/audit_scale.py --rows 100000

Rows are drawn from 4,000 characters as frequent as Zipf's law says, those of a class from an order of its own. One row
in fifty repeats another one, one in fifty is another one with one or two characters replaced, inserted or deleted.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

CLASSES, CHARACTERS = 10, 4000


def generate(path: Path, rows: int) -> dict[str, int]:
    """Writes the table; returns the number of rows planted of each kind."""
    random = np.random.default_rng(42)
    frequency = 1 / np.arange(1, CHARACTERS + 1)
    frequency /= frequency.sum()
    orders = [random.permutation(CHARACTERS) for _ in range(CLASSES)]
    labels = random.integers(CLASSES, size=rows)
    lengths = random.normal(20, 4, size=rows).round().clip(12, 40).astype(int)
    ranks = iter(np.split(random.choice(CHARACTERS, size=lengths.sum(), p=frequency), np.cumsum(lengths)[:-1]))
    texts = ["".join(map(chr, 0x4E00 + orders[label][rank])) for label, rank in zip(labels, ranks, strict=True)]
    places = random.permutation(rows)
    copies, edits, sources = np.split(places[: rows // 50 * 3], 3)
    for copy, source in zip(copies, sources, strict=True):
        texts[copy], labels[copy] = texts[source], labels[source]
    for copy, source in zip(edits, sources, strict=True):
        texts[copy], labels[copy] = edit(texts[source], random), labels[source]
    with open(path, "w", encoding="utf-8") as file:
        file.write("text,label\n")
        file.writelines(f"{text},{label}\n" for text, label in zip(texts, labels, strict=True))
    return {"copies": len(copies), "edits": len(edits)}


def edit(text: str, random: np.random.Generator) -> str:
    for _ in range(random.integers(1, 3)):
        place, new = int(random.integers(len(text))), chr(0x4E00 + int(random.integers(CHARACTERS)))
        kind = random.integers(3)
        text = text[:place] + (new if kind != 2 else "") + text[place + (kind != 1) :]
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, page = Path(folder, "rows.csv"), Path(folder, "audit.html")
        with ProcessPoolExecutor(1) as pool:  # or what it takes would count as that of the process that is measured
            planted = pool.submit(generate, table, options.rows).result()
        begun = time.perf_counter()
        command = [sys.executable, "-m", "hfcls.cli", "check", str(table), "--output", str(page)]
        _, status, usage = os.wait4(os.posix_spawn(sys.executable, command, os.environ), 0)
        if code := os.waitstatus_to_exitcode(status):
            sys.exit(f"exit code {code}")
        seconds = time.perf_counter() - begun
        findings = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["findings"]
    print(f"\n{options.rows:,} rows: {seconds:.0f} s, {usage.ru_maxrss * 1024 / 1e9:.3f} GB at most (ru_maxrss)")
    found = findings["duplicate"]["found"], findings["near_duplicate"]["found"]
    print(
        f"copies: {planted['copies']:,} planted, {found[0]:,} found; edited: {planted['edits']:,}, {found[1]:,} pairs"
    )


if __name__ == "__main__":
    main()
