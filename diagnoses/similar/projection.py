"""Projects a network's pooled features to the short vector that is searched. Uses only NumPy; nothing is fitted.

A random projection with entries +1 and -1 keeps all distances between n points within a factor of 1 +- e for about
log(n) / e^2 dimensions, for any data: D. Achlioptas, "Database-friendly random projections", 2003. With 128 dimensions,
distances among 25,000 pictures stay within about a quarter, typical ones within a tenth. A fitted projection (PCA)
would be a little better, but would have to be stored with every classifier.
"""

import hashlib
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnoses.similar.models import DIMENSIONS

SEED: Final = b"teri similar cases 1"
"""Another seed gives another space, whose vectors cannot be compared with earlier ones."""


@cache
def _signs(count: int) -> NDArray[np.float32]:
    """float32 (count, DIMENSIONS) of +-1, from a hash and not a random generator: the same in every version."""
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(SEED).digest(count * DIMENSIONS // 8), dtype=np.uint8))
    return (bits.astype(np.float32) * 2 - 1).reshape(count, DIMENSIONS)


def project(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Pooled features (C,) -> float32 (DIMENSIONS,) of length 1.

    Raises ValueError if the features are not one row of finite numbers, or all zero.
    """
    row = np.asarray(features, dtype=np.float32)
    if row.ndim != 1 or not np.all(np.isfinite(row)):
        raise ValueError("Features are one row of finite numbers.")
    short = row @ _signs(len(row))
    length = float(np.linalg.norm(short))
    if not length > 0:
        raise ValueError("Features that are all zero have no direction.")
    return np.asarray(short / length, dtype=np.float32)
