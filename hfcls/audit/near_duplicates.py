"""Near duplicates: texts of which a few characters were changed.

MinHash signatures of character n-grams (Broder 1997; computed by rensa), cut into bands whose equality makes two texts
candidates (Indyk and Motwani 1998; Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, chapter 3); every candidate
is then compared exactly. The bands are sorted arrays of all texts at once: a library's index gives every text all those
in its buckets, which are millions of pairs where many texts follow one template.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

import numpy as np

from hfcls.audit.flat import Example, Finding, FlatCorpus
from hfcls.audit.stored_texts import StoredTexts, store_texts
from hfcls.data.repetition import present
from hfcls.data.stored_rows import cache_folder

SIMILARITY = 0.5  # Jaccard similarity of the n-grams from which two texts are near duplicates
SHORTEST = 8  # characters; of shorter texts a single edit changes too much. Of 20 characters, three may be edited
SHORT = 100  # characters; n-grams are pairs where the median text is shorter than this, five characters otherwise
BANDS, ROWS = 40, 3  # a pair at the threshold becomes a candidate with probability 1 - (1 - 0.5³)⁴⁰ = 0.995
BUCKET = 128  # how many texts that follow it in the same bucket a text is compared with
CHUNK = 1 << 20  # characters whose n-grams are hashed at once: as Python objects they take 100 bytes each
PAIRS = 1 << 16  # candidates whose signatures are compared at once
EXAMPLES = 20


def near_pairs(texts: Sequence[str] | StoredTexts) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of `texts` whose Jaccard similarity is at least `SIMILARITY`.

    Args:
        texts: distinct and normalised.

    Returns:
        (pairs, 2) places in `texts`, the smaller one first, and (pairs,) their similarities.
    """
    lengths = np.array([len(text) for text in texts])
    long_enough = np.flatnonzero(lengths >= SHORTEST)
    if len(long_enough) < 2:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    size = 2 if np.median(lengths[long_enough]) < SHORT else 5
    signatures, done = _on_disk((BANDS, len(long_enough), ROWS)), 0
    for part in _parts(long_enough, lengths[long_enough]):
        banded = _signatures([texts[i] for i in part.tolist()], size).reshape(len(part), BANDS, ROWS)
        signatures[:, done : done + len(part)] = banded.swapaxes(0, 1)
        done += len(part)
    found: dict[tuple[int, int], float] = {}
    for one, other in _candidates(signatures):
        pair = int(long_enough[one]), int(long_enough[other])
        if pair not in found:
            found[pair] = _jaccard(texts[pair[0]], texts[pair[1]], size)
    pairs = sorted(pair for pair, similarity in found.items() if similarity >= SIMILARITY)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array([found[pair] for pair in pairs])


def find_near_duplicates(corpus: FlatCorpus, normal: np.ndarray, texts: Iterable[str]) -> Finding:
    """Near duplicates within splits and across them; `normal` (rows,) are the `text_keys` of `texts` (rows,), which are
    normalised.
    """
    keys, first = np.unique(normal, return_index=True)
    distinct = np.zeros(len(normal), dtype=bool)
    distinct[first] = True  # in the order of `keys`, which number the texts as they first occur
    pairs, similarities = near_pairs(store_texts(compress(texts, distinct)))
    pairs = keys[pairs]
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
    first_row = np.zeros(int(normal.max()) + 1, dtype=np.int64)
    first_row[keys] = first
    return Finding(
        name="near_duplicate",
        title="Near duplicates",
        found=len(pairs),
        summary=f"{len(pairs):,} pairs of texts: {'; '.join([within, *across])}",
        explanation=f"Different texts whose character n-grams agree to {SIMILARITY:.0%} or more (Jaccard similarity, "
        "normalised texts): copies that were edited, and templates. Pairs under two labels come first.",
        numbers={"pairs": len(pairs), **numbers},
        examples=_examples(corpus, first_row[pairs], similarities),
        rows=np.flatnonzero(marked[corpus.split_ids, normal]),
    )


def _parts(rows: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """`rows` cut where their characters reach a multiple of CHUNK."""
    return np.split(rows, np.flatnonzero(np.diff(np.cumsum(lengths) // CHUNK)) + 1)


def _on_disk(shape: tuple[int, ...]) -> np.ndarray:
    """An empty array of uint32 in a file, which is there as long as the array."""
    with tempfile.TemporaryFile(dir=cache_folder()) as file:
        return np.memmap(file, dtype=np.uint32, mode="w+", shape=shape)


def _signatures(texts: list[str], size: int) -> np.ndarray:
    """(texts, BANDS * ROWS) uint32 MinHash signatures; of two texts, the share that is equal estimates the Jaccard
    similarity of their n-grams.
    """
    from rensa import RMinHash

    grams = [[text[i : i + size].encode(errors="surrogatepass") for i in range(len(text) - size + 1)] for text in texts]
    digests = RMinHash.digest_matrix_from_token_byte_sets(grams, num_perm=BANDS * ROWS, seed=42)
    return np.array(digests.to_rows(), dtype=np.uint32).reshape(-1, BANDS * ROWS)


def _candidates(signatures: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs of rows, the smaller first, that share a band and nearly as many hashes as near duplicates do.

    `signatures` are (BANDS, rows, ROWS): a band is read from one place of the file.
    """
    enough = (SIMILARITY - 0.14) * BANDS * ROWS  # three standard deviations of the estimate below the threshold
    for band in signatures:
        key = band[:, 0].astype(np.uint64)
        for column in range(1, ROWS):
            key = (key ^ (key >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + band[:, column]
        order = np.argsort(key, kind="stable")
        key = key[order]
        for distance in range(1, BUCKET + 1):
            same = np.flatnonzero(key[:-distance] == key[distance:])
            if not len(same):
                break
            for part in np.split(same, range(PAIRS, len(same), PAIRS)):
                one, other = order[part], order[part + distance]
                alike = (signatures[:, one] == signatures[:, other]).sum(axis=(0, 2)) >= enough
                yield from zip(one[alike].tolist(), other[alike].tolist(), strict=True)


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
