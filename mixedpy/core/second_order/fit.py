"""The second-order blocks of a fitted model, and the way from its covariance parameters to theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from mixedpy.core.arrays import Design, Floats
from mixedpy.core.control import Control
from mixedpy.core.covariance import Template
from mixedpy.core.estimate import prepare
from mixedpy.core.record import FitRecord
from mixedpy.core.second_order.blocks import SecondOrder, second_order
from mixedpy.core.second_order.directions import Span, span
from mixedpy.core.second_order.hessian import Expansion, expand, in_parameters

__all__ = ["FitBlocks", "fit_blocks"]


@dataclass(frozen=True, slots=True)
class FitBlocks:
    """Second-order blocks at the estimates of a fit with p fixed effects and k covariance parameters.

    Attributes
    ----------
    blocks : SecondOrder
        In conditioned columns of X and y; the covariances' coordinates tau are those of the user's columns.
    T : (p, p) array
        beta = T beta' (+ a shift of the intercept) for beta' in the conditioned columns: L beta is L T beta'.
    tau : (g,) array
        Relative covariances in the coordinates of the blocks: V = I + sum_r tau_r G_r.
    jacobian : (g, k) array
        d tau / d theta, terms of theta in the order of ``Design.terms``.
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
    engine = prepare(design, control)
    cp, conditioned = engine.cross_products, engine.conditioned
    directions, tau, jacobians, curvatures = [], [], [], []
    for i in cp.order:
        template, Lambda = design.terms[i].template, record.Lambda[i]
        own = span(template)
        directions.append(_conditioned(own.basis, conditioned.terms[i]))
        tau.append(own.coordinates(Lambda @ Lambda.T))
        jacobian, curvature = _coordinates(own, template, template.parameters(Lambda))
        jacobians.append(jacobian)
        curvatures.append(curvature)
    blocks = second_order(cp, engine.inward_Lambdas(record.theta), directions, engine.factor)
    # from the order of the cross-products to that of theta
    sizes = [design.terms[i].template.size for i in cp.order]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    position = np.concatenate([np.arange(starts[j], starts[j + 1]) for j in np.argsort(cp.order)])
    jacobian = block_diag(*jacobians)[:, position]
    curvature = _block_diagonal(curvatures)[:, position][:, :, position]
    expansion = expand(blocks, cp.n, record.sigma, reml=record.reml)
    return FitBlocks(
        blocks=blocks,
        T=conditioned.T,
        tau=np.concatenate(tau),
        jacobian=jacobian,
        expansion=in_parameters(expansion, jacobian, curvature),
        sigma=record.sigma,
        n=cp.n,
        reml=record.reml,
    )


def _conditioned(basis: Floats, T: Floats | None) -> Floats:
    """Directions (r, m, m) of the user's columns in the conditioned ones."""
    if T is None:
        return basis
    half = np.linalg.solve(T, basis)
    return np.asarray(np.linalg.solve(T, half.transpose(0, 2, 1)), np.float64)


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
