"""HTML print-outs: well-formed, self-contained, with the content of the text."""

import dataclasses
import xml.etree.ElementTree as ElementTree

import pytest

from mixedpy.report.html import print_html, summary_html, varcorr_html
from mixedpy.report.text import print_text, summary_text, varcorr_text
from tests.report.fits import FITS, every_fit, notes, print_record, summary_record, varcorr


def words(text):
    """What the text says, blanks and line breaks aside."""
    return "".join(text.split())


def content(html):
    """Text of every element that has some, in order."""
    return [words(e.text) for e in ElementTree.fromstring(html).iter() if e.text and e.text.strip()]


@every_fit
def test_every_number_of_the_text_is_in_the_html(fit):
    pairs = [
        (summary_text(summary_record(fit)), summary_html(summary_record(fit))),
        (print_text(print_record(fit)), print_html(print_record(fit))),
        (varcorr_text(varcorr(fit)), varcorr_html(varcorr(fit))),
    ]
    for text, html in pairs:
        shown = "".join(content(html))
        cells = [token for token in text.split() if any(c.isdigit() for c in token) and token != "lme4"]
        assert cells
        assert [token for token in cells if token not in shown] == []


@every_fit
def test_tables_are_rectangular_and_have_heads(fit):
    for html in (summary_html(summary_record(fit)), print_html(print_record(fit)), varcorr_html(varcorr(fit))):
        for table in ElementTree.fromstring(html).iter("table"):
            assert table.find("caption").text
            head = sum(int(th.get("colspan", 1)) for th in table.findall("thead/tr/th"))
            assert {len(row) for row in table.findall("tbody/tr")} == {head}
            assert all(th.get("scope") == "col" for th in table.findall("thead/tr/th"))
            assert all(th.get("scope") == "row" for th in table.findall("tbody/tr/th"))


@pytest.mark.parametrize("forbidden", ["<script", "http", "src=", "href", "url(", "color: #", "rgb", "class="])
def test_nothing_comes_from_elsewhere_and_no_colour_is_set(forbidden):
    for fit in FITS.values():
        assert forbidden not in summary_html(summary_record(fit)) + print_html(print_record(fit))


def test_text_is_escaped():
    record = summary_record(FITS["sleepstudy_reml"])
    header = dataclasses.replace(record.header, formula="y ~ I(x < 3 & z > 1)", data_name='<script>alert("x")</script>')
    coef = dataclasses.replace(record.coef, names=("<b>", "a & b"))
    html = summary_html(dataclasses.replace(record, header=header, coef=coef))
    assert "<script" not in html
    assert "<b>" not in html
    assert {words("y ~ I(x < 3 & z > 1)"), "<b>", "a&b"} <= set(content(html))


def test_missing_rows_are_counted():
    fit = FITS["missing_rows"]
    for count, wanted in ((1, "1 observation deleted"), (3, "3 observations deleted")):
        record = dataclasses.replace(print_record(fit), notes=dataclasses.replace(notes(fit), n_missing_rows=count))
        assert wanted in print_html(record)
    assert "missingness" not in print_html(print_record(fit))


def test_a_fit_that_did_not_converge_says_so():
    fit = FITS["sleepstudy_reml"]
    failed = dataclasses.replace(notes(fit), converged=False, message="the iteration limit was reached")
    for html in (
        print_html(dataclasses.replace(print_record(fit), notes=failed)),
        summary_html(dataclasses.replace(summary_record(fit), notes=failed)),
    ):
        assert "<p>Model failed to converge</p>" in html
        assert "the iteration limit was reached" in html
