"""Orthogonal factors in extended precision, for references that must be exact to 1e-9."""

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.longdouble]


def orthogonal(matrix: Row) -> tuple[Row, Row]:
    """Gram-Schmidt, modified and done twice: numpy's own QR has no extended precision."""
    q = matrix.copy()
    size = matrix.shape[1]
    r = np.eye(size, dtype=np.longdouble)
    for _ in range(2):
        pass_r = np.zeros((size, size), dtype=np.longdouble)
        for i in range(size):
            pass_r[i, i] = np.sqrt(q[:, i] @ q[:, i])
            q[:, i] /= pass_r[i, i]
            for j in range(i + 1, size):
                pass_r[i, j] = q[:, i] @ q[:, j]
                q[:, j] -= pass_r[i, j] * q[:, i]
        r = pass_r @ r
    return q, r


def back_substituted(r: Row, right: Row) -> Row:
    """Solve r x = right for an upper triangle r."""
    found = np.zeros(right.shape, dtype=np.longdouble)
    for i in range(r.shape[0] - 1, -1, -1):
        found[i] = (right[i] - r[i, i + 1 :] @ found[i + 1 :]) / r[i, i]
    return found
