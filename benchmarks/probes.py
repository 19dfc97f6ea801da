"""The iterative factorization against the exact one over 20 seeds of the probes, without exact last steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from children import Settings
from problems import problem
from run import parser, write
from tables import machine, markdown

import mixedpy as mp

__all__ = ["main"]

_SEEDS = range(20)

_MODELS = (
    ("insteval2", "y ~ service + (1 | s) + (1 | d)"),
    ("insteval3", "y ~ service + (1 | s) + (1 | d) + (1 | dept)"),
    ("insteval3", "y ~ service + (1 | s) + (service | d) + (1 | dept)"),
    ("insteval3", "y ~ service + (service | s) + (1 | d) + (1 | dept)"),
    ("crossed", "y ~ x + (1 | u) + (1 | i)"),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Print errors of theta, and stated beside true errors of the log-likelihood."""
    args = parser(__doc__).parse_args(argv)
    rows = []
    for name, formula in _MODELS:
        table = problem(name).table()
        exact = mp.lmer(formula, table, control=mp.Control(factorization="blocked"))
        fits = [
            mp.lmer(formula, table, control=mp.Control(factorization="iterative", finish=False, seed=seed))
            for seed in _SEEDS
        ]
        theta = np.array([fit.theta.to_numpy() for fit in fits])
        wanted = exact.theta.to_numpy()
        stated = np.array([fit.convergence.loglik_se for fit in fits])
        z = np.array([fit.loglik - exact.loglik for fit in fits]) / stated
        rows.append(
            [
                f"`{formula.replace('|', chr(92) + '|')}`, {exact.nobs:,} rows",
                f"{100 * np.max(np.abs(theta - wanted) / np.abs(wanted)):.5f} %",
                f"{stated.min():.4f} to {stated.max():.4f}",
                f"{np.sqrt(np.mean(z**2)):.2f}",
                f"{np.sum(np.abs(z) <= 2)} of {len(z)}",
                f"{np.abs(z).max():.1f}",
            ]
        )
    header = [
        "model",
        "largest error of theta",
        "stated error of logLik",
        "rms of error / stated",
        "within 2 se",
        "largest",
    ]
    settings = Settings(1, 0.0, args.threads)
    write(f"{machine(settings)}\n\n{markdown(header, rows)}", args.out)


if __name__ == "__main__":
    main()
