"""Sets of contrasts among k means: all pairs, against a control, between neighbours, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mixedpy.core.arrays import Floats
from mixedpy.errors import DataError
from mixedpy.inference.multiplicity import Adjust

__all__ = ["ContrastSet", "contrasts_of"]

_DEGREES = ("linear", "quadratic", "cubic", "quartic", "degree 5", "degree 6")


@dataclass(frozen=True, slots=True)
class ContrastSet:
    """Contrasts among k means.

    Attributes
    ----------
    names : tuple of str
        Their labels.
    C : (c, k) array
        Their weights.
    adjust : Adjust
        Adjustment that suits them.
    pairs : bool
        Whether they are all pairwise differences, which Tukey's method is for.
    """

    names: tuple[str, ...]
    C: Floats
    adjust: Adjust
    pairs: bool = False


def contrasts_of(
    method: str | Mapping[str, Sequence[float]],
    labels: Sequence[str],
    *,
    ref: int | str = 0,
    reverse: bool = False,
    ratio: bool = False,
) -> ContrastSet:
    """Make the contrasts of a name among means of the given labels, or read custom ones.

    Parameters
    ----------
    method : str or mapping of str to (k,) weights
        ``"pairwise"``, ``"trt.vs.ctrl"``, ``"consec"`` (neighbours), ``"eff"`` (against the mean of all), ``"poly"``
        (orthogonal polynomials for equally spaced levels), or weights by name.
    labels : sequence of str
        Labels of the k means.
    ref : int or str
        Position or label of the control.
    reverse : bool
        Whether to take the differences the other way round.
    ratio : bool
        Whether labels speak of ratios, "a / b", rather than differences.

    Examples
    --------
    >>> found = contrasts_of("pairwise", ["a", "b", "c"])
    >>> found.names
    ('a - b', 'a - c', 'b - c')
    >>> found.C.tolist()
    [[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]
    """
    k = len(labels)
    if isinstance(method, Mapping):
        return _custom(method, k)
    if k < 2:
        raise DataError(f"contrasts need at least two means, and there is one, {labels[0]!r}; leave out some of by=")
    match method:
        case "pairwise":
            return _differences([(i, j) for i, j in combinations(range(k), 2)], labels, "tukey", reverse, ratio)
        case "trt.vs.ctrl":
            control = _position(ref, labels)
            pairs = [(i, control) for i in range(k) if i != control]
            return _differences(pairs, labels, "dunnettx", reverse, ratio)
        case "consec":
            return _differences([(i + 1, i) for i in range(k - 1)], labels, "mvt", reverse, ratio)
        case "eff":
            return ContrastSet(tuple(f"{label} effect" for label in labels), np.eye(k) - 1.0 / k, "fdr")
        case "poly":
            return ContrastSet(_DEGREES[: k - 1], _polynomials(k), "none")
    raise ValueError(
        f"method={method!r} is unknown; use 'pairwise', 'trt.vs.ctrl', 'consec', 'eff', 'poly' or a dict of weights"
    )


def _differences(
    pairs: Sequence[tuple[int, int]], labels: Sequence[str], adjust: Adjust, reverse: bool, ratio: bool
) -> ContrastSet:
    if reverse:
        pairs = [(j, i) for i, j in pairs]
    C = np.zeros((len(pairs), len(labels)))
    for row, (i, j) in zip(C, pairs, strict=True):
        row[i], row[j] = 1.0, -1.0
    sign = " / " if ratio else " - "
    return ContrastSet(tuple(labels[i] + sign + labels[j] for i, j in pairs), C, adjust, pairs=adjust == "tukey")


def _position(ref: int | str, labels: Sequence[str]) -> int:
    if isinstance(ref, str):
        if ref not in labels:
            raise DataError(f"ref={ref!r} is no mean; the means are {', '.join(map(repr, labels))}")
        return list(labels).index(ref)
    if not -len(labels) <= ref < len(labels):
        raise DataError(f"ref={ref} is out of range; there are {len(labels)} means, counted from 0")
    return ref % len(labels)


def _custom(weights: Mapping[str, Sequence[float]], k: int) -> ContrastSet:
    if not weights:
        raise DataError("the dict of contrasts is empty; give weights by name, such as {'a - b': [1, -1, 0]}")
    rows = []
    for name, given in weights.items():
        row: Any = np.asarray(given, float)
        if row.shape != (k,) or not np.isfinite(row).all():
            raise DataError(f"contrast {name!r} has the weights {given!r}; {k} finite numbers are wanted, one per mean")
        rows.append(row)
    return ContrastSet(tuple(map(str, weights)), np.array(rows), "none")


def _polynomials(k: int) -> Floats:
    """Orthogonal polynomials on 1, ..., k, scaled to whole numbers where that is possible."""
    degree = min(6, k - 1)
    Q = np.linalg.qr(np.vander(np.arange(k) - 0.5 * (k - 1), degree + 1, increasing=True))[0][:, 1:]
    rows = []
    for column in (Q * np.where(Q[-1] < 0, -1.0, 1.0)).T:
        row = column / column[column > 0.01].min()
        for _ in range(20):
            off = np.abs(row - np.round(row)).max()
            if off <= 0.05:
                break
            row = row / off
        rows.append(np.round(row))
    return np.array(rows)
