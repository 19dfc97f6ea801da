"""Time what fits a model again and again: prepared refits, bootstrap, profiles, exact tests, power.

``repeated.py [--threads N ...] [--large]`` prints the table; every row is measured in a process of its own. With
``--large`` the bootstrap of a model with 1,000,000 rows and 50,000 levels is among them. Where glmm is installed its
single fit of sleepstudy stands beside the prepared refits.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from statistics import median

from children import Settings, python_child
from engines import PYTHON_ENGINES
from measure import clock
from problems import crossing, problem, slope
from run import parser, write
from tables import machine, markdown, milliseconds

import mixedpy as mp

__all__ = ["CALLS", "main"]

_MANY = 1000
_SLEEP = "Reaction ~ Days + (Days | Subject)"


def _fit(name: str, formula: str) -> mp.LmmFit:
    return mp.lmer(formula, mp.datasets.load(name))


def _fit_many(name: str, formula: str) -> Callable[[], object]:
    prepared = mp.prepare(formula, mp.datasets.load(name))
    Y = prepared.fit().simulate(_MANY, seed=1)
    return lambda: prepared.fit_many(Y)


def _many_crossed(fixed: str, n: int, s: int, i: int) -> Callable[[], object]:
    prepared = mp.prepare(f"y ~ {fixed} + (1 | i)", crossing(n, s, i))
    Y = prepared.fit().simulate(_MANY, seed=1)
    return lambda: prepared.fit_many(Y)


def _bootstrap(fit: mp.LmmFit) -> Callable[[], object]:
    return lambda: fit.bootstrap(_MANY, seed=1, progress=False)


def _rlrt(fit: mp.LmmFit) -> Callable[[], object]:
    return lambda: mp.rlrt(fit, seed=1)


def _power(fit: mp.LmmFit) -> Callable[[], object]:
    return lambda: fit.power("Days", _MANY, seed=1, progress=False)


def _glmm() -> Callable[[], object]:
    one, engine = problem("sleepstudy"), next(e for e in PYTHON_ENGINES if e.name == "glmm")
    table = one.table()
    return lambda: engine.call(one.formula, table)


CALLS: dict[str, tuple[str, Callable[[], Callable[[], object]]]] = {
    "glmm": ("glmm, a single fit of sleepstudy `(Days | Subject)`", _glmm),
    "fit": (
        "a single prepared fit of the same",
        lambda: mp.prepare(_SLEEP, mp.datasets.load("sleepstudy")).fit,
    ),
    "many_sleepstudy": (f"`fit_many`, {_MANY} responses, sleepstudy", lambda: _fit_many("sleepstudy", _SLEEP)),
    "many_pastes": (
        f"`fit_many`, {_MANY} responses, Pastes `(1 | batch/cask)`",
        lambda: _fit_many("Pastes", "strength ~ 1 + (1 | batch/cask)"),
    ),
    "many_penicillin": (
        f"`fit_many`, {_MANY} responses, Penicillin `(1 | plate) + (1 | sample)`",
        lambda: _fit_many("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    ),
    "many_crossed": (
        f"`fit_many`, {_MANY} responses, `x + (1 | s) + (1 | i)`, 12 x 8, 80 rows",
        lambda: _many_crossed("x + (1 | s)", 80, 12, 8),
    ),
    "many_crossed_slopes": (
        f"`fit_many`, {_MANY} responses, `x + (x | s) + (1 | i)`, 20 x 10, 400 rows",
        lambda: _many_crossed("x + (x | s)", 400, 20, 10),
    ),
    "many_gate": (
        f"`fit_many`, {_MANY} responses, `x + (1 | s) + (1 | i)`, 100 x 72, 2000 rows",
        lambda: _many_crossed("x + (1 | s)", 2000, 100, 72),
    ),
    "many_beyond": (
        f"`fit_many`, {_MANY} responses, the same, 100 x 80: one by one",
        lambda: _many_crossed("x + (1 | s)", 2000, 100, 80),
    ),
    "boot_sleepstudy": (f"`bootstrap({_MANY})`, sleepstudy", lambda: _bootstrap(_fit("sleepstudy", _SLEEP))),
    "boot_pastes": (
        f"`bootstrap({_MANY})`, Pastes",
        lambda: _bootstrap(_fit("Pastes", "strength ~ 1 + (1 | batch/cask)")),
    ),
    "boot_penicillin": (
        f"`bootstrap({_MANY})`, Penicillin",
        lambda: _bootstrap(_fit("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)")),
    ),
    "profile_sleepstudy": (
        "`profile()` of all six parameters, sleepstudy",
        lambda: _fit("sleepstudy", _SLEEP).profile,
    ),
    "confint_sleepstudy": ("`confint()` of the same", lambda: _fit("sleepstudy", _SLEEP).confint),
    "rlrt_dyestuff": (
        "`rlrt`, 10,000 simulations, Dyestuff",
        lambda: _rlrt(_fit("Dyestuff", "Yield ~ 1 + (1 | Batch)")),
    ),
    "power_sleepstudy": (
        f"`power`, {_MANY} simulations, sleepstudy",
        lambda: _power(_fit("sleepstudy", _SLEEP)),
    ),
    "boot_large": (
        f"`bootstrap({_MANY})`, 1,000,000 rows, 50,000 levels, `(x | g)`",
        lambda: _bootstrap(mp.lmer("y ~ x + (x | g)", slope(1_000_000, 50_000))),
    ),
}
"""Title and maker of each call that is timed."""


def measure_one(name: str, repeats: int, budget: float) -> list[float]:
    """Seconds of one of the calls, once for warming up and then against the clock."""
    warnings.simplefilter("ignore", mp.MixedpyWarning)
    call = CALLS[name][1]()
    call()
    return list(clock(call, repeats, budget))


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each call."""
    reader = parser(__doc__)
    reader.add_argument("--large", action="store_true", help="include the bootstrap of 1,000,000 rows")
    args = reader.parse_args(argv)
    settings = Settings(args.repeats, args.budget, args.threads)
    rows = []
    for name, (title, _) in CALLS.items():
        if name == "boot_large" and not args.large:
            continue
        title = title.replace("|", "\\|")
        try:
            seconds = median(python_child("repeated.py", [name], settings))
        except RuntimeError as error:
            rows.append([title, "-", str(error)])
            continue
        each = seconds / (_MANY if title.startswith(("`fit_many", "`boot", "`power")) else 1)
        rows.append([title, milliseconds(seconds), f"{1e6 * each:.0f}"])
    write(f"{machine(settings)}\n\n{markdown(['call', 'ms', 'microseconds per fit'], rows)}", args.out)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] in CALLS:
        print(json.dumps(measure_one(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
    else:
        main()
