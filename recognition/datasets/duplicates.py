"""Duplicate pictures: exact copies and near copies.

Exact copies have the same sha256. Near copies have perceptual hashes (256 bits) that differ in few bits. All pairs are
compared. 25,331 pictures are 321 million pairs, so NumPy's popcount compares blocks of pairs, and the last three
quarters of the hashes are compared only for pairs whose first quarter is close.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.components import connected

NEAR_DISTANCE: Final = 24
"""Most differing bits (of 256) of two near copies. See docs/data.md: on isic2019-subset every pair of different lesions
at 24 bits or less is one photograph twice (recoloured or recompressed); pictures of different lesions are 33 bits apart
or more."""

# One block of the comparison (64 x 2048 pairs of 8 bytes) fits into a core's cache.
_ROWS: Final = 64
_COLUMNS: Final = 2048
_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two near copies: their positions in the input (`first` < `second`), and the differing bits."""

    first: int
    second: int
    distance: int


def exact_copies(names: Sequence[str], digests: Sequence[str]) -> list[list[str]]:
    """Names that share a digest, each list sorted, in the order of its first name."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name, digest in zip(names, digests, strict=True):
        by_digest[digest].append(name)
    return sorted(sorted(group) for group in by_digest.values() if len(group) > 1)


@dataclass(frozen=True, slots=True)
class NearBlock:
    """Some near pairs as three arrays (N,): positions (`first` < `second`) and differing bits."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distance: NDArray[np.int64]


def near_pairs(hashes: Sequence[bytes], *, within: int = NEAR_DISTANCE) -> list[NearPair]:
    """Every pair of hashes (32 bytes each) that differs in at most `within` bits, nearest first.

    Returns all pairs in one list. Use `near_blocks` for a set that may hold thousands of copies of one picture.
    """
    found = [
        NearPair(int(a), int(b), int(bits))
        for block in near_blocks(hashes, within=within)
        for a, b, bits in zip(block.first, block.second, block.distance, strict=True)
    ]
    return sorted(found, key=lambda pair: (pair.distance, pair.first, pair.second))


def near_blocks(hashes: Sequence[bytes], *, within: int = NEAR_DISTANCE) -> Iterator[NearBlock]:
    """The near pairs, every pair once, in blocks of at most 131,072 pairs (3 MB)."""
    if len(hashes) < 2:
        return
    words: NDArray[np.uint64] = np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64).reshape(-1, _WORDS)
    leading = np.ascontiguousarray(words[:, 0])
    for top in range(0, len(words), _ROWS):
        block = leading[top : top + _ROWS, None]
        for left in range(top - top % _COLUMNS, len(words), _COLUMNS):
            close = np.bitwise_count(block ^ leading[None, left : left + _COLUMNS]) <= within
            rows, columns = np.nonzero(close)
            first, second = rows + top, columns + left
            # Every pair once, and no picture with itself.
            later = second > first
            first, second = first[later], second[later]
            distance = np.bitwise_count(words[first] ^ words[second]).sum(axis=1, dtype=np.int64)
            near = distance <= within
            if near.any():
                yield NearBlock(first[near], second[near], distance[near])


def clusters(blocks: Iterable[NearBlock], count: int) -> NDArray[np.intp]:
    """For each of `count` pictures the lowest position of its component of near pairs, (count,).

    Each block adds only pairs that are not connected yet: thousands of copies of one picture make millions of pairs.
    """
    label = np.arange(count)
    for block in blocks:
        first, second = label[block.first], label[block.second]
        apart = first != second
        if apart.any():
            label = connected(count, first[apart], second[apart])[label]
    return label
