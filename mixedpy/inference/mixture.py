"""The null distribution of a likelihood-ratio statistic when the smaller model puts variances on the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.boundary.cone import ChiBarSquare, chi_bar_square
from mixedpy.core.boundary.information import expected_information
from mixedpy.core.control import Control
from mixedpy.core.estimate import prepare
from mixedpy.errors import MixedpyError
from mixedpy.inference.nesting import Embedding, TermEmbedding

__all__ = ["Mixture", "mixture", "several_variances", "stram_lee"]

_REDUNDANT = 1e-13
"""Covariances cannot be told apart if an eigenvalue of their information, in correlation form, is below this."""

_DEPENDENT = 1e-10
"""A column depends on others if this share of it, or less, is left by them."""

_UNTOLD = "no mixture is available where the data do not tell the covariances of the model apart"


@dataclass(frozen=True, slots=True)
class Mixture:
    """A chi-bar-square distribution with its name for print-outs.

    Attributes
    ----------
    distribution : ChiBarSquare
        The distribution.
    name : str
        The mixture, and who derived it.
    """

    distribution: ChiBarSquare
    name: str

    def pvalue(self, statistic: float) -> float:
        """Upper tail probability."""
        return self.distribution.tail(statistic)


def mixture(embedding: Embedding, larger: Design, control: Control, *, extra: int, reml: bool) -> Mixture | None:
    """Find the distribution of the likelihood-ratio statistic at the fit of the smaller model.

    Parameters
    ----------
    embedding : Embedding
        The smaller random part in the larger one.
    larger : Design
        The larger model.
    control : Control
        Settings of the factorization.
    extra : int
        Fixed effects that the smaller model lacks.
    reml : bool
        Whether the statistic is that of the restricted likelihood.

    Returns
    -------
    Mixture or None
        None if no variance is on the boundary, so that chi-square holds.

    Raises
    ------
    MixedpyError
        If several variances are on the boundary and the larger model has covariances that cannot be told apart.

    Notes
    -----
    One effect added to r effects of the same term: 0.5 chi2(r) + 0.5 chi2(r + 1) (Self & Liang 1987; Stram & Lee 1994,
    Biometrics 50, 1171-1177). In general the statistic is a sum of chi2 for the parameters that may have either sign
    and the squared length of the projection of a normal vector on the cone of the covariance matrices of the new
    effects, in the metric of the expected information at the smaller fit, all other parameters projected out.
    """
    if not several_variances(embedding):
        return stram_lee(embedding, extra)
    cones = tuple(k for term in embedding.terms for k in _cones(term))
    free = extra + _free(embedding)
    information = _effective(embedding, larger, control, reml=reml)
    found = chi_bar_square(information, cones, free)
    return Mixture(found, _name(found) + _caution(embedding))


def several_variances(embedding: Embedding) -> bool:
    """Whether the larger model has more than one variance more, so that the weights depend on the information."""
    return sum(len(term.new) for term in embedding.terms) > 1


def stram_lee(embedding: Embedding, extra: int, boundary: int = 0) -> Mixture | None:
    """Find the distribution of the statistic where one parameter at most is on its boundary; None where none is.

    Parameters
    ----------
    embedding : Embedding
        The smaller random part in the larger one.
    extra : int
        Other parameters that the smaller model lacks.
    boundary : int
        Parameters besides those of random effects that it puts on their boundary.
    """
    on_boundary = boundary + sum(len(term.new) for term in embedding.terms)
    if on_boundary == 0:
        return None
    if on_boundary > 1:
        raise ValueError(f"{on_boundary} parameters are on the boundary; stram_lee is for one")
    free = extra + _free(embedding)
    found = chi_bar_square(np.ones((1, 1)), (1,), free)
    source = "Self & Liang" if boundary else "Stram & Lee"
    return Mixture(found, f"0.5 chi2({free}) + 0.5 chi2({free + 1}), {source}{_caution(embedding)}")


def _free(embedding: Embedding) -> int:
    """Number of covariances that may have either sign."""
    return sum(len(term.free) for term in embedding.terms)


def _caution(embedding: Embedding) -> str:
    """Variances of the smaller model count as positive; where its fit has one at zero that is an approximation."""
    return "; approximate, the smaller fit is singular" if embedding.singular else ""


def _cones(term: TermEmbedding) -> list[int]:
    """Orders of the covariance matrices of a term's new effects."""
    if not term.new:
        return []
    return [1] * len(term.new) if term.diagonal else [len(term.new)]


def _effective(embedding: Embedding, larger: Design, control: Control, *, reml: bool) -> Floats:
    """Information on the new effects' covariances, the other parameters projected out."""
    design, covariances = _orthogonal(embedding, larger)
    directions, tested = [], []
    for term in embedding.terms:
        pairs = _pairs(term)
        m = len(term.covariance)
        E = np.zeros((len(pairs), m, m))
        for matrix, (a, b) in zip(E, pairs, strict=True):
            matrix[a, b] = matrix[b, a] = 1.0
        directions.append(E)
        tested += [a in term.new and b in term.new for a, b in pairs]
    information = expected_information(prepare(design, control), covariances, directions, reml=reml)
    size = np.sqrt(np.diag(information))
    if not size.all() or np.linalg.eigvalsh(information / np.outer(size, size))[0] < _REDUNDANT:
        raise MixedpyError(_UNTOLD)
    chosen = np.array([*tested, False])
    rest = ~chosen
    across = information[np.ix_(chosen, rest)]
    return information[np.ix_(chosen, chosen)] - across @ np.linalg.solve(information[np.ix_(rest, rest)], across.T)


def _orthogonal(embedding: Embedding, design: Design) -> tuple[Design, list[Floats]]:
    """Write effects that covary in orthogonal columns, and say what the covariances then are.

    A new effect's column leaves its projection on the columns before it, those of the smaller model first. Neither the
    cone nor the parameters that are projected out change by that, and no digits are lost for a slope on 2000 + x.
    """
    columns, terms, covariances = list(design.columns), [], []
    for own, term in zip(design.terms, embedding.terms, strict=True):
        covariance = term.covariance
        if not term.diagonal and own.m > 1:
            order = [*(a for a in range(own.m) if a not in term.new), *term.new]
            Q, R = np.linalg.qr(np.stack([design.columns[own.columns[a]] for a in order], axis=1))
            if (np.abs(np.diag(R)) <= _DEPENDENT * np.linalg.norm(R, axis=0)).any():
                raise MixedpyError(_UNTOLD)
            place, root = np.argsort(order), np.sqrt(design.n)
            A = R[np.ix_(place, place)] / root
            covariance = A @ covariance @ A.T
            own = replace(own, columns=tuple((len(columns) + place).tolist()))
            columns += [*(root * Q.T)]
        terms.append(own)
        covariances.append(covariance)
    return replace(design, columns=tuple(columns), terms=tuple(terms)), covariances


def _pairs(term: TermEmbedding) -> Sequence[tuple[int, int]]:
    """The entries of the lower triangle that are parameters, column by column."""
    m = len(term.covariance)
    return [(a, b) for b in range(m) for a in range(b, m) if a == b or not term.diagonal]


def _name(found: ChiBarSquare) -> str:
    if found.weights is not None:
        parts = [f"{weight:.3g} chi2({k})" for k, weight in enumerate(found.weights) if weight > 0]
        return f"{' + '.join(parts)}, chi-bar-square"
    orders = [f"{k} x {k}" for k in found.cones if k > 1]
    variances = found.cones.count(1)
    cone = [f"positive semidefinite {' and '.join(orders)} covariances"] if orders else []
    if variances:
        cone.append(f"{variances} variance{'s' if variances > 1 else ''}")
    free = f"chi2({found.free}) + " if found.free else ""
    return f"{free}projection on the cone of {' and '.join(cone)}, chi-bar-square"
