"""The ``family`` argument: a name, a name with a link, or a family."""

from __future__ import annotations

import re
from collections.abc import Callable

from mixedpy.core.family import (
    Beta,
    BetaBinomial,
    Binomial,
    CountFamily,
    Family,
    Gamma,
    Gaussian,
    Hurdle,
    InverseGaussian,
    NegativeBinomial1,
    NegativeBinomial2,
    Poisson,
    ZeroInflated,
)

__all__ = ["find_family"]

_FAMILIES: dict[str, Callable[..., Family]] = {
    "binomial": Binomial,
    "poisson": Poisson,
    "gaussian": Gaussian,
    "gamma": Gamma,
    "inverse_gaussian": InverseGaussian,
    "negative_binomial": NegativeBinomial2,
    "nbinom2": NegativeBinomial2,
    "nbinom1": NegativeBinomial1,
    "beta": Beta,
    "beta_binomial": BetaBinomial,
}

_ALIASES = {
    "inversegaussian": "inverse_gaussian",
    "negativebinomial": "negative_binomial",
    "betabinomial": "beta_binomial",
}

_TEXT = re.compile(r"\s*([A-Za-z0-9_.]+)\s*(?:\(\s*(?:link\s*=\s*)?['\"]?([A-Za-z0-9/^]+)['\"]?\s*\))?\s*")


def find_family(family: str | Family) -> Family:
    """Read the ``family`` argument.

    Parameters
    ----------
    family : str or Family
        A name such as ``"binomial"``, a name with a link such as ``"binomial(probit)"``, one of counts with its own
        zeros such as ``"zero_inflated_poisson"`` or ``"hurdle_nbinom2"``, or a family.

    Raises
    ------
    ValueError
        If the name is unknown, or the family does not have the link.

    Examples
    --------
    >>> find_family("binomial(probit)"), find_family("Gamma")
    (Binomial(link='probit'), Gamma(link='inverse'))
    """
    if isinstance(family, Family):
        return family
    if not isinstance(family, str):
        raise TypeError(f"family={family!r} must be a name such as 'binomial', or a family such as mixedpy.Binomial()")
    for prefix, kind in (("zero_inflated_", ZeroInflated), ("hurdle_", Hurdle)):
        if family.lower().startswith(prefix):
            counts = find_family(family[len(prefix) :])
            if not isinstance(counts, CountFamily):
                raise ValueError(f"family={family!r}: {counts.name} is no family of counts; use poisson or nbinom2")
            return kind(counts)
    match = _TEXT.fullmatch(family)
    name, link = (match[1].lower().replace(".", "_"), match[2]) if match else (family, None)
    name = _ALIASES.get(name.replace("_", ""), name)
    if name not in _FAMILIES:
        wanted = ", ".join(map(repr, _FAMILIES))
        raise ValueError(f"family={family!r} is unknown; use one of {wanted}, with a link as in 'binomial(probit)'")
    return _FAMILIES[name]() if link is None else _FAMILIES[name](link)
