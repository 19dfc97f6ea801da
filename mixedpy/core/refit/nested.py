"""The deviance of many replicates of a model with nested terms: value, gradient and average information in lockstep.

The recursion is that of :mod:`mixedpy.core.factor.chain` with one more axis: theta differs between the replicates, and
so does everything but the cross-products of the columns. Arrays are (..., J, B), levels then replicates; "right of i"
means the columns of the later (outer) terms, one after another, then X and y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from mixedpy.core.arrays import Floats
from mixedpy.core.crossproducts import CrossProducts
from mixedpy.core.refit.algebra import multiply, positive_inverse, root, transpose
from mixedpy.core.refit.entries import Entries
from mixedpy.core.refit.errors import joint_covariance
from mixedpy.core.refit.responses import Responses

__all__ = ["Nested", "NestedState"]

_EXACT = 1e-14
"""A share of y'y below which what is left of it is rounding error: such a response has no likelihood."""

_STEP = 1e-3
"""Steps of differences, in units of the curvature's root."""

_LOG_2PI_E = 1.0 + np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class _Eliminated:
    """One term, eliminated.

    Attributes
    ----------
    B : (m, m, J, B) array
        Sigma (I + A Sigma)^-1.
    K : (m, m, J, B) array
        Z'V^-1Z with the terms inside this one in V.
    Y : (m, c, J, B) array
        Z'V^-1 times the columns right of it.
    V : (m, c, J, B) array
        Sigma Y.
    """

    B: Floats
    K: Floats
    Y: Floats
    V: Floats

    def take(self, chosen: NDArray[np.intp]) -> _Eliminated:
        """That of some replicates."""
        return _Eliminated(self.B[..., chosen], self.K[..., chosen], self.Y[..., chosen], self.V[..., chosen])


@dataclass(frozen=True, slots=True)
class NestedState:
    """What the values of B replicates leave for their derivatives; attributes as in ``OneWayState``."""

    value: Floats
    sigma2: Floats
    beta: Floats
    S_inverse: Floats
    Lambdas: tuple[Floats, ...]
    eliminated: tuple[_Eliminated, ...]

    def take(self, chosen: NDArray[np.intp]) -> NestedState:
        """Those of some replicates."""
        return NestedState(
            self.value[chosen],
            self.sigma2[chosen],
            self.beta[:, chosen],
            self.S_inverse[:, :, chosen],
            tuple(L[:, :, chosen] for L in self.Lambdas),
            tuple(one.take(chosen) for one in self.eliminated),
        )


@dataclass(frozen=True, slots=True)
class _Slopes:
    """First derivatives of B replicates.

    Attributes
    ----------
    gradient, score : (k, B) array
        Of the deviance, and e'(dSigma_k) e with e = Z'Py, which is minus the derivative of y'Py, in theta.
    dSigma : list of (m, m, B) arrays
        Of the deviance in Sigma.
    steps : list of (T, m, m, B) arrays
        Of Sigma in the term's share of theta.
    scores : list of (m, J, B) arrays
        e of every term.
    """

    gradient: Floats
    score: Floats
    dSigma: list[Floats]
    steps: list[Floats]
    scores: list[Floats]


class Nested:
    """Deviances of B replicates of a model whose terms are nested in one another.

    Parameters
    ----------
    cp : CrossProducts
        Of a chain of k terms.
    responses : Responses
        The replicates.
    entries : Entries
        Layout of theta.
    reml : bool
        REML criterion rather than ML deviance.
    """

    exact = False

    def __init__(self, cp: CrossProducts, responses: Responses, entries: Entries, *, reml: bool):
        self.cp, self.responses, self.entries, self.reml = cp, responses, entries, reml
        self.n, self.p, self.k, self.m = cp.n, cp.p, cp.k, cp.m
        self.nu = cp.n - cp.p if reml else cp.n
        # [own | later | X] of every term, shared by the replicates, (m, m + c - 1, J, 1)
        self.columns = [
            np.concatenate(
                [cp.own[i], *(cp.cross[i, l].values for l in range(i + 1, cp.k)), cp.right[i][:, : cp.p]], axis=1
            )[..., None]
            for i in range(cp.k)
        ]
        self.ancestor = {pair: block.cols for pair, block in cp.cross.items()}
        self.sums = {
            (i, t): sp.csr_array((np.ones(cp.J[i]), (codes, np.arange(cp.J[i]))), shape=(cp.J[t], cp.J[i]))
            for (i, t), codes in self.ancestor.items()
        }

    def take(self, chosen: NDArray[np.intp]) -> Nested:
        """The same for some of the replicates."""
        return Nested(self.cp, self.responses.take(chosen), self.entries, reml=self.reml)

    def reparametrized(self, entries: Entries) -> Nested:
        """The same over other entries."""
        return Nested(self.cp, self.responses, entries, reml=self.reml)

    def _up(self, i: int, t: int, values: Floats) -> Floats:
        """Sums (..., J_t, B) of values (..., J_i, B) over the levels of term i within each level of term t."""
        flat = values.reshape(-1, *values.shape[-2:])
        total = np.stack([self.sums[i, t] @ one for one in flat])
        return total.reshape(*values.shape[:-2], *total.shape[-2:])

    def values(self, theta: Floats) -> NestedState:
        """Deviances at theta (k, B)."""
        cp, p, B = self.cp, self.p, theta.shape[1]
        Lambdas = self.entries.Lambdas(theta)
        stacks = [
            np.concatenate([np.broadcast_to(columns, (*columns.shape[:3], B)), y[:, None]], axis=1)
            for columns, y in zip(self.columns, self.responses.random, strict=True)
        ]
        gram = np.empty((p + 1, p + 1, B))
        gram[:p, :p] = cp.fixed[:p, :p, None]
        gram[:p, p] = gram[p, :p] = self.responses.fixed
        gram[p, p] = self.responses.square
        logdet = np.zeros(B)
        eliminated = []
        for i, (stack, Lambda) in enumerate(zip(stacks, Lambdas, strict=True)):
            m = self.m[i]
            A, W, wide = stack[:, :m], stack[:, m:], Lambda[:, :, None, :]
            M = multiply(transpose(wide), multiply(A, wide))
            for a in range(m):
                M[a, a] += 1.0
            factor = root(M)
            logdet += factor.logdet.sum(0)
            H = multiply(factor.inverse, transpose(wide))
            Bi = multiply(transpose(H), H)
            V = multiply(Bi, W)
            AB = multiply(A, Bi)
            K, Y = A - multiply(AB, A), W - multiply(AB, W)
            last = slice(-(p + 1), None)
            gram -= np.einsum("axjb,ayjb->xyb", W[:, last], V[:, last])
            start = 0
            for t in range(i + 1, self.k):
                for u in range(self.m[t]):
                    lost = np.einsum("ajb,acjb->cjb", W[:, start + u], V[:, start:])
                    stacks[t][u] -= self._up(i, t, lost)
                start += self.m[t]
            eliminated.append(_Eliminated(Bi, K, Y, V))
        S_inverse, logdet_S = positive_inverse(gram[:p, :p]) if p else (gram[:0, :0], np.zeros(B))
        beta = np.einsum("xyb,yb->xb", S_inverse, gram[:p, p])
        r2 = gram[p, p] - np.einsum("xb,xb->b", beta, gram[:p, p])
        sigma2 = np.where(r2 > _EXACT * self.responses.square, r2, np.nan) / self.nu
        value = logdet + self.nu * (_LOG_2PI_E + np.log(sigma2)) - cp.log_weights
        if self.reml:
            value = value + logdet_S
        return NestedState(value, sigma2, beta, S_inverse, tuple(Lambdas), tuple(eliminated))

    def derivatives(self, state: NestedState) -> tuple[Floats, Floats]:
        """Gradients (k, B) and average information (k, k, B), with the curvature of Sigma, in theta."""
        gradient, hessian, _ = self._derivatives(state)
        return gradient, hessian

    def covariance(self, state: NestedState) -> Floats:
        """Covariance of (theta, sigma), (k + 1, k + 1, B), from the Hessian by central differences of the gradient.

        Steps are a small share of a standard error, as the average information has it, so that their error is of the
        order of its square.
        """
        _, average, score = self._derivatives(state)
        theta = np.concatenate([L[at] for L, at in zip(state.Lambdas, self.entries.positions, strict=True)])
        steps = _STEP / np.sqrt(np.abs(np.einsum("kkb->kb", average)))
        hessian = np.empty_like(average)
        for k, h in enumerate(steps):
            there = np.zeros_like(theta)
            there[k] = h
            after, before = (self._slopes(self.values(theta + move)).gradient for move in (there, -there))
            hessian[k] = (after - before) / (2.0 * h)
        hessian = 0.5 * (hessian + hessian.swapaxes(0, 1))
        sigma = np.sqrt(state.sigma2)
        return joint_covariance(hessian, -score / (2.0 * self.nu * sigma), sigma, self.nu)

    def _derivatives(self, state: NestedState) -> tuple[Floats, Floats, Floats]:
        """Gradient, average information, and e'(dSigma_k) e, which is minus the derivative of y'Py, (k, B)."""
        first = self._slopes(state)
        quadratic, fixed = self._information(state, first.steps, first.scores)
        half = np.einsum("xsb,xyb->ysb", fixed, state.S_inverse)
        hessian = (quadratic - np.einsum("ysb,ytb->stb", half, fixed)) / state.sigma2
        hessian -= first.score[:, None] * first.score / (self.nu * state.sigma2**2)
        for share, D, (rows, columns) in zip(self.entries.slices, first.dSigma, self.entries.positions, strict=True):
            same = columns[:, None] == columns
            hessian[share, share] += 2.0 * same[:, :, None] * D[rows[:, None], rows]
        return first.gradient, hessian, first.score

    def _slopes(self, state: NestedState) -> _Slopes:
        """First derivatives and what they are made of."""
        B = len(state.value)
        c = np.concatenate([-state.beta, np.ones((1, B))])
        scores = self._scores(state, c)
        Omega = c[:, None] * c / state.sigma2
        if self.reml:
            Omega[:-1, :-1] += state.S_inverse
        gradients = self._sigma_derivatives(state, Omega)
        steps, score, gradient = [], [], []
        for (rows, columns), L, e, D in zip(self.entries.positions, state.Lambdas, scores, gradients, strict=True):
            dSigma = np.zeros((len(rows), *L.shape))  # d(Lambda Lambda')/dtheta_k, (T, m, m, B)
            for d, a, b in zip(dSigma, rows, columns, strict=True):
                d[a] += L[:, b]
                d[:, a] += L[:, b]
            steps.append(dSigma)
            score.append(np.einsum("tacb,acb->tb", dSigma, np.einsum("ajb,cjb->acb", e, e)))
            gradient.append(np.einsum("tacb,acb->tb", dSigma, D))
        return _Slopes(np.concatenate(gradient), np.concatenate(score), gradients, steps, scores)

    def _scores(self, state: NestedState, c: Floats) -> list[Floats]:
        """e = Z'Py of every term, (m, J, B), from the outermost inwards."""
        w = len(c)
        scores: list[Floats] = [np.empty(0)] * self.k
        for i in range(self.k - 1, -1, -1):
            Y = state.eliminated[i].Y
            e = np.einsum("cb,acjb->ajb", c, Y[:, -w:])
            start = 0
            for t in range(i + 1, self.k):
                L = state.Lambdas[t]
                outer = np.einsum("uvb,vjb->ujb", np.einsum("uab,vab->uvb", L, L), scores[t])[:, self.ancestor[i, t]]
                e -= np.einsum("aujb,ujb->ajb", Y[:, start : start + self.m[t]], outer)
                start += self.m[t]
            scores[i] = e
        return scores

    def _sigma_derivatives(self, state: NestedState, Omega: Floats) -> list[Floats]:
        """dd/dSigma_i = sum_j (K_j - Y_j Omega_j Y_j'), (m, m, B), Omega_j over the columns right of i."""
        w = len(Omega)
        outer: list[Floats] = [np.empty(0)] * self.k  # Omega rows of a term: itself, then what is right of it
        out: list[Floats] = [np.empty(0)] * self.k
        for i in range(self.k - 1, -1, -1):
            one = state.eliminated[i]
            Y = one.Y
            YO = np.zeros_like(Y)
            YO[:, -w:] = np.einsum("cdb,adjb->acjb", Omega, Y[:, -w:])
            start = 0
            for t in range(i + 1, self.k):
                stop = start + self.m[t]
                rows = outer[t][:, :, self.ancestor[i, t]]
                YO[:, start:stop] += np.einsum("acjb,ucjb->aujb", Y[:, start:], rows)
                YO[:, stop:] += np.einsum("aujb,ucjb->acjb", Y[:, start:stop], rows[:, self.m[t] :])
                start = stop
            out[i] = one.K.sum(2) - np.einsum("acjb,dcjb->adb", YO, Y)
            if i > 0:
                L = state.Lambdas[i]
                VO = np.einsum("uvb,vcjb->ucjb", np.einsum("uab,vab->uvb", L, L), YO)
                own = one.B + np.einsum("acjb,dcjb->adjb", VO, one.V)
                outer[i] = np.concatenate([own, -VO], axis=1)
        return out

    def _information(self, state: NestedState, steps: list[Floats], scores: list[Floats]) -> tuple[Floats, Floats]:
        """w'Z'V^-1Z w, (T, T, B), and X'V^-1Z w, (p, T, B), for w = dSigma e: columns carried outwards."""
        p, B = self.p, len(state.value)
        T = self.entries.size
        quadratic, fixed = np.zeros((T, T, B)), np.zeros((p, T, B))
        carried = [np.zeros((T, m, J, B)) for m, J in zip(self.m, self.cp.J, strict=True)]
        a = 0
        for i in range(self.k):
            one, L = state.eliminated[i], state.Lambdas[i]
            b = a + len(steps[i])
            own = np.einsum("tacb,cjb->tajb", steps[i], scores[i])
            quadratic[a:b, a:b] += np.einsum("sajb,tajb->stb", own, np.einsum("acjb,tcjb->tajb", one.K, own))
            inner = carried[i][:a]
            Sg = np.einsum("acb,tcjb->tajb", np.einsum("aub,cub->acb", L, L), inner)
            rest = inner - np.einsum("acjb,tcjb->tajb", one.K, Sg)
            mixed = np.einsum("sajb,tajb->stb", own, rest)
            quadratic[a:b, :a] += mixed
            quadratic[:a, a:b] += mixed.swapaxes(0, 1)
            quadratic[:a, :a] -= np.einsum("sajb,tajb->stb", Sg, rest)
            out = np.concatenate([-Sg, own])
            fixed[:, :b] += np.einsum("axjb,tajb->xtb", one.Y[:, -(p + 1) : -1], out)
            start = 0
            for t in range(i + 1, self.k):
                for u in range(self.m[t]):
                    carried[t][:b, u] += self._up(i, t, np.einsum("ajb,tajb->tjb", one.Y[:, start + u], out))
                start += self.m[t]
            a = b
        return quadratic, fixed
