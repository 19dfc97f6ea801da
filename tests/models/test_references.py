"""Every reference model, end to end, against what lme4 says of it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from tests import tolerances as tol
from tests.cases import CASES, PRINTED, Case
from tests.models.fits import fit_of

each_case = pytest.mark.parametrize("reference", CASES, ids=lambda c: c.name)
each_printed = pytest.mark.parametrize("reference", PRINTED, ids=lambda c: c.name)


@each_case
def test_criterion_is_lme4s_and_not_above(reference: Case):
    fit = fit_of(reference)
    assert fit.converged
    assert fit.deviance == pytest.approx(reference.criterion, rel=tol.CRITERION_RTOL)
    assert fit.deviance <= reference.criterion + tol.CRITERION_EXCESS_ATOL
    if reference.reml:
        assert fit.reml_criterion == fit.deviance
    assert fit.singular == reference.singular


@each_case
def test_criteria(reference: Case):
    fit = fit_of(reference)
    assert (fit.nobs, fit.df_resid) == (reference.nobs, reference.df_resid)
    assert fit.loglik == pytest.approx(reference.loglik, rel=tol.LOGLIK_RTOL)
    assert fit.aic == pytest.approx(reference.aic, rel=tol.LOGLIK_RTOL)
    assert fit.bic == pytest.approx(reference.bic, rel=tol.LOGLIK_RTOL)
    k, n = reference.npar, reference.nobs
    assert fit.aicc == pytest.approx(fit.aic + 2 * k * (k + 1) / (n - k - 1))
    assert fit.ngroups == dict(reference.ngrps)


@each_case
def test_fixed_effects(reference: Case):
    fit = fit_of(reference)
    assert tuple(fit.fixef.index) == reference.fixef_names
    assert fit.schema.dropped == reference.dropped
    assert_allclose(fit.fixef / reference.se, reference.fixef / reference.se, rtol=0, atol=tol.FIXEF_SE)
    assert_allclose(fit.se, reference.se, rtol=tol.SE_RTOL)
    scale = np.sqrt(np.outer(np.diag(reference.vcov), np.diag(reference.vcov)))
    assert_allclose(fit.vcov() / scale, reference.vcov / scale, rtol=0, atol=tol.VCOV_RTOL)
    t = fit.summary(ddf=None).tables["fixed"]["t value"]
    assert_allclose(t, reference.t, rtol=tol.SE_RTOL, atol=tol.T_ATOL)


@each_case
def test_variance_components(reference: Case):
    fit = fit_of(reference)
    frame, wanted = fit.varcorr().to_frame(), reference.varcorr
    for column in ("grp", "var1", "var2"):
        found = tuple(None if pd.isna(label) else label for label in frame[column])
        assert found == getattr(wanted, column)
    assert fit.sigma == pytest.approx(reference.sigma, rel=tol.SIGMA_RTOL)
    assert tuple(fit.theta.index) == reference.theta_names
    assert len(fit.theta) == len(reference.theta)
    is_sd = np.array([label is None for label in wanted.var2])
    sd, wanted_sd = frame["sdcor"].to_numpy()[is_sd], wanted.sdcor[is_sd]
    sd_rtol = tol.FLAT_SD_RTOL if reference.flat else tol.SD_RTOL
    assert np.all(np.abs(sd - wanted_sd) <= sd_rtol * np.maximum(wanted_sd, tol.SD_FLOOR * wanted_sd.max()))
    assert_allclose(frame["vcov"].to_numpy()[is_sd], sd**2, rtol=1e-12)
    sd_of = {(grp, var1): s for grp, var1, s in zip(frame["grp"][is_sd], frame["var1"][is_sd], wanted_sd, strict=True)}
    corr_atol = tol.FLAT_CORR_ATOL if reference.flat else tol.CORR_ATOL
    for k in np.flatnonzero(~is_sd):
        pair = [sd_of[wanted.grp[k], wanted.var1[k]], sd_of[wanted.grp[k], wanted.var2[k]]]
        if min(pair) > tol.SD_FLOOR * wanted_sd.max():
            assert frame["sdcor"][k] == pytest.approx(wanted.sdcor[k], abs=corr_atol)
            assert frame["vcov"][k] == pytest.approx(wanted.vcov[k], abs=(corr_atol + 2 * sd_rtol) * pair[0] * pair[1])


@each_case
def test_conditional_modes(reference: Case):
    fit = fit_of(reference)
    found = fit.ranef(condvar=True)
    assert list(found) == list(reference.ranef)
    for group, wanted in reference.ranef.items():
        table = found[group]
        assert len(table) == wanted.n_levels
        effects, sds = table.columns[: len(wanted.effects)], table.columns[len(wanted.effects) :]
        assert tuple(effects) == wanted.effects
        assert list(sds) == [f"{effect}_sd" for effect in wanted.effects]
        rows = table.loc[list(wanted.levels)]
        if len(wanted.levels) == wanted.n_levels:
            assert tuple(table.index) == wanted.levels
        # a mode is multiplied by its column in the linear predictor: compare on the scale of the response
        size = np.maximum(np.abs(wanted.values).max(axis=0), 1e-3 * reference.sigma)
        tolerance = (10 if reference.flat else 1) * tol.MODES_SIGMA
        assert np.all(np.abs(rows[effects].to_numpy() - wanted.values) <= tolerance * np.maximum(size, reference.sigma))
        if reference.flat:
            continue
        variances = np.concatenate([np.einsum("jaa->ja", block) for block in wanted.condvar], axis=1)
        largest = np.concatenate(
            [np.repeat(np.einsum("jaa->ja", b).max(axis=1)[:, None], b.shape[1], axis=1) for b in wanted.condvar],
            axis=1,
        )
        assert np.all(np.abs(rows[sds].to_numpy() ** 2 - variances) <= tol.CONDVAR_RTOL * largest)


@each_case
def test_fitted_values_and_residuals(reference: Case):
    fit = fit_of(reference)
    rows = [int(label) - 1 for label in reference.rows]
    assert list(fit.fitted.index[: len(rows)]) == rows
    loose = 10 if reference.flat else 1
    atol = loose * tol.FITTED_SIGMA * reference.sigma
    assert_allclose(fit.fitted.loc[rows], reference.fitted, rtol=0, atol=atol)
    for kind, unit in (("response", reference.sigma), ("pearson", reference.sigma), ("scaled", 1.0)):
        wanted = getattr(reference.residuals, kind)
        size = np.maximum(1.0, np.abs(wanted) / unit)
        difference = np.abs(fit.residuals(kind).loc[rows] - wanted) / unit
        assert np.all(difference <= loose * tol.RESIDUALS_SIGMA * size * _largest_root_weight(fit))
    quantiles = fit.summary(ddf=None).tables["scaled_residuals"].to_numpy()[0]
    assert_allclose(
        quantiles, reference.scaled_quantiles, rtol=0, atol=loose * tol.RESIDUALS_SIGMA * _largest_root_weight(fit)
    )


def _largest_root_weight(fit) -> float:
    return 1.0 if fit.design.weights is None else float(np.sqrt(fit.design.weights.max()))


MISSING = re.compile(r"\n  \(\d+ observations? deleted due to missingness\)")
"""Our one line more: lme4 does not say how many rows it left out."""

NUMBER = re.compile(r"-?\d+\.\d+")


def assert_printed(found: str, wanted: str) -> None:
    """Compare all but numbers character by character, numbers to one unit of the last decimal shown or to 2e-5.

    Some print-outs show eight digits of a standard deviation of which the criterion, to 1e-11, determines five: there
    R's last digits are an accident of its optimizer.
    """
    assert NUMBER.sub("#", found) == NUMBER.sub("#", wanted)
    for ours, theirs in zip(NUMBER.findall(found), NUMBER.findall(wanted), strict=True):
        decimals = len(theirs.partition(".")[2])
        assert float(ours) == pytest.approx(float(theirs), rel=2e-5, abs=1.01 * 10.0**-decimals)


@each_printed
def test_print(reference: Case):
    assert_printed(MISSING.sub("", str(fit_of(reference, tightly=True))), reference.printed.print)


@each_printed
def test_print_of_the_summary(reference: Case):
    assert_printed(MISSING.sub("", str(fit_of(reference, tightly=True).summary(ddf=None))), reference.printed.summary)


@each_printed
def test_print_of_varcorr(reference: Case):
    assert_printed(str(fit_of(reference, tightly=True).varcorr()), reference.printed.varcorr)


def test_print_outs_equal_r_character_by_character():
    fits = [(c, fit_of(c, tightly=True)) for c in PRINTED]
    equal = [
        c.name
        for c, fit in fits
        if (MISSING.sub("", str(fit)), MISSING.sub("", str(fit.summary(ddf=None))), str(fit.varcorr()))
        == (c.printed.print, c.printed.summary, c.printed.varcorr)
    ]
    assert len(equal) >= 0.8 * len(PRINTED) >= 12


@each_case
def test_rows_left_out_are_reported(reference: Case):
    fit = fit_of(reference)
    left_out = len(reference.frame()) - reference.nobs
    for text in (str(fit), str(fit.summary(ddf=None)), fit._repr_html_()):
        assert (f"{left_out} observation" in text) == (left_out > 0)


@each_printed
def test_html_shows_the_same_numbers(reference: Case):
    fit = fit_of(reference)
    for text in (fit._repr_html_(), fit.summary(ddf=None)._repr_html_(), fit.varcorr()._repr_html_()):
        assert "<table" in text
        for group in fit.ngroups:
            assert group in text
