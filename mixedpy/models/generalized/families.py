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

_PREFIXES: dict[str, Callable[[CountFamily], Family]] = {"zero_inflated_": ZeroInflated, "hurdle_": Hurdle}

_ALIASES = {
    "inversegaussian": "inverse_gaussian",
    "negativebinomial": "negative_binomial",
    "betabinomial": "beta_binomial",
}

_TEXT = re.compile(r"\s*([A-Za-z0-9_. -]+?)\s*(?:\(\s*(?:link\s*=\s*)?['\"]?([A-Za-z0-9/^]+)['\"]?\s*\))?\s*")


def find_family(family: str | Family) -> Family:
    """Read the ``family`` argument.

    Parameters
    ----------
    family : str or Family
        A name such as ``"binomial"``, a name with a link such as ``"binomial(probit)"``, one of counts with its own
        zeros such as ``"zero_inflated_poisson"`` or ``"hurdle_nbinom2"``, a name as ``fit.family`` has it, or a family.

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
    match = _TEXT.fullmatch(family)
    name, link = (re.sub(r"[. -]+", "_", match[1].lower()), match[2]) if match else (family, None)
    prefix = next((p for p in _PREFIXES if name.startswith(p)), "")
    name = name.removeprefix(prefix)
    name = _ALIASES.get(name.replace("_", ""), name)
    if name not in _FAMILIES:
        wanted = ", ".join(map(repr, _FAMILIES))
        raise ValueError(
            f"family={family!r} is unknown; use one of {wanted}, with a link as in 'binomial(probit)'; for counts with "
            "zeros of their own 'zero_inflated_' or 'hurdle_' and 'poisson', 'nbinom2' or 'nbinom1'"
        )
    found = _FAMILIES[name]() if link is None else _FAMILIES[name](link)
    if not prefix:
        return found
    if not isinstance(found, CountFamily):
        raise ValueError(f"family={family!r}: {found.name} is no family of counts; use poisson, nbinom2 or nbinom1")
    return _PREFIXES[prefix](found)
