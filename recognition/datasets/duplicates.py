"""Pictures that are the same, byte for byte or to the eye.

Exact copies have one sha256. Near ones have perceptual hashes (256 bits) that differ in few bits. All pairs are
compared: 25,331 pictures are 321 million pairs, so the comparison is numpy's popcount over blocks, and three quarters
of every hash are looked at only for the pairs whose first quarter is already close.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recognition.datasets.components import connected

NEAR_DISTANCE: Final = 24
"""Differing bits (of 256) up to which two pictures are reported as nearly the same. See docs/data.md: on
isic2019-subset every pair of different lesions at 24 bits or less is one photograph twice (recoloured or recompressed);
two pictures of different lesions are 33 bits apart or more."""

# A tile of the comparison (64 x 2048 pairs of 8 bytes) stays in a core's cache; larger ones wait for memory.
_ROWS: Final = 64
_COLUMNS: Final = 2048
_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two different files that look alike: positions in the input, first before second, and differing bits."""

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
    """Some of the near pairs, as three arrays of equal length: positions, first before second, and differing bits."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distance: NDArray[np.int64]


def near_pairs(hashes: Sequence[bytes], *, within: int = NEAR_DISTANCE) -> list[NearPair]:
    """Every pair of hashes (32 bytes each) that differs in at most `within` bits, nearest first.

    A list of all of them: for a set that may hold thousands of copies of one picture, walk `near_blocks`.
    """
    found = [
        NearPair(int(a), int(b), int(bits))
        for block in near_blocks(hashes, within=within)
        for a, b, bits in zip(block.first, block.second, block.distance, strict=True)
    ]
    return sorted(found, key=lambda pair: (pair.distance, pair.first, pair.second))


def near_blocks(hashes: Sequence[bytes], *, within: int = NEAR_DISTANCE) -> Iterator[NearBlock]:
    """The near pairs, every pair once, in blocks of at most 131,072 pairs (3 MB), whatever the pictures."""
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
    """For each of `count` pictures the lowest position among those it is connected to by near pairs (its own if none).

    Block by block, and of each only the pairs that are not connected yet: thousands of copies of one picture make
    millions of pairs.
    """
    label = np.arange(count)
    for block in blocks:
        first, second = label[block.first], label[block.second]
        apart = first != second
        if apart.any():
            label = connected(count, first[apart], second[apart])[label]
    return label
