"""The second-order blocks of a fitted model, all in conditioned columns, where slopes on years keep their digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.covariance import Template
from mixedpy.core.estimate import Engine, prepare
from mixedpy.core.record import FitRecord
from mixedpy.core.second_order.blocks import SecondOrder, second_order
from mixedpy.core.second_order.directions import Span, span
from mixedpy.core.second_order.hessian import Expansion, expand, in_parameters

__all__ = ["FitBlocks", "engine_blocks", "fit_blocks"]


@dataclass(frozen=True, slots=True)
class FitBlocks:
    """Second-order blocks at the estimates of a fit with p fixed effects and k covariance parameters.

    Attributes
    ----------
    blocks : SecondOrder
        In conditioned columns of X, Z and y, terms in the order of the cross-products.
    T : (p, p) array
        beta = T beta' (+ a shift of the intercept) for beta' in the conditioned columns: L beta is L T beta'.
    tau : (g,) array
        Relative covariances in the coordinates of the blocks: V = I + sum_r tau_r G_r.
    jacobian : (g, k) array
        d tau / d theta, theta those of the conditioned columns. What does not depend on the coordinates of the
        covariances, such as degrees of freedom, is that of the user's columns.
    expansion : Expansion
        Derivatives of the deviance, or REML criterion, in (theta, sigma).
    sigma : float
        Residual standard deviation.
    n : int
        Number of rows.
    reml : bool
        Whether the fit is by REML.
    """

    blocks: SecondOrder
    T: Floats
    tau: Floats
    jacobian: Floats
    expansion: Expansion
    sigma: float
    n: int
    reml: bool

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return len(self.T)


def fit_blocks(design: Design, record: FitRecord, control: Control | None = None) -> FitBlocks:
    """Compute the second-order blocks of a fit.

    Parameters
    ----------
    design : Design
        The fitted design.
    record : FitRecord
        Its fit.
    control : Control, optional
        Settings of the factorization.
    """
    return engine_blocks(prepare(design, control), record)


def engine_blocks(engine: Engine, record: FitRecord) -> FitBlocks:
    """Compute the second-order blocks of a fit of a prepared model."""
    cp, parameters = engine.cross_products, engine.parameters
    theta = engine.inward(record.theta)
    Lambdas = parameters.Lambdas(theta)
    spans = [span(template) for template in parameters.templates]
    found = [
        _coordinates(own, template, theta[share])
        for own, template, share in zip(spans, parameters.templates, parameters.slices, strict=True)
    ]
    blocks = second_order(cp, Lambdas, [own.basis for own in spans], engine.factor)
    jacobian = block_diag(*(first for first, _ in found))
    curvature = _block_diagonal([second for _, second in found])
    expansion = expand(blocks, cp.n, record.sigma, reml=record.reml)
    return FitBlocks(
        blocks=blocks,
        T=engine.conditioned.T,
        tau=np.concatenate([own.coordinates(L @ L.T) for own, L in zip(spans, Lambdas, strict=True)]),
        jacobian=jacobian,
        expansion=in_parameters(expansion, jacobian, curvature),
        sigma=record.sigma,
        n=cp.n,
        reml=record.reml,
    )


def _coordinates(own: Span, template: Template, theta: Floats) -> tuple[Floats, Floats]:
    """First and second derivatives of a term's coordinates, (T, k) and (T, k, k)."""
    Lambda, D = template.Lambda(theta), template.jacobian(theta)
    half = D @ Lambda.T
    jacobian = own.coordinates(half + half.transpose(0, 2, 1)).T
    DD = np.einsum("kac,lbc->klab", D, D)
    curvature = own.coordinates(DD + DD.transpose(1, 0, 2, 3)).transpose(2, 0, 1).copy()
    for r, (a, b) in enumerate(zip(own.rows, own.columns, strict=True)):
        seed = np.zeros_like(Lambda)  # d (Lambda Lambda')[a, b] / d Lambda
        seed[a] += Lambda[b]
        seed[b] += Lambda[a]
        curvature[r] += template.curvature(theta, seed)
    return jacobian, curvature


def _block_diagonal(blocks: list[Floats]) -> Floats:
    """(T, k, k) blocks along all three axes."""
    T, k = sum(len(b) for b in blocks), sum(b.shape[1] for b in blocks)
    out = np.zeros((T, k, k))
    r = s = 0
    for block in blocks:
        out[r : r + len(block), s : s + block.shape[1], s : s + block.shape[1]] = block
        r, s = r + len(block), s + block.shape[1]
    return out
