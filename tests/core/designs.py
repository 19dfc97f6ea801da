"""Random designs for the identities of the numeric core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from mixedpy.core.arrays import Design, Floats, RandomTerm
from mixedpy.core.covariance import Diagonal, Template, Unstructured
from mixedpy.core.crossproducts import CrossProducts, cross_products
from mixedpy.core.deviance import Deviance
from mixedpy.core.factor.protocol import Factor
from mixedpy.core.parameters import Parameters

N_COLUMNS = 5


@st.composite
def designs(draw: st.DrawFn, *, max_terms: int = 3, nested: bool | None = None, weighted: bool | None = None) -> Design:
    """A design with some terms of one to three effects, nested or crossed, weighted or not, offset or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(30, 80))
    columns = (np.ones(n), *rng.normal(size=(N_COLUMNS, n)))
    terms: list[RandomTerm] = []
    for _ in range(draw(st.integers(1, max_terms))):
        m = draw(st.integers(1, 3))
        inside = bool(terms) and (draw(st.booleans()) if nested is None else nested)
        codes = (
            _outer(rng, terms[-1].codes, draw(st.integers(2, 6)))
            if inside
            else _codes(rng, n, draw(st.integers(2, 15)))
        )
        template: Template = Diagonal(m) if draw(st.booleans()) else Unstructured(m)
        first = 0 if draw(st.booleans()) else 1
        terms.append(RandomTerm(codes, int(codes.max()) + 1, tuple(range(first, first + m)), template))
    weights = draw(st.booleans()) if weighted is None else weighted
    return Design(
        y=2.0 + rng.normal(size=n) + columns[1],
        columns=columns,
        fixed=tuple(range(draw(st.integers(1, 4)))),
        terms=tuple(terms),
        weights=rng.uniform(0.3, 3.0, n) if weights else None,
        offset=rng.normal(size=n) if draw(st.booleans()) else None,
    )


def _codes(rng: np.random.Generator, n: int, J: int) -> np.ndarray:
    codes = np.concatenate([np.arange(J), rng.integers(0, J, n - J)])
    rng.shuffle(codes)
    return codes.astype(np.intp)


def _outer(rng: np.random.Generator, inner: np.ndarray, J: int) -> np.ndarray:
    """Codes of a factor in which the inner one is nested."""
    levels = int(inner.max()) + 1
    J = min(J, levels)
    parent = np.concatenate([np.arange(J), rng.integers(0, J, levels - J)])
    return parent[inner].astype(np.intp)


def parameters_of(design: Design, cp: CrossProducts) -> Parameters:
    """The layout of theta in the order of the cross-products."""
    return Parameters([design.terms[i].template for i in cp.order])


def some_theta(parameters: Parameters, seed: int) -> Floats:
    """A theta away from zero, of either sign."""
    return np.random.default_rng(seed).normal(size=parameters.size) * 0.7 + 0.2


def objective(design: Design, factor: Factor, cp: CrossProducts, *, reml: bool) -> Deviance:
    """The deviance of a design over a given factorization."""
    return Deviance(factor, parameters_of(design, cp), cp.n, cp.log_weights, reml=reml)


def permuted(design: Design, order: np.ndarray) -> Design:
    """The same design with its rows in another order."""
    return replace(
        design,
        y=design.y[order],
        columns=tuple(c[order] for c in design.columns),
        terms=tuple(replace(t, codes=t.codes[order]) for t in design.terms),
        weights=None if design.weights is None else design.weights[order],
        offset=None if design.offset is None else design.offset[order],
    )


def crossed(design: Design) -> bool:
    """Whether the design has two terms or more, so that a Schur complement exists."""
    return len(design.terms) > 1


__all__ = ["cross_products", "crossed", "designs", "objective", "parameters_of", "permuted", "some_theta"]
