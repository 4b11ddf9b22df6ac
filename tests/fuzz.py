"""Mutated files: each is read with the same rows by training, predict and check, or refused in one line by them.

`python -m tests.fuzz 20000` tries so many, `python -m tests.fuzz 20000 500` others, from seed 500 on;
`tests/data/test_mutations.py` tries some.
"""

import random
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.data.test_one_reader import SAME, checked, predicted, trained

SPLICES = [
    b'"',
    b"\t",
    b",",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"[",
    b"{",
    b"\\ud83d",
    b"\xff",
    b"\xe9",
    b"\xef\xbb\xbf",
    b"null",
    b"-1",
]


def mutated(seed: int) -> tuple[str, bytes]:
    """The name of a file, and its content with one to three changes."""
    draw = random.Random(seed)
    name = draw.choice(sorted(SAME))
    content = bytearray(SAME[name])
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([0, 0, 1, 1, 4, 40]))
        kind = draw.choice(["splice", "drop", "double", "flip", "cut"])
        if kind == "splice":
            content[start:end] = draw.choice(SPLICES)
        elif kind == "drop":
            del content[start:end]
        elif kind == "double":
            content[start:start] = content[start:end]
        elif kind == "flip" and content:
            content[min(start, len(content) - 1)] ^= 1 << draw.randrange(8)
        elif draw.random() < 0.2:
            del content[start:]
    return name, bytes(content)


def fault(path: Path) -> str | None:
    """What is wrong with how the three read the file `path`; None where nothing is."""
    answers = []
    for read in (trained, checked, predicted):
        try:
            answers.append(read(path)[0])
        except ValueError as error:
            answers.append(str(error))
        except Exception:  # whatever it is, it is a fault
            return f"{read.__name__}: {traceback.format_exc()}"
    for answer in answers:
        if isinstance(answer, str) and ("\n" in answer or len(answer) > 1000 or str(path.parent) not in answer):
            return f"no line that names the file: {answer}"
    of_training, *others = answers
    others = [answer for answer in others if not isinstance(answer, str)]
    if len(others) == 2 and others[0] != others[1]:
        return f"other rows: {answers}"
    if others and not isinstance(of_training, str) and not is_within(of_training, others[0]):
        return f"other rows in training: {answers}"
    return None


def is_within(some: list[str], rows: list[str]) -> bool:
    """Whether `some` are of `rows`, in their order: training leaves out rows without a label."""
    rest = iter(rows)
    return all(any(row == wanted for row in rest) for wanted in some)


def faults(seeds: range, folder: Path) -> Iterator[tuple[int, str, str]]:
    for seed in seeds:
        name, content = mutated(seed)
        path = folder / name
        path.write_bytes(content)
        found = fault(path)
        path.unlink()
        if found is not None:
            yield seed, name, found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        count, first = (*map(int, sys.argv[1:]), 0)[:2]
        for seed, name, found in faults(range(first, first + count), Path(folder)):
            print(seed, name, found, flush=True)
