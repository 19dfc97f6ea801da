"""Link functions g(mu) = eta, their inverses, and the first four derivatives of mu with respect to eta."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["LINKS", "Link", "find_link"]

Floats = NDArray[np.float64]

_MOST = 700.0
"""Largest exponent that leaves a finite number."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link function.

    Attributes
    ----------
    name : str
        As R names it.
    link : callable
        mu -> eta.
    inverse : callable
        eta -> mu; NaN where eta has no mean.
    derivatives : callable
        eta -> (mu, mu', mu'', mu''', mu'''').

    Examples
    --------
    >>> find_link("log").inverse(np.array([0.0]))
    array([1.])
    """

    name: str
    link: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    derivatives: Callable[[Floats], tuple[Floats, ...]]


def _identity(eta: Floats) -> tuple[Floats, ...]:
    zero = np.zeros_like(eta)
    return eta, np.ones_like(eta), zero, zero, zero


def _log(eta: Floats) -> tuple[Floats, ...]:
    mu = np.exp(np.minimum(eta, _MOST))
    return mu, mu, mu, mu, mu


def _logit(eta: Floats) -> tuple[Floats, ...]:
    mu = special.expit(eta)
    q = mu * special.expit(-eta)
    odd = special.expit(-eta) - mu  # 1 - 2 mu
    return mu, q, q * odd, q * (1.0 - 6.0 * q), q * odd * (1.0 - 12.0 * q)


def _probit(eta: Floats) -> tuple[Floats, ...]:
    density = np.exp(-0.5 * eta * eta) / np.sqrt(2.0 * np.pi)
    return (
        special.ndtr(eta),
        density,
        -eta * density,
        (eta * eta - 1.0) * density,
        (3.0 - eta * eta) * eta * density,
    )


def _cloglog(eta: Floats) -> tuple[Floats, ...]:
    v = np.exp(np.minimum(eta, 30.0))
    s = np.exp(-v)
    return (
        -np.expm1(-v),
        v * s,
        v * s * (1.0 - v),
        v * s * (1.0 - 3.0 * v + v * v),
        v * s * (1.0 - 7.0 * v + 6.0 * v * v - v**3),
    )


def _cauchit(eta: Floats) -> tuple[Floats, ...]:
    d = 1.0 / (1.0 + eta * eta)
    f = d / np.pi
    return (
        _cauchy_cdf(eta),
        f,
        -2.0 * eta * d * f,
        (6.0 * eta * eta - 2.0) * d * d * f,
        24.0 * eta * (1.0 - eta * eta) * d**3 * f,
    )


def _cauchy_cdf(eta: Floats) -> Floats:
    """Distribution function of Cauchy, to full relative precision in the left tail."""
    with np.errstate(divide="ignore"):
        tail = np.arctan(-1.0 / eta) / np.pi
    return np.where(eta < -1.0, tail, 0.5 + np.arctan(eta) / np.pi)


def _inverse(eta: Floats) -> tuple[Floats, ...]:
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = 1.0 / eta
    return mu, -(mu**2), 2.0 * mu**3, -6.0 * mu**4, 24.0 * mu**5


def _inverse_square(eta: Floats) -> tuple[Floats, ...]:
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = 1.0 / np.sqrt(eta)
    return mu, -0.5 * mu**3, 0.75 * mu**5, -1.875 * mu**7, 6.5625 * mu**9


def _made(name: str, link: Callable[[Floats], Floats], derivatives: Callable[[Floats], tuple[Floats, ...]]) -> Link:
    return Link(name, link, lambda eta: derivatives(eta)[0], derivatives)


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        _made("identity", lambda mu: mu, _identity),
        _made("log", np.log, _log),
        _made("logit", special.logit, _logit),
        _made("probit", special.ndtri, _probit),
        _made("cloglog", lambda mu: np.log(-np.log1p(-mu)), _cloglog),
        _made("cauchit", lambda mu: np.tan(np.pi * (mu - 0.5)), _cauchit),
        _made("inverse", lambda mu: 1.0 / mu, _inverse),
        _made("1/mu^2", lambda mu: 1.0 / (mu * mu), _inverse_square),
    )
}
"""The links by name."""


def find_link(name: str) -> Link:
    """Look a link up by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in LINKS:
        raise ValueError(f"link={name!r} is unknown; use one of {', '.join(map(repr, LINKS))}")
    return LINKS[name]
