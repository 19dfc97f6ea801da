"""The command line: output, exit status, and one line on standard error for what went wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.cli import main

SLOPE = "Reaction ~ Days + (Days | Subject)"
DATA = Path(__file__).parents[1] / "data"
SLEEPSTUDY = str(DATA / "sleepstudy.csv")


@pytest.fixture
def table(tmp_path):
    def write(frame: pd.DataFrame, name: str = "table.csv", **options) -> str:
        path = tmp_path / name
        frame.to_csv(path, index=False, na_rep="NA", **options)
        return str(path)

    return write


def test_fit_prints_the_summary(capsys):
    assert main(["fit", SLOPE, SLEEPSTUDY]) == 0
    out, err = capsys.readouterr()
    assert out == str(mp.lmer(SLOPE, mp.datasets.load("sleepstudy")).summary()).rstrip("\n") + "\n"
    assert err == ""
    assert "   Data: sleepstudy\n" in out


def test_python_m_mixedpy_is_the_same_command(capsys):
    main(["fit", SLOPE, SLEEPSTUDY])
    here = Path(__file__).parents[1]
    ran = subprocess.run(
        [sys.executable, "-m", "mixedpy", "fit", SLOPE, SLEEPSTUDY],
        capture_output=True,
        text=True,
        check=True,
        cwd=here,
    )
    assert ran.stdout == capsys.readouterr().out


def test_reader_that_stops_early_is_no_error():
    # `head` closes the pipe at once; the summary is longer than a pipe's buffer
    code = "import mixedpy.cli as c, sys; c._render = lambda *_: 'x' * 10**6; sys.exit(c.main(sys.argv[1:]))"
    here = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code, "fit", SLOPE, SLEEPSTUDY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=here,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_maximum_likelihood(capsys):
    assert main(["fit", SLOPE, SLEEPSTUDY, "--ml"]) == 0
    assert "fit by maximum likelihood" in capsys.readouterr().out


def test_weights_and_offset(capsys, table):
    sleep = mp.datasets.load("sleepstudy")
    rng = np.random.default_rng(1)
    sleep["w"], sleep["o"] = rng.uniform(1, 2, 180), rng.normal(size=180)
    path = table(sleep)
    assert main(["fit", SLOPE, path, "--weights", "w", "--offset", "o"]) == 0
    out = capsys.readouterr().out
    sleep.attrs["name"] = "table"
    assert out == str(mp.lmer(SLOPE, sleep, weights="w", offset="o").summary()).rstrip("\n") + "\n"


def test_html_to_a_file(capsys, tmp_path):
    target = tmp_path / "fit.html"
    assert main(["fit", SLOPE, SLEEPSTUDY, "--format", "html", "--out", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert "<table" in target.read_text(encoding="utf-8")


def test_tab_separated_and_compressed(capsys, table):
    path = table(mp.datasets.load("sleepstudy"), "sleepstudy.tsv.gz", sep="\t")
    assert main(["fit", SLOPE, path]) == 0
    compressed = capsys.readouterr().out
    main(["fit", SLOPE, SLEEPSTUDY])
    assert compressed == capsys.readouterr().out


def test_only_na_and_empty_fields_are_missing(capsys, table):
    frame = mp.datasets.load("sleepstudy").astype({"Subject": str}).replace({"Subject": {"308": "None", "309": "null"}})
    frame.loc[5, "Reaction"] = np.nan
    assert main(["fit", SLOPE, table(frame)]) == 0
    assert "Number of obs: 179, groups:  Subject, 18" in capsys.readouterr().out


def test_anova_compares_models(capsys):
    parallel = "Reaction ~ Days + (1 | Subject)"
    assert main(["anova", SLEEPSTUDY, SLOPE, parallel, "--ml"]) == 0
    sleepstudy = mp.datasets.load("sleepstudy")
    fits = [mp.lmer(formula, sleepstudy, reml=False) for formula in (SLOPE, parallel)]
    assert capsys.readouterr().out == f"{mp.anova(*fits, names=['MODEL1', 'MODEL2'])}\n"
    assert main(["anova", SLEEPSTUDY, parallel, "Reaction ~ 1 + (1 | Subject)"]) == 0
    assert capsys.readouterr().out.startswith("refitting model(s) with ML (instead of REML)\nData: sleepstudy\n")


def test_anova_of_one_model_is_refused(capsys):
    assert main(["anova", SLEEPSTUDY, SLOPE]) == 2
    assert "give two formulas or more" in capsys.readouterr().err


def test_datasets_lists_the_names(capsys):
    assert main(["datasets"]) == 0
    assert capsys.readouterr().out.split() == mp.datasets.names()


@pytest.mark.parametrize(
    ("formula", "said"),
    [("Reaction ~ Dayz + (1 | Subject)", "Dayz"), ("Reaction ~ Days", "random"), ("Reaction Days", "~")],
)
def test_bad_formula(capsys, formula, said):
    assert main(["fit", formula, SLEEPSTUDY]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, *caret = err.splitlines()
    assert first.startswith("mixedpy: error: ")
    assert said in first
    assert all(set(line) <= {" ", "^"} or line == f"  {formula}" for line in caret)


def test_missing_file(capsys):
    assert main(["fit", SLOPE, "nowhere.csv"]) == 2
    assert capsys.readouterr().err == "mixedpy: error: there is no file 'nowhere.csv'\n"


@pytest.mark.parametrize("content", [b"", b'a,b\n1,2\n3,4,5,6\n"', b"\xff\xfe\x00"])
def test_file_that_is_no_table(capsys, tmp_path, content):
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    assert main(["fit", SLOPE, str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_folder_that_is_not_there(capsys, tmp_path):
    assert main(["fit", SLOPE, SLEEPSTUDY, "--out", str(tmp_path / "no" / "fit.txt")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_unknown_option_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", SLOPE, SLEEPSTUDY, "--colour", "red"])
    assert stopped.value.code == 2


def test_warnings_are_one_line_each(capsys):
    assert main(["fit", "Yield ~ 1 + (1 | Batch)", str(DATA / "Dyestuff2.csv")]) == 0
    out, err = capsys.readouterr()
    assert "boundary (singular) fit" in out
    (line,) = err.splitlines()
    assert line.startswith("mixedpy: warning: the fit is singular")


def test_fit_that_does_not_converge(capsys, monkeypatch):
    from functools import partial

    from mixedpy import cli

    monkeypatch.setattr(cli, "lmer", partial(mp.lmer, control=mp.Control(max_iterations=1), start=[9.0, 5.0, 9.0]))
    assert main(["fit", SLOPE, SLEEPSTUDY]) == 1
    assert "mixedpy: warning: the fit did not converge" in capsys.readouterr().err


BINOMIAL = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def test_family_fits_a_generalized_model(capsys):
    assert main(["fit", "--family", "binomial", "--nagq", "5", BINOMIAL, str(DATA / "cbpp.csv")]) == 0
    out, err = capsys.readouterr()
    assert "Generalized linear mixed model fit by maximum likelihood (Adaptive" in out
    assert "Pr(>|z|)" in out
    assert err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--family", "bernoulli"], "family='bernoulli' is unknown"),
        (["--family", "poisson(logit)"], "has no link 'logit'"),
        (["--family", "binomial", "--nagq", "99"], "whole number from 0 to 25"),
        (["--family", "beta"], "cbind"),
    ],
)
def test_bad_family_is_one_line(capsys, options, words):
    assert main(["fit", *options, BINOMIAL, str(DATA / "cbpp.csv")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"mixedpy {mp.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "--family", "binomial", "--ml", BINOMIAL, str(DATA / "cbpp.csv")], "--ml is for linear models"),
        (["anova", str(DATA / "cbpp.csv"), BINOMIAL, BINOMIAL, "--family", "binomial", "--ml"], "--ml is for linear"),
        (["anova", SLEEPSTUDY, SLOPE, SLOPE, "--nagq", "3"], "--nagq is for generalized models"),
        (["fit", SLOPE, SLEEPSTUDY, "--ddf", "kenward-roger", "--ml"], "--ddf kenward-roger is for REML fits"),
        (["anova", SLEEPSTUDY, SLOPE, SLOPE, "--seed", "3"], "give --nsim as well"),
        (["anova", SLEEPSTUDY, SLOPE, SLOPE, "--nsim", "0"], "--nsim 0 must be at least 1"),
        (["anova", SLEEPSTUDY, SLOPE, SLOPE, "--nsim", "9", "--seed", "-1"], "--seed -1 must be at least 0"),
    ],
)
def test_options_that_do_not_go_together(capsys, arguments, words):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_anova_of_generalized_models(capsys):
    smaller = BINOMIAL.replace("period", "1")
    cbpp = mp.datasets.load("cbpp").astype({"period": int})  # as a file has it
    fits = [mp.glmer(formula, cbpp, family="binomial") for formula in (smaller, BINOMIAL)]
    command = ["anova", str(DATA / "cbpp.csv"), smaller, BINOMIAL, "--family", "binomial"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{mp.anova(*fits, names=['MODEL1', 'MODEL2'])}\n"


def test_anova_by_simulation(capsys):
    parallel = "Reaction ~ Days + (1 | Subject)"
    assert main(["anova", SLEEPSTUDY, parallel, SLOPE, "--ml", "--nsim", "39", "--seed", "2"]) == 0
    sleepstudy = mp.datasets.load("sleepstudy")
    fits = [mp.lmer(formula, sleepstudy, reml=False) for formula in (parallel, SLOPE)]
    assert capsys.readouterr().out == f"{mp.anova(*fits, names=['MODEL1', 'MODEL2'], nsim=39, seed=2)}\n"
