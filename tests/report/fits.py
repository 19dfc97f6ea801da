"""Records filled with the numbers of fits that lme4 and lmerTest found."""

import json
from pathlib import Path

import numpy as np
import pytest

from mixedpy.report.records import (
    CoefTable,
    Criteria,
    FitHeader,
    Notes,
    PrintRecord,
    SummaryRecord,
    VarCorrRecord,
    VarCorrTerm,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "report_reference.json").read_text(encoding="utf-8"))
FITS = {fit["name"]: fit for fit in REFERENCE["fits"]}
every_fit = pytest.mark.parametrize("fit", FITS.values(), ids=FITS.keys())


def numbers(texts):
    return np.array(["nan" if t == "NA" else t for t in np.ravel(texts).tolist()], dtype=np.float64)


def header(fit):
    return FitHeader(
        fit["reml"], fit["formula"], fit["data"], fit["weights"], fit["offset"], fit["family"], fit["link"], fit["nagq"]
    )


def criteria(fit):
    values = {name: float(text) for name, text in fit["criteria"].items()}
    if fit["reml"]:
        return Criteria(reml_criterion=values["REML"])
    return Criteria(None, values["AIC"], values["BIC"], values["logLik"], values["deviance"], int(values["df.resid"]))


def varcorr(fit):
    terms = []
    for term in fit["terms"]:
        m = len(term["effects"])
        corr = numbers(term["corr"]).reshape(m, m)
        terms.append(VarCorrTerm(term["name"], tuple(term["effects"]), numbers(term["sd"]), corr))
    return VarCorrRecord(tuple(terms), None if fit["sigma"] is None else float(fit["sigma"]))


def notes(fit):
    dropped = tuple(f"column {k}" for k in range(fit["dropped"]))
    return Notes(fit["nobs"], tuple(fit["groups"].items()), singular=fit["singular"], dropped=dropped)


def print_record(fit):
    estimate = numbers(fit["coefficients"][0]) if fit["names"] else np.empty(0)
    return PrintRecord(header(fit), criteria(fit), varcorr(fit), notes(fit), tuple(fit["names"]), estimate)


def summary_record(fit):
    columns = {name: numbers(c) for name, c in zip(fit["columns"], fit["coefficients"], strict=True)}
    if not fit["names"]:
        columns = {name: np.empty(0) for name in ("Estimate", "Std. Error", "t value")}
    statistic = "z" if "z value" in columns else "t"
    label = {"Satterthwaite": "Satterthwaite's", "Kenward-Roger": "Kenward-Roger's", None: None}[fit["tests"]]
    p = len(fit["names"])
    return SummaryRecord(
        header(fit),
        criteria(fit),
        numbers(fit["residuals"]),
        varcorr(fit),
        notes(fit),
        CoefTable(
            tuple(fit["names"]),
            columns["Estimate"],
            columns["Std. Error"],
            columns[f"{statistic} value"],
            columns.get("df"),
            columns.get(f"Pr(>|{statistic}|)"),
            label,
            statistic,
        ),
        None if fit["correlation"] is None else numbers(fit["correlation"]).reshape(p, p),
    )
