"""Print-outs as text, character by character those of R's lme4 1.1-31 and lmerTest on a page 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from mixedpy.report import parts
from mixedpy.report.coefmat import OWN_CAPTION, OWN_COLUMNS, coefficient_lines, own_cells
from mixedpy.report.formula_lines import formula_lines
from mixedpy.report.layout import WIDTH, fill_line, matrix_lines, named_vector_lines, wrap_words
from mixedpy.report.numbers import format_numbers
from mixedpy.report.records import Criteria, FitHeader, Notes, PrintRecord, SummaryRecord, VarCorrRecord
from mixedpy.report.varcorr import VARIANCE_AND_SD, varcorr_lines

__all__ = ["print_text", "summary_text", "varcorr_text"]


def print_text(record: PrintRecord, digits: int = 4) -> str:
    """Print a fit as R's ``print(m)`` does.

    Parameters
    ----------
    record : PrintRecord
        The numbers and names.
    digits : int
        Significant digits of random and fixed effects.

    Returns
    -------
    str
        Lines without a final line break.

    Notes
    -----
    Rows left out for missing values are counted below the sizes, as by R's ``lm``; lme4 does not mention them. The
    Monte-Carlo error of a log-likelihood estimated by the iterative factorization stands there too.
    The line on the optimizer of a singular fit names lme4's optimizer, as R's does; that of a fit that did not converge
    names the optimizer that ran.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> print(print_text(PrintRecord(
    ...     FitHeader(True, "Yield ~ 1 + (1 | Batch)", "Dyestuff"), Criteria(319.65428),
    ...     VarCorrRecord((batch,), 49.51010), Notes(30, (("Batch", 6),)), ("(Intercept)",), np.array([1527.5]))))
    Linear mixed model fit by REML ['lmerMod']
    Formula: Yield ~ 1 + (1 | Batch)
       Data: Dyestuff
    REML criterion at convergence: 319.6543
    Random effects:
     Groups   Name        Std.Dev.
     Batch    (Intercept) 42.00
     Residual             49.51
    Number of obs: 30, groups:  Batch, 6
    Fixed Effects:
    (Intercept)
           1528
    """
    lines = _heading_lines(record.header, None)
    lines += _criteria_lines(record.criteria, 4)
    lines += ["Random effects:", *varcorr_lines(record.varcorr, digits, ["Std.Dev."])]
    lines += _size_lines(record.notes, as_double=False)
    if record.fixef_names:
        lines += ["Fixed Effects:"]
        lines += named_vector_lines(record.fixef_names, format_numbers(record.fixef, digits), gap=2)
    else:
        lines += ["No fixed effect coefficients"]
    lines += _rank_lines(record.notes)
    heading = parts.optimizer_heading(record.notes)
    if heading is not None:
        count = len(parts.optimizer_messages(record.notes))
        source = "lme4" if record.notes.converged else "mixedpy"
        lines += [f"{heading} ; 0 optimizer warnings; {count} {source} warnings "]
    return "\n".join(lines)


def summary_text(record: SummaryRecord, digits: int = 4, *, correlation_note: bool = True) -> str:
    """Print a summary as R's ``print(summary(m))`` does, that of lmerTest if there are p values.

    Parameters
    ----------
    record : SummaryRecord
        The numbers and names.
    digits : int
        Significant digits of residuals, random and fixed effects.
    correlation_note : bool
        Whether to say that the correlations of more than 12 fixed effects are left out. R sends that note to the
        standard error stream, so that it is not part of what R's ``capture.output`` records.

    Returns
    -------
    str
        Lines without a final line break.

    Notes
    -----
    Rows left out for missing values are counted below the sizes, as by R's ``lm``; lme4 does not mention them.
    The line on the optimizer of a singular fit names lme4's optimizer, as R's does; that of a fit that did not converge
    names the optimizer that ran.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import CoefTable, VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> print(summary_text(SummaryRecord(
    ...     FitHeader(True, "Yield ~ 1 + (1 | Batch)", "Dyestuff"), Criteria(319.65428),
    ...     np.array([-1.41168, -0.763424, 0.141779, 0.779183, 1.827656]),
    ...     VarCorrRecord((batch,), 49.51010), Notes(30, (("Batch", 6),)),
    ...     CoefTable(("(Intercept)",), np.array([1527.5]), np.array([19.38341]), np.array([78.80447])))))
    Linear mixed model fit by REML ['lmerMod']
    Formula: Yield ~ 1 + (1 | Batch)
       Data: Dyestuff
    <BLANKLINE>
    REML criterion at convergence: 319.7
    <BLANKLINE>
    Scaled residuals:
        Min      1Q  Median      3Q     Max
    -1.4117 -0.7634  0.1418  0.7792  1.8277
    <BLANKLINE>
    Random effects:
     Groups   Name        Variance Std.Dev.
     Batch    (Intercept) 1764     42.00
     Residual             2451     49.51
    Number of obs: 30, groups:  Batch, 6
    <BLANKLINE>
    Fixed effects:
                Estimate Std. Error t value
    (Intercept)  1527.50      19.38    78.8
    """
    lines = [*_heading_lines(record.header, record.coef.ddf_label), ""]
    lines += [*_criteria_lines(record.criteria, 1), ""]
    names, texts = zip(*parts.residual_items(record.scaled_residuals, digits), strict=True)
    lines += ["Scaled residuals: ", *named_vector_lines(names, texts), ""]
    lines += ["Random effects:", *varcorr_lines(record.varcorr, digits, VARIANCE_AND_SD)]
    lines += _size_lines(record.notes, as_double=True)
    if record.coef.names:
        lines += ["", "Fixed effects:", *coefficient_lines(record.coef, digits)]
    if record.own is not None:
        cells = own_cells(record.own, digits)
        lines += ["", f"{OWN_CAPTION}:", *matrix_lines(OWN_COLUMNS, record.own.names, cells, right=True)]
    if record.correlation is not None and len(record.coef.names) > 1:
        lines += ["", "Correlation of Fixed Effects:"]
        lines += matrix_lines(*parts.correlation_cells(record.coef.names, record.correlation))
    note = parts.correlation_note(record)
    if note and correlation_note:
        lines += ["", *note, ""]
    lines += _rank_lines(record.notes)
    heading = parts.optimizer_heading(record.notes)
    if heading is not None:
        lines += [heading, *parts.optimizer_messages(record.notes), ""]
    return "\n".join(lines)


def varcorr_text(record: VarCorrRecord, digits: int | None = None, comp: Sequence[str] = ("Std.Dev.",)) -> str:
    """Print the random effects as R's ``print(VarCorr(m))`` does.

    Parameters
    ----------
    record : VarCorrRecord
        The random effects.
    digits : int, optional
        Significant digits; 5 if not given.
    comp : sequence of str
        "Variance", "Std.Dev." or both.

    Returns
    -------
    str
        Lines without a final line break.

    Examples
    --------
    >>> import numpy as np
    >>> from mixedpy.report.records import VarCorrTerm
    >>> batch = VarCorrTerm("Batch", ("(Intercept)",), np.array([42.00060]), np.eye(1))
    >>> print(varcorr_text(VarCorrRecord((batch,), 49.51010)))
     Groups   Name        Std.Dev.
     Batch    (Intercept) 42.001
     Residual             49.510
    """
    return "\n".join(varcorr_lines(record, 5 if digits is None else digits, comp))


def _heading_lines(header: FitHeader, ddf_label: str | None) -> list[str]:
    title, name = parts.title(header, ddf_label), parts.class_name(header, ddf_label)
    if len(title) + 5 + len(name) > WIDTH:
        lines = fill_line([*wrap_words(title, WIDTH - 2, hanging=2), " [", name, "]"], sep="")
    else:
        lines = [f"{title} ['{name}']"]
    family = parts.family_text(header)
    if family is not None:
        lines += fill_line([" Family:", family])
    lines += fill_line(["Formula:", *formula_lines(header.formula)])
    for label, source in parts.source_items(header):
        lines += fill_line([f"{label:>7}:", source])
    return lines


def _criteria_lines(criteria: Criteria, decimals: int) -> list[str]:
    items = parts.criteria_items(criteria, decimals)
    if criteria.reml_criterion is not None:
        return [f"{name}: {text}" for name, text in items]
    names, texts = zip(*items, strict=True)
    return named_vector_lines(names, texts)


def _size_lines(notes: Notes, *, as_double: bool) -> list[str]:
    lines = fill_line([f"Number of obs: {notes.nobs}, groups: ", parts.groups_text(notes, as_double=as_double)])
    messages = [*parts.missing_messages(notes), *parts.accuracy_messages(notes)]
    return [*lines, *(f"  ({text})" for text in messages)]


def _rank_lines(notes: Notes) -> list[str]:
    messages = parts.rank_messages(notes)
    return ["fit warnings:", *messages] if messages else []
