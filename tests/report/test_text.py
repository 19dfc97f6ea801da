"""Whole print-outs against those of lme4 and lmerTest, from records filled with R's numbers."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mixedpy.report.parts import correlation_note
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
from mixedpy.report.text import print_text, summary_text, varcorr_text

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


def test_the_fits_cover_what_print_outs_can_show():
    assert len(FITS) >= 12
    singular = [fit for fit in FITS.values() if fit["singular"]]
    assert any(fit["dropped"] for fit in singular)
    correlations = np.concatenate([numbers(term["corr"]) for fit in singular for term in fit["terms"]])
    assert np.isnan(correlations).any()
    assert any(abs(c + 1) < 1e-6 for c in correlations)
    assert any(fit["note"] for fit in FITS.values())
    assert any(len(fit["names"]) > 20 for fit in FITS.values())


@every_fit
def test_print(fit):
    assert print_text(print_record(fit)).split("\n") == fit["print"]


@every_fit
def test_summary(fit):
    assert summary_text(summary_record(fit), correlation_note=False).split("\n") == fit["summary"]


@every_fit
def test_note_on_correlations(fit):
    record = summary_record(fit)
    wanted = fit["note"]
    note = correlation_note(record)
    assert (["", *note, ""] if note else []) == wanted
    shown, silent = summary_text(record), summary_text(record, correlation_note=False)
    assert shown.replace("\n".join(["", *wanted]), "", 1) == silent
    assert len(shown) == len(silent) + len("\n".join(["", *wanted])) * bool(wanted)


@every_fit
def test_varcorr(fit):
    record = varcorr(fit)
    assert varcorr_text(record).split("\n") == fit["varcorr"]
    assert varcorr_text(record, 3, ["Variance", "Std.Dev."]).split("\n") == fit["varcorr3"]


def test_a_component_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"Std\.Dev\."):
        varcorr_text(varcorr(FITS["dyestuff"]), comp=("sd",))


def test_a_diagonal_term_shows_no_correlations():
    record = varcorr(FITS["sleepstudy_reml"])
    diagonal = dataclasses.replace(record.terms[0], template="diag")
    assert "Corr" not in varcorr_text(dataclasses.replace(record, terms=(diagonal,)))


def test_a_fit_that_did_not_converge_says_so():
    fit = FITS["dyestuff2_reml"]
    failed = dataclasses.replace(notes(fit), converged=False, message="the iteration limit was reached")
    heading = "optimizer (trust region) convergence code: 1 (the iteration limit was reached)"
    printed = print_text(dataclasses.replace(print_record(fit), notes=failed))
    assert printed.endswith(f"\n{heading} ; 0 optimizer warnings; 2 mixedpy warnings ")
    summary = summary_text(dataclasses.replace(summary_record(fit), notes=failed))
    tail = [heading, "Model failed to converge", "boundary (singular) fit: see help('isSingular')", ""]
    assert summary.endswith("\n" + "\n".join(tail))
    unexplained = dataclasses.replace(failed, message=None)
    assert "code: 1 (the criteria" in print_text(dataclasses.replace(print_record(fit), notes=unexplained))


def test_criteria_of_maximum_likelihood_are_complete():
    record = print_record(FITS["sleepstudy_ml"])
    with pytest.raises(ValueError, match="lack BIC"):
        print_text(dataclasses.replace(record, criteria=dataclasses.replace(record.criteria, bic=None)))


def test_many_levels_print_as_in_r():
    many = Notes(200000, (("person", 100000),))
    fit = FITS["dyestuff"]
    assert "person, 1e+05" in summary_text(dataclasses.replace(summary_record(fit), notes=many))
    assert "person, 100000" in print_text(dataclasses.replace(print_record(fit), notes=many))
