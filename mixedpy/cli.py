"""The command line: fit a model to a file, print its summary or write a report, compare models."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from mixedpy import datasets
from mixedpy.errors import DataError, FormulaError, MixedpyError, MixedpyWarning
from mixedpy.models.comparing.comparison import anova
from mixedpy.models.files import check_folder, write_whole
from mixedpy.models.glmer import glmer
from mixedpy.models.glmm import GlmmFit
from mixedpy.models.lmer import lmer
from mixedpy.models.lmm import LmmFit
from mixedpy.models.summary import Summary
from mixedpy.version import __version__

__all__ = ["main"]

_BAD_INPUT, _FAILED = 2, 1

_LAYOUTS: dict[str, Callable[[Summary], str]] = {
    "text": str,
    "markdown": Summary.to_markdown,
    "html": Summary.to_html,
    "latex": Summary.to_latex,
    "json": Summary.to_json,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mixedpy`` with the given arguments, by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 for a fit that failed, 2 for bad input. Both say why on standard error.
    """
    args = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", MixedpyWarning)
            warnings.showwarning = _show_warning
            status: int = args.run(args)
    except BrokenPipeError:
        # The reader, such as `head`, has had enough; what is left must not fail again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (FormulaError, DataError, OSError) as error:
        _say("error", str(error))
        return _BAD_INPUT
    except MixedpyError as error:
        _say("error", str(error))
        return _FAILED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mixedpy", description="Mixed models with lme4's print-outs.")
    parser.add_argument("--version", action="version", version=f"mixedpy {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a mixed model and print its summary")
    _add_model(fit)
    fit.add_argument(
        "--ddf",
        choices=["satterthwaite", "kenward-roger", "none"],
        help="denominator degrees of freedom of the t tests (default: satterthwaite); none leaves out p values",
    )
    fit.add_argument("--format", choices=list(_LAYOUTS), default="text", help="of the summary (default: text)")
    fit.add_argument("--out", metavar="FILE", type=Path, help="write there rather than to standard output")
    fit.set_defaults(run=_fit)

    report = commands.add_parser("report", help="fit a mixed model and write an HTML page about it")
    _add_model(report)
    report.add_argument("--title", metavar="TEXT", help="heading of the page")
    report.add_argument("--out", metavar="FILE", type=Path, required=True, help="the page, such as report.html")
    report.set_defaults(run=_report)

    compare = commands.add_parser("anova", help="compare models by likelihood-ratio tests")
    compare.add_argument("data", metavar="DATA", type=Path, help="table: .csv or .tsv, also .gz")
    compare.add_argument("formulas", metavar="FORMULA", nargs="+", help="two or more, as in lme4")
    compare.add_argument("--ml", action="store_true", help="maximum likelihood rather than REML")
    compare.add_argument("--weights", metavar="COL", help="column of prior weights")
    compare.add_argument("--offset", metavar="COL", help="column with a known part of the linear predictor")
    _add_family(compare)
    compare.add_argument(
        "--nsim", metavar="N", type=int, help="simulate N data sets for p values that hold with few groups"
    )
    compare.add_argument("--seed", metavar="S", type=int, help="of the simulations, to repeat them")
    compare.set_defaults(run=_anova)

    listing = commands.add_parser("datasets", help="list the data sets that come with mixedpy")
    listing.set_defaults(run=_datasets)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("formula", metavar="FORMULA", help='as in lme4: "y ~ x + (x | g)"')
    parser.add_argument("data", metavar="DATA", type=Path, help="table: .csv or .tsv, also .gz")
    parser.add_argument("--ml", action="store_true", help="maximum likelihood rather than REML")
    parser.add_argument("--weights", metavar="COL", help="column of prior weights")
    parser.add_argument("--offset", metavar="COL", help="column with a known part of the linear predictor")
    _add_family(parser)


def _add_family(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--family", metavar="F", help='of a generalized model: "binomial", "poisson", "gamma(log)", ...'
    )
    parser.add_argument("--nagq", metavar="K", type=int, help="quadrature nodes of a generalized model (default: 1)")


def _fit(args: argparse.Namespace) -> int:
    if args.out is not None:
        check_folder(args.out)
    if args.family is not None and args.ddf is not None:
        raise DataError("--ddf is for linear models; leave it out with --family, whose z values have none")
    if args.ddf == "kenward-roger" and args.ml:
        raise DataError("--ddf kenward-roger is for REML fits; leave out --ml, or use --ddf satterthwaite")
    _check_family(args)
    fit = _fitted(args, args.formula, _read(args.data))
    ddf = args.ddf or "satterthwaite"
    summary = fit.summary(ddf=None if ddf == "none" else ddf) if isinstance(fit, LmmFit) else fit.summary()
    text = _LAYOUTS[args.format](summary).rstrip("\n")
    if args.out is None:
        print(text, flush=True)
    else:
        write_whole(args.out, f"{text}\n".encode())
    return 0 if fit.converged else _FAILED


def _report(args: argparse.Namespace) -> int:
    check_folder(args.out)
    _check_family(args)
    fit = _fitted(args, args.formula, _read(args.data))
    fit.report(args.out, title=args.title)
    return 0 if fit.converged else _FAILED


def _anova(args: argparse.Namespace) -> int:
    if len(args.formulas) < 2:
        raise DataError("anova compares models; give two formulas or more")
    _check_family(args)
    if args.seed is not None and args.nsim is None:
        raise DataError("--seed is for simulated p values; give --nsim as well, or leave it out")
    for option, least in (("nsim", 1), ("seed", 0)):
        value = getattr(args, option)
        if value is not None and value < least:
            raise DataError(f"--{option} {value} must be at least {least}")
    table = _read(args.data)
    fits = [_fitted(args, one, table) for one in args.formulas]
    names = [f"MODEL{k}" for k in range(1, len(fits) + 1)]
    print(anova(*fits, names=names, nsim=args.nsim, seed=args.seed), flush=True)
    return 0 if all(fit.converged for fit in fits) else _FAILED


def _check_family(args: argparse.Namespace) -> None:
    if args.family is None and args.nagq is not None:
        raise DataError("--nagq is for generalized models; give --family as well, or leave it out")
    if args.family is not None and args.ml:
        raise DataError("--ml is for linear models; leave it out with --family, whose fits are by maximum likelihood")


def _fitted(args: argparse.Namespace, formula: str, table: pd.DataFrame) -> LmmFit | GlmmFit:
    return (_linear if args.family is None else _generalized)(args, formula, table)


def _linear(args: argparse.Namespace, formula: str, table: pd.DataFrame) -> LmmFit:
    return lmer(formula, table, reml=not args.ml, weights=args.weights, offset=args.offset)


def _generalized(args: argparse.Namespace, formula: str, table: pd.DataFrame) -> GlmmFit:
    try:
        return glmer(
            formula,
            table,
            family=args.family,
            nagq=1 if args.nagq is None else args.nagq,
            weights=args.weights,
            offset=args.offset,
        )
    except MixedpyError:
        raise
    except ValueError as error:  # an unknown family, link or number of nodes
        raise DataError(str(error)) from error


def _datasets(args: argparse.Namespace) -> int:
    print("\n".join(datasets.names()), flush=True)
    return 0


def _read(path: Path) -> pd.DataFrame:
    """Read a table; as in R's ``read.csv`` only NA, NaN and empty fields are missing."""
    name = path.name.removesuffix(".gz")
    try:
        table = pd.read_csv(
            path,
            sep="\t" if name.endswith((".tsv", ".tab")) else ",",
            keep_default_na=False,
            na_values=["NA", "", "NaN"],
        )
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{str(path)!r} cannot be read as a table ({reason}); a .csv or .tsv file is wanted") from error
    table.attrs["name"] = Path(name).stem
    return table


def _say(kind: str, message: str) -> None:
    print(f"mixedpy: {kind}: {message}", file=sys.stderr)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    _say("warning", " ".join(str(message).split()))
