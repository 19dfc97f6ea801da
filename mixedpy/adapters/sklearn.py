"""A scikit-learn estimator: a linear mixed model with random effects of some columns of X."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_array, check_is_fitted, check_X_y, validate_data

from mixedpy.core.arrays import Floats
from mixedpy.core.control import Control
from mixedpy.design.columns import as_factor
from mixedpy.design.reader import read_column
from mixedpy.errors import SingularFitWarning
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.request import DEFAULT_CONTROL

__all__ = ["MixedRegressor"]


class MixedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear mixed model in which some columns of X name the groups of the rows.

    All other columns are fixed effects; every grouping column has random intercepts, and random slopes of the columns
    in ``slopes``. Predictions use the random effects of known groups; a group that was not in the training data gets
    effects of zero. Without groups there is nothing to pool, and the fit is by least squares.

    Parameters
    ----------
    groups : sequence of str or int, optional
        Grouping columns: names of a DataFrame's columns, or positions.
    slopes : sequence of str or int, optional
        Columns whose slopes vary over every grouping column.
    correlated : bool
        Whether slopes and intercepts of a group are correlated.
    reml : bool
        REML rather than maximum likelihood.
    control : Control, optional
        How the fit is computed; by default as by `mixedpy.lmer`.

    Attributes
    ----------
    fit_ : LmmFit or None
        The mixed model; None without groups.
    coef_ : (p,) array
        Slopes of the fixed part, one for each of its columns.
    intercept_ : float
        Its intercept.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : (n_features_in_,) array
        Their names, if X was a DataFrame.

    Examples
    --------
    >>> import mixedpy as mp
    >>> from mixedpy.adapters.sklearn import MixedRegressor
    >>> sleepstudy = mp.datasets.load("sleepstudy")
    >>> X, y = sleepstudy[["Days", "Subject"]], sleepstudy["Reaction"]
    >>> model = MixedRegressor(groups=["Subject"], slopes=["Days"]).fit(X, y)
    >>> round(model.intercept_, 3), model.coef_.round(3)
    (251.405, array([10.467]))
    >>> round(model.score(X, y), 2)
    0.83
    """

    def __init__(
        self,
        groups: Sequence[str | int] | None = None,
        slopes: Sequence[str | int] | None = None,
        *,
        correlated: bool = True,
        reml: bool = True,
        control: Control | None = None,
    ) -> None:
        self.groups = groups
        self.slopes = slopes
        self.correlated = correlated
        self.reml = reml
        self.control = control

    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> MixedRegressor:
        """Fit the model.

        Parameters
        ----------
        X : (n, k) array or DataFrame
            Numbers; grouping columns may hold values of any type, such as texts or categories, one for each group.
        y : (n,) array
            Response.
        sample_weight : (n,) array, optional
            Prior weights: the residual variance of a row is inversely proportional to its weight. Rows of weight zero
            are left out.

        Returns
        -------
        MixedRegressor
            Itself.
        """
        rows: Floats
        response: Floats
        if self.groups:
            X = self._shaped(X, reset=True)
        else:
            rows, response = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self._groups, slopes = self._positions(self.groups, "groups"), self._positions(self.slopes, "slopes")
        self._fixed = [k for k in range(self.n_features_in_) if k not in self._groups]
        if self._groups:
            numbers = self._numbers(X)
            rows, response = check_X_y(
                numbers, y, dtype=np.float64, y_numeric=True, ensure_min_features=0, estimator=self
            )
        labels = self._labels(X)
        weights: Floats | None = None
        if sample_weight is not None:
            weights = np.asarray(_check_sample_weight(sample_weight, rows, ensure_non_negative=True))
            used = weights > 0
            rows, response, weights = rows[used], response[used], weights[used]
            labels = {name: values[used] for name, values in labels.items()}
        self.fit_: LmmFit | None = None
        if self._groups:
            self._fit_mixed({**self._named(rows), **labels}, response, weights, slopes)
        elif slopes:
            raise ValueError("slopes need groups over which they vary; name the grouping columns in groups=")
        else:
            self._fit_least_squares(rows, response, weights)
        return self

    def predict(self, X: Any) -> Floats:
        """Predict, with the random effects of the groups that the model has seen, (n,)."""
        check_is_fitted(self)
        if self.fit_ is None:
            rows: Floats = validate_data(self, X, dtype=np.float64, reset=False)
            return np.asarray(rows @ self.coef_ + self.intercept_)
        X = self._shaped(X, reset=False)
        rows = check_array(self._numbers(X), dtype=np.float64, ensure_min_features=0, estimator=self)
        return np.asarray(self.fit_.predict({**self._named(rows), **self._labels(X)}, allow_new_levels=True))

    def _shaped(self, X: Any, *, reset: bool) -> Any:
        """A table as it is or an array of any type, with as many columns, of the same names, as the estimator knows."""
        if not hasattr(X, "columns"):
            X = check_array(X, dtype=None, estimator=self)
        validate_data(self, X, skip_check_array=True, reset=reset)
        return X

    def _numbers(self, X: Any) -> Any:
        """X without its grouping columns."""
        if not self._fixed:
            return np.empty((X.shape[0], 0))
        return X.iloc[:, self._fixed] if hasattr(X, "iloc") else X[:, self._fixed]

    def _labels(self, X: Any) -> dict[str, pd.Categorical[Any]]:
        """The grouping columns of X as categories, by the names that the formula has for them."""
        return {_name(k): self._categories(X, k) for k in self._groups}

    def _categories(self, X: Any, k: int) -> pd.Categorical[Any]:
        raw = X.iloc[:, k] if hasattr(X, "iloc") else X[X.columns[k]] if hasattr(X, "columns") else X[:, k]
        shown = str(getattr(self, "feature_names_in_", range(self.n_features_in_))[k])
        factor = as_factor(read_column(shown, raw))
        missing = factor.missing()
        if missing is not None:
            raise ValueError(f"the grouping column {shown} has no value in {int(missing.sum())} rows; leave them out")
        return pd.Categorical.from_codes(factor.codes, pd.Index(factor.levels))

    def _named(self, rows: Floats) -> dict[str, Floats]:
        """The columns that are no groups, by the names that the formula has for them."""
        return {_name(k): rows[:, j] for j, k in enumerate(self._fixed)}

    def _positions(self, columns: Sequence[str | int] | None, what: str) -> list[int]:
        """Find columns by name or position."""
        if columns is None:
            return []
        if isinstance(columns, str | int):
            raise ValueError(f"{what}={columns!r} must be a list of columns, such as [{columns!r}]")
        names = list(getattr(self, "feature_names_in_", []))
        found = []
        for column in columns:
            if isinstance(column, str) and column in names:
                found.append(names.index(column))
            elif isinstance(column, int | np.integer) and -self.n_features_in_ <= column < self.n_features_in_:
                found.append(int(column) % self.n_features_in_)
            else:
                known = f"; it has {', '.join(names)}" if names else f" with {self.n_features_in_} columns"
                raise ValueError(f"{what} names {column!r}, which is no column of X{known}")
        return found

    def _fit_mixed(self, table: dict[str, Any], y: Floats, weights: Floats | None, slopes: list[int]) -> None:
        fixed = [_name(k) for k in self._fixed]
        effects = " + ".join(["1", *map(_name, slopes)])
        bar = "|" if self.correlated else "||"
        random = [f"({effects} {bar} {_name(k)})" for k in self._groups]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)  # an ordinary outcome; fit_.singular says so
            formula = f"y ~ {' + '.join(['1', *fixed, *random])}"
            fit = lmer(
                formula, {**table, "y": y}, reml=self.reml, weights=weights, control=self.control or DEFAULT_CONTROL
            )
        self.fit_ = fit
        self.intercept_ = float(fit.fixef["(Intercept)"])
        self.coef_ = np.asarray(fit.fixef.reindex(fixed, fill_value=0.0))

    def _fit_least_squares(self, X: Floats, y: Floats, weights: Floats | None) -> None:
        root = np.ones(len(y)) if weights is None else np.sqrt(weights)
        total = (root**2).sum()
        centre, level = root**2 @ X / total, float(root**2 @ y / total)
        self.coef_ = np.linalg.lstsq((X - centre) * root[:, None], (y - level) * root, rcond=None)[0]
        self.intercept_ = level - float(centre @ self.coef_)


def _name(k: int) -> str:
    return f"x{k}"
