"""Connected components: groups of pictures that pairs of near duplicates, or equal values in a table, connect."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(count: int, first: NDArray[np.integer], second: NDArray[np.integer]) -> NDArray[np.intp]:
    """For each of `count` positions the lowest position of its component, (count,).

    `first` and `second` are the positions of the pairs, arrays of equal length.
    """
    graph = coo_array((np.ones(first.size, dtype=bool), (first, second)), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, lowest = np.unique(component, return_index=True)
    return np.asarray(lowest[component])


def connected_by_value(table: pd.DataFrame) -> NDArray[np.intp]:
    """For each row the lowest position of its component: rows with an equal value in any column are connected.

    Missing values connect nothing.
    """
    position = pd.Series(np.arange(len(table)))
    first = [position.groupby(table[column].to_numpy()).transform("min").fillna(position) for column in table]
    return connected(len(table), np.tile(position, len(first)), np.concatenate(first).astype(np.intp))
