"""Random terms: grouping factors, effects and covariance templates, in lme4's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from mixedpy.core.arrays import RandomTerm
from mixedpy.core.correlated import Autoregressive, CompoundSymmetry
from mixedpy.core.covariance import Diagonal, Template, Unstructured
from mixedpy.design.columns import Column, Factor, as_factor, crossed
from mixedpy.design.encode import ColumnPool, Encoding, encode
from mixedpy.design.evaluate import Evaluator
from mixedpy.design.frame import Frame, check_levels_known, suggestion
from mixedpy.errors import DataError
from mixedpy.formula import Bar, deparse
from mixedpy.formula.syntax import Node

__all__ = ["STRUCTURES", "Grouping", "RandomPart", "TermSchema", "build_random", "lme4_order", "template_of"]

STRUCTURES: dict[str, tuple[str, bool]] = {
    "us": ("us", False),
    "diag": ("diag", False),
    "homdiag": ("diag", True),
    "cs": ("cs", False),
    "homcs": ("cs", True),
    "ar1": ("ar1", True),
    "hetar1": ("ar1", False),
}
"""What ``covariances=`` takes: the structure and whether the effects share one standard deviation."""


def template_of(structure: str, hom: bool, m: int) -> Template:
    """Make the covariance template of m effects."""
    match structure:
        case "diag":
            return Diagonal(m, hom)
        case "cs":
            return CompoundSymmetry(m, hom)
        case "ar1":
            return Autoregressive(m, hom)
        case _:
            return Unstructured(m)


@dataclass(frozen=True, slots=True, eq=False)
class TermSchema:
    """A random term without its numbers, re-appliable to new data.

    Attributes
    ----------
    group : str
        Label of the grouping factor, ``"Subject"`` or ``"cask:batch"``.
    name : str
        The label made unique among the terms, as R prints it: ``"Subject"``, ``"Subject.1"``.
    effects : tuple of str
        R's names of the m effects.
    levels : tuple of str
        R's labels of the J levels.
    template : str
        Name of the covariance template: ``"us"``, ``"diag"``, ``"cs"`` or ``"ar1"``.
    hom : bool
        Whether the effects share one standard deviation.
    grouping : tuple of Node
        The expressions whose interaction is the grouping factor.
    encoding : Encoding
        The columns of the effects.
    """

    group: str
    name: str
    effects: tuple[str, ...]
    levels: tuple[str, ...]
    template: str
    hom: bool
    grouping: tuple[Node, ...] = field(repr=False)
    encoding: Encoding = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class RandomPart:
    """The random terms of a design with their schemas, in the same order."""

    terms: tuple[RandomTerm, ...]
    schemas: tuple[TermSchema, ...]


class Grouping:
    """Grouping factors of a table, each computed once however many bars use it.

    Parameters
    ----------
    evaluator : Evaluator
        Computes the expressions.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._factors: dict[str, Factor] = {}

    def factor(self, nodes: Sequence[Node]) -> Factor:
        """Cross the factors of the given expressions.

        Parameters
        ----------
        nodes : sequence of Node
            At least one expression.

        Returns
        -------
        Factor
            With used levels only.
        """
        names = [deparse(node) for node in nodes]
        for node, name in zip(nodes, names, strict=True):
            if name not in self._factors:
                self._factors[name] = as_factor(self._evaluator.column(node))
        for length in range(2, len(names) + 1):
            label = ":".join(names[:length])
            if label not in self._factors:
                slow, fast = self._factors[":".join(names[: length - 1])], self._factors[names[length - 1]]
                self._factors[label] = crossed(slow, fast)
        return self._factors[":".join(names)]


def build_random(
    bars: Sequence[Bar],
    evaluator: Evaluator,
    values: Mapping[str, Column],
    pool: ColumnPool,
    frame: Frame,
    covariances: Mapping[str, str] | None = None,
    *,
    residual: bool = True,
) -> RandomPart:
    """Build the random terms.

    Parameters
    ----------
    bars : sequence of Bar
        The formula's random terms.
    evaluator : Evaluator
        Computes the grouping factors.
    values : mapping of str to Column
        Values of the effects' variables. As in lme4, contrasts given for X do not apply to them.
    pool : ColumnPool
        Where the effects' columns are placed.
    frame : Frame
        The rows.
    covariances : mapping of str to str, optional
        Key of ``STRUCTURES`` by grouping factor or term name, for bars that name no structure; ``"us"`` by default.
    residual : bool
        Whether rows have a residual variance, which as many random effects as rows could not be told from.

    Returns
    -------
    RandomPart
        In lme4's order: as written if that has no fewer-to-more step in the numbers of levels, otherwise by decreasing
        number of levels, equal ones in reverse.

    Raises
    ------
    DataError
        If a grouping factor has one level or as many as there are rows, if a term has as many random effects as there
        are rows, or if ``covariances`` names what is not there.
    """
    grouping = Grouping(evaluator)
    factors = [grouping.factor(bar.group) for bar in bars]
    n = frame.n
    for bar, factor in zip(bars, factors, strict=True):
        check_levels_known(bar.name, factor, frame)
        _check_levels(bar.name, len(factor.levels), n, residual=residual)
    order = lme4_order([len(factor.levels) for factor in factors])
    names = _unique([bars[k].name for k in order])
    chosen = _structures([bars[k] for k in order], names, covariances or {})
    terms, schemas = [], []
    for k, name, (structure, hom) in zip(order, names, chosen, strict=True):
        bar, factor = bars[k], factors[k]
        encoding = encode(bar.effects, values)
        positions = pool.positions(encoding, values)
        if residual and structure not in (
            "cs",
            "ar1",
        ):  # a correlation tells their variances from the residual variance
            _check_effects(name, len(factor.levels), encoding.names, n)
        template = template_of(structure, hom, len(positions))
        terms.append(RandomTerm(factor.codes, len(factor.levels), positions, template))
        schemas.append(TermSchema(bar.name, name, encoding.names, factor.levels, structure, hom, bar.group, encoding))
    return RandomPart(tuple(terms), tuple(schemas))


def lme4_order(n_levels: Sequence[int]) -> list[int]:
    """Order terms as lme4 does, given their numbers of levels.

    Examples
    --------
    >>> lme4_order([3, 3, 2]), lme4_order([2, 5, 2])
    ([0, 1, 2], [1, 2, 0])
    """
    positions = list(range(len(n_levels)))
    if all(a >= b for a, b in pairwise(n_levels)):
        return positions
    return sorted(positions, key=lambda k: n_levels[k])[::-1]


def _unique(names: Sequence[str]) -> list[str]:
    """Number repeated names as R's ``make.unique`` does: g, g.1, g.2."""
    taken, unique = set(names), []
    counts: dict[str, int] = {}
    for name in names:
        if name not in counts:
            counts[name] = 0
            unique.append(name)
            continue
        suffixes = accumulate((1 for _ in range(len(names) + 1)), initial=counts[name] + 1)
        number = next(k for k in suffixes if f"{name}.{k}" not in taken)
        counts[name] = number
        taken.add(f"{name}.{number}")
        unique.append(f"{name}.{number}")
    return unique


def _structures(bars: Sequence[Bar], names: Sequence[str], covariances: Mapping[str, str]) -> list[tuple[str, bool]]:
    groups = [bar.name for bar in bars]
    for key, kind in covariances.items():
        if key not in groups and key not in names:
            raise DataError(f"covariances names `{key}`, which is no grouping factor; {suggestion(key, names)}")
        if kind not in STRUCTURES:
            raise DataError(f"covariances of `{key}`: {kind!r} is unknown; use one of {', '.join(STRUCTURES)}")
        if any(bar.structure and key in (bar.name, name) for bar, name in zip(bars, names, strict=True)):
            raise DataError(f"the formula and covariances both name a structure of `{key}`; leave one of them out")
    return [
        (bar.structure, bar.hom)
        if bar.structure
        else STRUCTURES[covariances.get(name, covariances.get(bar.name, "us"))]
        for bar, name in zip(bars, names, strict=True)
    ]


def _check_levels(name: str, n_levels: int, n: int, *, residual: bool) -> None:
    if n_levels < 2:
        raise DataError(
            f"the grouping factor `{name}` has {n_levels} level in the {n} rows used; a variance between levels needs "
            "at least 2, so leave the term out"
        )
    if residual and n_levels >= n:
        raise DataError(
            f"the grouping factor `{name}` has {n_levels} levels in {n} rows; with one row for each level its variance "
            "cannot be told from the residual variance, so use a coarser factor"
        )


def _check_effects(name: str, n_levels: int, effects: Sequence[str], n: int) -> None:
    if n_levels * len(effects) >= n:
        named = ", ".join(effects[:6]) + (", ..." if len(effects) > 6 else "")
        raise DataError(
            f"the random term `{name}` has {n_levels * len(effects)} random effects ({n_levels} levels of "
            f"{len(effects)} effects: {named}) in {n} rows; its variances cannot be told from "
            "the residual variance, so use fewer"
        )
