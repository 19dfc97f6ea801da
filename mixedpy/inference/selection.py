"""Which random effects enter a prediction: ``re_form``."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mixedpy.design import Schema, TermSchema
from mixedpy.design.columns import Basis, Column, Factor, Numeric
from mixedpy.design.encode import encode
from mixedpy.errors import FormulaError
from mixedpy.formula import Bar, parse

__all__ = ["NA", "Selection", "select"]

NA: Final = "NA"
"""For ``re_form``: no random effects."""

Selection: TypeAlias = tuple[NDArray[np.bool_], ...]
"""Per random term, (m,): whether each effect is selected."""


def select(schema: Schema, re_form: str | None) -> Selection:
    """Read ``re_form``: None selects all effects, ``"NA"`` or ``"~ 0"`` none, a formula of bars those that it names.

    As in lme4 an effect is identified by its grouping factor and its name, whichever term of the fit it stands in.

    Raises
    ------
    FormulaError
        If the text cannot be read, or names an effect that the fit does not have.
    """
    if re_form is None:
        return tuple(np.ones(len(term.effects), dtype=bool) for term in schema.terms)
    if not isinstance(re_form, str):
        raise TypeError(f"re_form={re_form!r} must be None, 'NA' or a formula of random terms such as '~ (1 | g)'")
    chosen = tuple(np.zeros(len(term.effects), dtype=bool) for term in schema.terms)
    text = re_form.strip().removeprefix("~").strip()
    if text in (NA, "0"):
        return chosen
    formula = parse(f"{schema.response} ~ {text}", schema.functions)
    if formula.fixed is not None:
        message = "re_form holds random terms only, such as ~ (1 | g); the fixed effects always enter"
        raise FormulaError(message, formula.source, formula.source.index("~"), len(formula.source))
    for bar in formula.bars:
        terms = [(term, mask) for term, mask in zip(schema.terms, chosen, strict=True) if term.group == bar.name]
        if not terms:
            groups = ", ".join(dict.fromkeys(term.group for term in schema.terms))
            message = f"the fit has no random effects of {bar.name}; it has those of {groups}"
            raise FormulaError(message, formula.source, bar.start, bar.stop)
        for effect in _effect_names(bar, [term for term, _ in terms], formula.source):
            for term, mask in terms:
                mask |= np.array([name == effect for name in term.effects])
    return chosen


def _effect_names(bar: Bar, terms: list[TermSchema], source: str) -> tuple[str, ...]:
    """Name the effects of a bar as the fit names them: its factors have the levels and the coding of the fit."""
    known = {name for term in terms for name in term.effects}
    nothing = np.zeros(0)
    values: dict[str, Column] = {}
    for term in terms:
        for variable in term.encoding.variables:
            if variable.endings is not None:
                values[variable.name] = Basis(np.zeros((0, len(variable.endings))), variable.endings)
            elif variable.levels is None:
                values[variable.name] = Numeric(nothing)
            else:
                ordered = variable.coding is not None and variable.coding.name == "poly"
                values[variable.name] = Factor(nothing.astype(np.intp), variable.levels, ordered)
    used = {bar.effects.names[v] for term in bar.effects.terms for v in term}
    unknown = sorted(used - set(values))
    effects = () if unknown else encode(bar.effects, values).names
    unknown += [name for name in effects if name not in known]
    if unknown:
        seen, wanted = ", ".join(unknown), ", ".join(sorted(known))
        message = f"the fit has no random effect {seen} of {bar.name}; it has {wanted}"
        raise FormulaError(message, source, bar.start, bar.stop)
    return effects
