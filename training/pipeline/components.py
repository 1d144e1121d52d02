"""What belongs together when some pairs do: connected components, of pictures by near duplicates or equal values."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(count: int, first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.intp]:
    """For each of `count` positions the lowest one it is connected to by pairs of `first` and `second` (or its own)."""
    graph = coo_array((np.ones(first.size, dtype=bool), (first, second)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, lowest = np.unique(component, return_index=True)
    return np.asarray(lowest[component])


def connected_by_value(table: pd.DataFrame) -> NDArray[np.intp]:
    """For each row the lowest position it is connected to by equal values in any column; missing ones connect none."""
    pairs = []
    for column in table:
        value = pd.factorize(table[column])[0]
        rows = np.flatnonzero(value >= 0)
        _, first, inverse = np.unique(value[rows], return_index=True, return_inverse=True)
        pairs.append((rows, rows[first][inverse]))
    rows, others = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return connected(len(table), rows, others)
