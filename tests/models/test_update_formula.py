"""``update_formula`` against R's ``update.formula`` (the right-hand column was read off R)."""

import pytest

from mixedpy.errors import FormulaError
from mixedpy.models.update import update_formula


@pytest.mark.parametrize(
    ("old", "template", "new"),
    [
        ("y ~ x + (x | g)", ". ~ . - (x | g) + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ x + (x | g)", "log(.) ~ . + (1 | g)", "log(y) ~ x + (x | g) + (1 | g)"),
        ("y ~ x * z + (x | g)", ". ~ . - x:z + (1 | g)", "y ~ x + z + (x | g) + (1 | g)"),
        ("y ~ x * z + (x | g)", ". ~ . + (1 | g)", "y ~ x + z + (x | g) + (1 | g) + x:z"),
        ("y ~ x + (1 | g)", ". ~ . - 1 + (1 | g)", "y ~ x + (1 | g) - 1"),
        ("y ~ 0 + x + (1 | g)", ". ~ . + 1", "y ~ x + (1 | g)"),
        ("y ~ a * b + offset(o) + (1 | g)", "~ . + c", "y ~ a + b + (1 | g) + c + a:b + offset(o)"),
        ("y ~ x + (1 | g)", "~ . - x", "y ~ (1 | g)"),
        ("y ~ x + (1 | g)", "z ~ w + (w || h)", "z ~ w + (w || h)"),
        ("y ~ x + (1 | a/b)", ". ~ . - (1 | a/b) + (1 | a)", "y ~ x + (1 | a)"),
    ],
)
def test_update_formula(old, template, new):
    assert update_formula(old, template) == new


def test_adding_what_is_there_changes_nothing():
    assert update_formula("y ~ x + (1 | g)", ". ~ . + x + (1 | g)") == "y ~ x + (1 | g)"


def test_a_random_term_cannot_be_multiplied():
    with pytest.raises(FormulaError, match=r"\(1 \| g\) cannot be part of an interaction"):
        update_formula("y ~ x + (1 | g)", ". ~ . * z")


def test_long_sums_are_no_obstacle():
    names = [f"x{i}" for i in range(1500)]
    old = f"y ~ {' + '.join(names)} + (1 | g)"
    assert update_formula(old, ". ~ . - x7").count("+") == 1499
