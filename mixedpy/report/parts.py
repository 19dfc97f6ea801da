"""The pieces of a print-out that text and HTML share: titles, criteria, sizes, correlations, warnings."""

from __future__ import annotations

from collections.abc import Sequence

from mixedpy.report.abbreviation import abbreviate
from mixedpy.report.numbers import as_character, format_numbers
from mixedpy.report.records import Criteria, FitHeader, Floats, Notes, SummaryRecord
from mixedpy.report.rounding import round_decimals, zap_small

__all__ = [
    "LARGEST_CORRELATION",
    "accuracy_messages",
    "class_name",
    "correlation_cells",
    "correlation_note",
    "criteria_items",
    "family_text",
    "groups_text",
    "missing_messages",
    "optimizer_heading",
    "optimizer_messages",
    "rank_messages",
    "residual_items",
    "source_items",
    "title",
]

LARGEST_CORRELATION = 12


def title(header: FitHeader, ddf_label: str | None = None) -> str:
    """Say what was fitted and how; the blank after "likelihood" is R's.

    Examples
    --------
    >>> title(FitHeader(True, "y ~ (1 | g)"), "Satterthwaite's")
    "Linear mixed model fit by REML. t-tests use Satterthwaite's method"
    """
    kind = "Linear" if header.family is None else "Generalized linear"
    if header.reml:
        method = "REML"
    elif header.family is None:
        method = "maximum likelihood "
    elif header.nagq == 1:
        method = "maximum likelihood (Laplace Approximation)"
    else:
        method = f"maximum likelihood (Adaptive Gauss-Hermite Quadrature, nAGQ = {header.nagq})"
    tests = "" if ddf_label is None else f". t-tests use {ddf_label} method"
    return f"{kind} mixed model fit by {method}{tests}"


def class_name(header: FitHeader, ddf_label: str | None = None) -> str:
    """Name the class that R's print-out of such a fit names.

    Examples
    --------
    >>> class_name(FitHeader(True, "y ~ (1 | g)")), class_name(FitHeader(True, "y ~ (1 | g)"), "Kenward-Roger's")
    ('lmerMod', 'lmerModLmerTest')
    """
    if header.family is not None:
        return "glmerMod"
    return "lmerMod" if ddf_label is None else "lmerModLmerTest"


def family_text(header: FitHeader) -> str | None:
    """Name family and link as R does; None for a linear model.

    Examples
    --------
    >>> family_text(FitHeader(False, "y ~ (1 | g)", family="binomial", link="logit"))
    'binomial  ( logit )'
    """
    if header.family is None:
        return None
    return header.family if header.link is None else f"{header.family}  ( {header.link} )"


def source_items(header: FitHeader) -> list[tuple[str, str]]:
    """Pair the names of data, weights and offset with their labels, those that there are.

    Examples
    --------
    >>> source_items(FitHeader(True, "y ~ (1 | g)", data_name="d", offset_name="o"))
    [('Data', 'd'), ('Offset', 'o')]
    """
    items = (("Data", header.data_name), ("Weights", header.weights_name), ("Offset", header.offset_name))
    return [(label, name) for label, name in items if name is not None]


def criteria_items(criteria: Criteria, decimals: int) -> list[tuple[str, str]]:
    """Format the fit criteria at a number of decimals: one item of a REML fit, five of a maximum-likelihood fit.

    Raises
    ------
    ValueError
        If ``reml_criterion`` is None and one of the others is, too.

    Examples
    --------
    >>> criteria_items(Criteria(reml_criterion=1743.62827), 1)
    [('REML criterion at convergence', '1743.6')]
    """
    if criteria.reml_criterion is not None:
        rounded = float(round_decimals(criteria.reml_criterion, decimals))
        return [("REML criterion at convergence", as_character(rounded, 7))]
    named = {
        "AIC": criteria.aic,
        "BIC": criteria.bic,
        "logLik": criteria.loglik,
        "deviance": criteria.deviance,
        "df.resid": criteria.df_resid,
    }
    values = [v for v in named.values() if v is not None]
    if len(values) < len(named):
        absent = ", ".join(name for name, v in named.items() if v is None)
        raise ValueError(f"the criteria of a maximum-likelihood fit lack {absent}; give all five, or reml_criterion")
    texts = format_numbers(round_decimals(values, decimals))
    texts[-1] = as_character(float(values[-1]), 7)
    return list(zip(named, texts, strict=True))


def residual_items(quantiles: Floats, digits: int) -> list[tuple[str, str]]:
    """Format minimum, quartiles and maximum of the scaled residuals.

    Examples
    --------
    >>> import numpy as np
    >>> residual_items(np.array([-3.95358, -0.463397, 0.0231203, 0.463395, 5.179280]), 4)[1:3]
    [('1Q', '-0.4634'), ('Median', ' 0.0231')]
    """
    texts = format_numbers(zap_small(quantiles, digits + 1), digits)
    return list(zip(("Min", "1Q", "Median", "3Q", "Max"), texts, strict=True))


def groups_text(notes: Notes, *, as_double: bool) -> str:
    """List the grouping factors with their numbers of levels.

    Parameters
    ----------
    notes : Notes
        The sizes.
    as_double : bool
        Whether the numbers of levels are written as R writes floating-point numbers ("1e+05" for 100000), which
        its summaries do, or as whole numbers.

    Examples
    --------
    >>> groups_text(Notes(144, (("plate", 24), ("sample", 6))), as_double=True)
    'plate, 24; sample, 6'
    """
    return "; ".join(f"{name}, {as_character(float(k)) if as_double else k}" for name, k in notes.ngroups)


def missing_messages(notes: Notes) -> list[str]:
    """Count the rows left out for missing values, in the words of R's ``lm``; nothing where there are none.

    Examples
    --------
    >>> missing_messages(Notes(30, (("Batch", 6),), n_missing_rows=2))
    ['2 observations deleted due to missingness']
    """
    if notes.n_missing_rows == 0:
        return []
    plural = "" if notes.n_missing_rows == 1 else "s"
    return [f"{notes.n_missing_rows} observation{plural} deleted due to missingness"]


def accuracy_messages(notes: Notes) -> list[str]:
    """Give the Monte-Carlo standard error of an estimated log-likelihood, in its own line as lme4 has none.

    Examples
    --------
    >>> accuracy_messages(Notes(10, (("g", 2),), loglik_se=0.00123456))
    ['Monte-Carlo standard error of the log-likelihood: 0.0012']
    >>> accuracy_messages(Notes(10, (("g", 2),)))
    []
    """
    if notes.loglik_se == 0.0:
        return []
    return [f"Monte-Carlo standard error of the log-likelihood: {notes.loglik_se:.2g}"]


def correlation_cells(names: Sequence[str], correlation: Floats) -> tuple[list[str], list[str], list[list[str]]]:
    """Lay out the correlations of p fixed effects below the diagonal.

    Returns
    -------
    columns, rows : list of str
        Abbreviated names of the first and of the last p - 1 fixed effects.
    cells : list of list of str
        (p - 1) x (p - 1); empty above the diagonal.

    Examples
    --------
    >>> import numpy as np
    >>> correlation_cells(["(Intercept)", "Days"], np.array([[1.0, -0.138], [-0.138, 1.0]]))
    (['(Intr)'], ['Days'], [['-0.138']])
    """
    p = len(names)
    texts = format_numbers(round_decimals(correlation, 3), nsmall=3)
    cells = [[texts[i * p + j] if j < i else "" for j in range(p - 1)] for i in range(1, p)]
    return abbreviate(names, 6)[:-1], abbreviate(names, 11)[1:], cells


def correlation_note(record: SummaryRecord) -> list[str]:
    """Say that the correlations of more than 12 fixed effects are not shown; empty where they are, or are not many.

    R sends these lines to the standard error stream.
    """
    p = len(record.coef.names)
    if record.correlation is not None or p <= LARGEST_CORRELATION:
        return []
    return [
        f"Correlation matrix not shown by default, as p = {p} > {LARGEST_CORRELATION}.",
        "Use print(x, correlation=TRUE)  or",
        "    vcov(x)        if you need it",
    ]


def rank_messages(notes: Notes) -> list[str]:
    """Say how many columns of a rank-deficient model matrix were dropped.

    Examples
    --------
    >>> rank_messages(Notes(10, (("g", 2),), dropped=("x2",)))
    ['fixed-effect model matrix is rank deficient so dropping 1 column / coefficient']
    """
    k = len(notes.dropped)
    if k == 0:
        return []
    plural = "s" if k > 1 else ""
    return [f"fixed-effect model matrix is rank deficient so dropping {k} column{plural} / coefficient{plural}"]


def optimizer_heading(notes: Notes) -> str | None:
    """Give the optimizer's state if there is something to tell; None after a regular fit.

    A singular fit that converged gets R's line, which names lme4's optimizer, so that the print-out equals R's. A fit
    that did not converge has no counterpart in R; its line names the optimizer that ran.

    Examples
    --------
    >>> optimizer_heading(Notes(10, (("g", 2),), singular=True))
    'optimizer (nloptwrap) convergence code: 0 (OK)'
    """
    if notes.converged:
        return "optimizer (nloptwrap) convergence code: 0 (OK)" if notes.singular else None
    reason = "the criteria for convergence were not met" if notes.message is None else notes.message
    return f"optimizer (trust region) convergence code: 1 ({reason})"


def optimizer_messages(notes: Notes) -> list[str]:
    """List what is wrong with the fit: that it failed to converge, that it is singular.

    Examples
    --------
    >>> optimizer_messages(Notes(10, (("g", 2),), singular=True))
    ["boundary (singular) fit: see help('isSingular')"]
    """
    failed = [] if notes.converged else ["Model failed to converge"]
    singular = ["boundary (singular) fit: see help('isSingular')"] if notes.singular else []
    return failed + singular
