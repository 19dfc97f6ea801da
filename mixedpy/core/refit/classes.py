"""Levels of the first term with equal cross-products: what depends on theta alone is the same for all of a class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.refit.algebra import multiply, root, transpose
from mixedpy.core.refit.entries import Positions, lower_pairs

__all__ = ["classes_of", "eliminate", "trace_products"]

_DIGITS = 12
"""Level blocks that agree to this many digits are the same."""


def classes_of(own: Floats) -> NDArray[np.intp]:
    """Number the distinct level blocks of Z'Z, (m, m, J) -> class of each level (J,)."""
    m, _, J = own.shape
    rows, columns = lower_pairs(m)
    entries = own[rows, columns]  # (m (m + 1) / 2, J)
    scale = np.abs(entries).max(1, keepdims=True)
    keys = np.round(entries / np.where(scale > 0, scale, 1.0), _DIGITS)
    _, inverse = np.unique(keys, axis=1, return_inverse=True)
    return np.asarray(inverse, np.intp).reshape(J)


def eliminate(A: Floats, Lambda: Floats) -> tuple[Floats, Floats]:
    """Sigma (I + A Sigma)^-1, (m, m, C, B), and log|I + A Sigma|, (C, B), for A (m, m, C, 1) and Lambda (m, m, B)."""
    wide = Lambda[:, :, None, :]  # (m, m, 1, B)
    M = multiply(transpose(wide), multiply(A, wide))
    for a in range(len(M)):
        M[a, a] += 1.0
    factor = root(M)
    H = multiply(factor.inverse, transpose(wide))
    return multiply(transpose(H), H), factor.logdet


def trace_products(K: Floats, G: Floats, pairs: tuple[Positions, Positions]) -> Floats:
    """tr(E_r K E_s G) summed over the classes, (g, g, B), E_r = (e_a e_d' + e_d e_a') of the g pairs (a, d).

    Parameters
    ----------
    K, G : (m, m, C, B) array
        Symmetric matrices.
    pairs : tuple of (g,) arrays
        Positions a and d of the entries of Sigma; for a = d, E_r is e_a e_a'.
    """
    m, B = len(K), K.shape[3]
    rows, columns = pairs
    basis = np.zeros((len(rows), m, m))
    basis[np.arange(len(rows)), rows, columns] = basis[np.arange(len(rows)), columns, rows] = 1.0
    map_ = np.einsum("ria,sdj->rsadji", basis, basis).reshape(len(rows) ** 2, -1)
    products = np.empty((m, m, m, m, B))  # [a, d, j, i] = sum_c K_ad G_ji
    for a in range(m):
        for d in range(a + 1):
            for j in range(m):
                for i in range(j + 1):
                    total = np.einsum("cb,cb->b", K[a, d], G[j, i])
                    products[a, d, j, i] = products[d, a, j, i] = total
                    products[a, d, i, j] = products[d, a, i, j] = total
    return (map_ @ products.reshape(-1, B)).reshape(len(rows), len(rows), B)
