"""Near duplicates: texts of which a few characters were changed.

MinHash signatures of character n-grams (Broder 1997; computed by rensa), cut into bands whose equality makes two texts
candidates (Indyk and Motwani 1998; Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, chapter 3); every candidate
is then compared exactly. The bands are sorted arrays of all texts at once: a library's index gives every text all those
in its buckets, which are millions of pairs where many texts follow one template. Signatures and the keys of bands are
in files, which are read rather than mapped: what is compared lies all over them.
"""

import tempfile
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import BinaryIO

import numpy as np
import pandas

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.audit.stored_texts import TEXTS, store_texts
from hfcls.data.repetition import present
from hfcls.data.stored_rows import cache_folder

SIMILARITY = 0.5  # Jaccard similarity of the n-grams from which two texts are near duplicates
SHORTEST = 8  # characters; of shorter texts a single edit changes too much. Of 20 characters, three may be edited
SHORT = 100  # characters; n-grams are pairs where the median text is shorter than this, five characters otherwise
BANDS, ROWS = 40, 3  # a pair at the threshold becomes a candidate with probability 1 - (1 - 0.5³)⁴⁰ = 0.995
BUCKET = 128  # how many texts that follow it in the same bucket a text is compared with
CHUNK = 1 << 20  # characters whose n-grams are hashed at once: as Python objects they take 100 bytes each
HASHES = BANDS * ROWS  # of a signature, each an uint32
PAIRS = 1 << 14  # candidates whose signatures are compared at once, and then their texts
EXAMPLES = 20


def near_pairs(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of `texts` whose Jaccard similarity is at least `SIMILARITY`.

    Args:
        texts: distinct and normalised.

    Returns:
        (pairs, 2) places in `texts`, the smaller one first, and (pairs,) their similarities.
    """
    texts = store_texts(texts)
    lengths = np.fromiter(map(len, texts), dtype=np.int32, count=len(texts))
    long_enough = np.flatnonzero(lengths >= SHORTEST)
    if len(long_enough) < 2:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    size = 2 if np.median(lengths[long_enough]) < SHORT else 5
    found: dict[tuple[int, int], float] = {}
    with tempfile.TemporaryFile(dir=cache_folder()) as signatures, tempfile.TemporaryFile(dir=cache_folder()) as keys:
        done = 0
        for part in _parts(long_enough, lengths[long_enough]):
            _lay_down(_signatures(texts[part], size), signatures, keys, done, len(long_enough))
            done += len(part)
        for candidates in _candidates(signatures, keys, len(long_enough)):
            new = [pair for pair in map(tuple, long_enough[candidates].tolist()) if pair not in found]
            for start in range(0, len(new), TEXTS):
                part = new[start : start + TEXTS]
                one, other = (texts[np.array(rows)] for rows in zip(*part, strict=True))
                found |= zip(part, map(_jaccard, one, other, [size] * len(part)), strict=True)
    pairs = sorted(pair for pair, similarity in found.items() if similarity >= SIMILARITY)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array([found[pair] for pair in pairs])


def find_near_duplicates(corpus: FlatCorpus, normal: np.ndarray, texts: Iterable[str]) -> Finding:
    """Near duplicates within splits and across them; `normal` (rows,) are the `text_keys` of `texts` (rows,), which are
    normalised: numbers in the order in which they first occur.
    """
    distinct = ~pandas.Series(normal).duplicated().to_numpy()
    pairs, similarities = near_pairs(compress(texts, distinct))  # whose places are their keys
    found = present(normal, corpus.split_ids, len(corpus.splits))
    one, other = pairs.T
    numbers, marked = {}, np.zeros_like(found)
    for i, split in enumerate(corpus.splits):
        repeated = np.unique(other[found[i, one] & found[i, other]])
        marked[i, repeated] = True
        numbers[split] = len(repeated)
        for j in range(i + 1, len(corpus.splits)):
            # Both directions of a pair; what is exactly the same in both splits is leakage already.
            seen = np.concatenate([other[found[i, one] & found[j, other]], one[found[i, other] & found[j, one]]])
            source = np.concatenate([one[found[i, one] & found[j, other]], other[found[i, other] & found[j, one]]])
            marked[i, source] = True
            numbers[f"{split}/{list(corpus.splits)[j]}"] = int((~found[i, np.unique(seen)]).sum())
    within = ", ".join(f"{numbers[split]:,} in {split}" for split in corpus.splits)
    across = [
        f"{count:,} {name.partition('/')[2]} texts resemble {name.partition('/')[0]}"
        for name, count in numbers.items()
        if "/" in name
    ]
    return Finding(
        name="near_duplicate",
        title="Near duplicates",
        found=len(pairs),
        summary=f"{len(pairs):,} pairs of texts: {'; '.join([within, *across])}",
        explanation=f"Different texts whose character n-grams agree to {SIMILARITY:.0%} or more (Jaccard similarity, "
        "normalised texts): copies that were edited, and templates. Pairs under two labels come first.",
        numbers={"pairs": len(pairs), **numbers},
        examples=_examples(corpus, np.flatnonzero(distinct)[pairs], similarities),
        rows=np.flatnonzero(marked[corpus.split_ids, normal]),
    )


def _parts(rows: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """`rows` cut where their characters reach a multiple of CHUNK."""
    return np.split(rows, np.flatnonzero(np.diff(np.cumsum(lengths) // CHUNK)) + 1)


def _signatures(texts: Iterable[str], size: int) -> np.ndarray:
    """(texts, BANDS * ROWS) uint32 MinHash signatures; of two texts, the share that is equal estimates the Jaccard
    similarity of their n-grams.
    """
    from rensa import RMinHash

    grams = [[text[i : i + size].encode(errors="surrogatepass") for i in range(len(text) - size + 1)] for text in texts]
    digests = RMinHash.digest_matrix_from_token_byte_sets(grams, num_perm=HASHES, seed=42)
    return np.array(digests.to_rows(), dtype=np.uint32).reshape(-1, HASHES)


def _lay_down(found: np.ndarray, signatures: BinaryIO, keys: BinaryIO, first: int, rows: int) -> None:
    """Writes the signatures `found` of the texts from `first` on, one after another, and the keys of each band, of the
    `rows` texts that there are, side by side.
    """
    signatures.write(found.tobytes())
    bands = found.reshape(-1, BANDS, ROWS).astype(np.uint64)
    key = bands[..., 0]
    for hashed in range(1, ROWS):
        key = (key ^ (key >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + bands[..., hashed]
    for band in range(BANDS):
        keys.seek((band * rows + first) * key.itemsize)
        keys.write(key[:, band].tobytes())


def _candidates(signatures: BinaryIO, keys: BinaryIO, rows: int) -> Iterator[np.ndarray]:
    """(pairs, 2) rows, the smaller first, that share a band and nearly as many hashes as near duplicates do."""
    enough = (SIMILARITY - 0.14) * HASHES  # three standard deviations of the estimate below the threshold
    keys.seek(0)
    for _ in range(BANDS):
        key = np.frombuffer(keys.read(rows * 8), dtype=np.uint64)
        order = np.argsort(key, kind="stable")
        key = key[order]
        for distance in range(1, BUCKET + 1):
            same = np.flatnonzero(key[:-distance] == key[distance:])
            if not len(same):
                break
            for part in np.split(same, range(PAIRS, len(same), PAIRS)):
                pairs = np.stack([order[part], order[part + distance]], axis=1)
                compared, places = np.unique(pairs, return_inverse=True)
                one, other = _read(signatures, compared)[places.reshape(pairs.shape).T]
                yield pairs[(one == other).sum(axis=1) >= enough]


def _read(signatures: BinaryIO, rows: np.ndarray) -> np.ndarray:
    """(rows, HASHES) the signatures of `rows`."""
    found = np.empty((len(rows), HASHES), dtype=np.uint32)
    for place, row in enumerate(rows.tolist()):
        signatures.seek(row * found.strides[0])
        signatures.readinto(found[place])
    return found


def _jaccard(one: str, other: str, size: int) -> float:
    first = {one[i : i + size] for i in range(len(one) - size + 1)}
    second = {other[i : i + size] for i in range(len(other) - size + 1)}
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _examples(corpus: FlatCorpus, pairs: np.ndarray, similarities: np.ndarray) -> list[Example]:
    labels, splits = corpus.labels[pairs], corpus.split_ids[pairs]
    order = np.lexsort((-similarities, splits[:, 0] == splits[:, 1], labels[:, 0] == labels[:, 1]))[:EXAMPLES]
    return [
        Example(f"{similarities[i]:.0%} alike", [(corpus.where(row), corpus.excerpt(row)) for row in pairs[i]])
        for i in order
    ]
