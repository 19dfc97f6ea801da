"""What holds of formatted numbers, names and lines whatever goes in."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixedpy.report.abbreviation import abbreviate
from mixedpy.report.layout import WIDTH, fill_line, matrix_lines, named_vector_lines
from mixedpy.report.numbers import format_numbers
from mixedpy.report.rounding import round_decimals, zap_small

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
names = st.lists(st.text("abcdeiouAXYZ0189_:.() ", min_size=1, max_size=24), min_size=1, max_size=12)


@given(st.lists(finite, min_size=1, max_size=8), st.integers(1, 15))
def test_formatted_numbers_read_back_and_share_a_width(x, digits):
    texts = format_numbers(x, digits)
    assert len({len(t) for t in texts}) == 1
    for value, text in zip(x, texts, strict=True):
        scale = 10.0 ** math.floor(math.log10(abs(value))) if abs(value) > 1e-290 else 1e-290
        assert abs(float(text) - value) <= 0.5001 * scale * 10.0 ** (1 - digits) + 1e-15 * abs(value)


@given(names, st.integers(1, 12))
def test_abbreviations_stay_distinct(words, minlength):
    stripped = [word.strip(" ") for word in words]
    short = abbreviate(words, minlength)
    assert len(set(short)) == len(set(stripped))
    for word, abbreviation in zip(stripped, short, strict=True):
        assert len(abbreviation.replace(" ", "")) >= min(minlength, len(word.replace(" ", "")))
        assert abbreviation[:1] == word[:1]


@given(st.floats(-1e9, 1e9), st.integers(0, 8))
def test_rounding_is_to_a_neighbour_and_stays_put(x, digits):
    once = round_decimals(x, digits)
    assert abs(float(once) - x) <= 0.5 * 10.0**-digits * (1 + 1e-9) + 4 * np.spacing(abs(x))
    assert round_decimals(once, digits) == once


@given(st.lists(finite, min_size=1, max_size=6))
def test_zapping_keeps_the_largest(x):
    values = np.array(x)
    zapped = zap_small(values, 7)
    assert abs(np.abs(zapped).max() - np.abs(values).max()) <= 1e-6 * np.abs(values).max()


@given(names)
def test_pages_are_not_wider_than_80_columns(words):
    vector = named_vector_lines(words, ["1"] * len(words))
    assert all(len(line) <= WIDTH for line in vector)
    table = matrix_lines(words, ["row"], [["1"] * len(words)])
    assert all(len(line) < WIDTH for line in table)
    assert " ".join(words) == "".join(fill_line(words))
    assert all(len(line) <= WIDTH for line in fill_line(words))
