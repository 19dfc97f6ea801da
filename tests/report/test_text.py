"""Whole print-outs against those of lme4 and lmerTest, from records filled with R's numbers."""

import dataclasses

import numpy as np
import pytest

from mixedpy.report.parts import correlation_note
from mixedpy.report.records import Notes
from mixedpy.report.text import print_text, summary_text, varcorr_text
from tests.report.fits import FITS, every_fit, notes, numbers, print_record, summary_record, varcorr


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
