"""The HTML report, in a real browser and as a file; the layouts of summaries and tables in notebooks."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixedpy as mp
from mixedpy.models.files import write_whole
from mixedpy.report.page import figure_of
from mixedpy.report.plots.style import pyplot
from tests.browser import Browser, browser_or_skip

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def fit() -> mp.LmmFit:
    return mp.lmer("Reaction ~ Days + (Days | Subject)", mp.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def page(fit: mp.LmmFit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    fit.report(path)
    return path


class Reader(HTMLParser):
    """Collects tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(("scheme", "lighter"), [("light", "paper"), ("dark", "ink")])
def test_the_page_in_a_browser(page: Path, scheme: str, lighter: str):
    """No console message, no request leaving the page, every image drawn, text that stands out in both themes."""
    program = browser_or_skip()
    with Browser(program) as browser:
        browser.prefer(scheme)
        browser.resize(1000, 900)
        browser.open(page)
        assert [url for url in browser.requests if not url.startswith("data:")] == [page.resolve().as_uri()]
        assert browser.complaints == []
        drawn = browser.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 100)")
        assert len(drawn) == 7
        assert all(drawn)
        colours = browser.evaluate(
            "['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k].match(/\\d+/g).map(Number))"
        )
        paper, ink = (sum(colour[:3]) for colour in colours)
        assert (paper > ink + 450) if lighter == "paper" else (ink > paper + 450)
        tables = browser.evaluate("[...document.querySelectorAll('td')].map(e => getComputedStyle(e).color)")
        assert set(tables) == {browser.evaluate("getComputedStyle(document.body).color")}
        assert browser.screenshot().startswith(b"\x89PNG")
        browser.resize(380, 800)
        assert browser.evaluate("document.documentElement.scrollWidth <= 380")


def test_a_page_that_tries_to_leave_is_noticed(tmp_path: Path):
    """The check of requests and messages can fail."""
    program = browser_or_skip()
    path = tmp_path / "bad.html"
    path.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("no")</script>')
    with Browser(program) as browser:
        browser.open(path)
        assert any(url.startswith("http://127.0.0.1:9") for url in browser.requests)
        assert any("no" in message for message in browser.complaints)


def test_the_file_is_self_contained(page: Path):
    reader = Reader(page.read_text(encoding="utf-8"))
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(attrs["src"].startswith("data:image/") for tag, attrs in reader.tags if tag == "img")
    assert all(attrs["href"].startswith("#") for tag, attrs in reader.tags if tag == "a")
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    styles = re.findall(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.S)
    assert not re.search(r"url\(|@import|@font-face", " ".join(styles))
    assert "Content-Security-Policy" in page.read_text(encoding="utf-8")
    assert len(page.read_bytes()) < 1_500_000


def test_the_page_says_what_it_should(page: Path, fit: mp.LmmFit):
    text = Reader(page.read_text(encoding="utf-8")).text
    for piece in ("180 of 180 rows", "Reaction ~ Days + (Days | Subject)", "251.405", "237.006", "0.722", "1743.6"):
        assert piece in text
    for finding in fit.check().findings:
        assert finding.text in text
    assert str(fit.summary()).rstrip() in text


def test_every_link_has_its_section_and_every_image_its_words(page: Path):
    reader = Reader(page.read_text(encoding="utf-8"))
    anchors = {attrs["id"] for _, attrs in reader.tags if "id" in attrs}
    assert {attrs["href"] for tag, attrs in reader.tags if tag == "a"} == {f"#{name}" for name in anchors}
    assert all(attrs["alt"] for tag, attrs in reader.tags if tag == "img")


def test_the_same_fit_gives_the_same_page(page: Path, fit: mp.LmmFit, tmp_path: Path):
    fit.report(tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
@pytest.mark.parametrize(
    ("formula", "data", "options"),
    [
        ("Yield ~ 1 + (1 | Batch)", "Dyestuff2", {"reml": False}),
        ("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin", {}),
        ("angle ~ recipe * temperature + (1 | recipe:replicate)", "cake", {}),
        ("Reaction ~ 1 + (Days || Subject)", "sleepstudy", {"offset": np.full(180, 250.0)}),
        ("log(size) ~ incidence + (1 | herd)", "cbpp", {"weights": "size"}),
    ],
)
def test_pages_of_other_models(formula: str, data: str, options: dict, tmp_path: Path):
    fit = mp.lmer(formula, mp.datasets.load(data), **options)
    fit.report(tmp_path / "page.html", title="A title & <b>more</b>")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "A title &amp; &lt;b&gt;more&lt;/b&gt;" in html
    assert html.count("<img") >= 5
    assert "nan" not in Reader(html).text.lower().split()


@pytest.mark.filterwarnings("ignore::mixedpy.errors.MixedpyWarning")
def test_names_from_the_data_are_escaped(tmp_path: Path):
    rng = np.random.default_rng(1)
    levels = ["<script>alert(1)</script>", 'a"b', r"$\frac$ & y", "é"]
    data = pd.DataFrame({"y": rng.normal(size=60), "<b>x</b>": rng.normal(size=60), "g": rng.choice(levels, 60)})
    data.attrs["name"] = "</title><script>"
    fit = mp.lmer("y ~ `<b>x</b>` + (1 | g)", data)
    fit.report(tmp_path / "page.html")
    reader = Reader((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert not {tag for tag, _ in reader.tags} & {"script", "b"}


def test_a_crowded_figure_is_embedded_as_pixels():
    x = np.random.default_rng(1).normal(size=(2, 20_000))
    axes = pyplot().subplots()[1]
    axes.plot(*x, "o")
    assert figure_of(axes, alt="many", caption="").source.startswith("data:image/png")
    assert not pyplot().fignum_exists(axes.figure.number)


def test_no_file_is_left_behind_where_the_folder_is_missing(fit: mp.LmmFit, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*make it first"):
        fit.report(tmp_path / "none" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "page.html"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_devices_and_links_are_not_replaced(tmp_path: Path):
    write_whole(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


NOTEBOOK = """<!doctype html>
<style>:root {{ color-scheme: {scheme} }} body {{ background: {paper}; color: {ink} }}</style>
<body>{views}</body>"""


@pytest.mark.parametrize(("scheme", "paper", "ink"), [("light", "#ffffff", "#111111"), ("dark", "#111111", "#eeeeee")])
def test_notebook_views_take_the_colours_of_the_notebook(fit, tmp_path: Path, scheme: str, paper: str, ink: str):
    program = browser_or_skip()
    views = [fit, fit.summary(), fit.varcorr(), mp.table(fit, fit.update(reml=False))]
    path = tmp_path / "notebook.html"
    path.write_text(
        NOTEBOOK.format(scheme=scheme, paper=paper, ink=ink, views="<hr>".join(view._repr_html_() for view in views)),
        encoding="utf-8",
    )
    with Browser(program) as browser:
        browser.open(path)
        assert browser.complaints == []
        seen = "[...document.querySelectorAll('body *')].filter(e => e.innerText).map(e => getComputedStyle(e).{})"
        body = browser.evaluate("getComputedStyle(document.body).color")
        assert set(browser.evaluate(seen.format("color"))) == {body}
        assert set(browser.evaluate(seen.format("backgroundColor"))) == {"rgba(0, 0, 0, 0)"}


def test_the_figures_are_images(page: Path):
    sources = [attrs["src"] for tag, attrs in Reader(page.read_text(encoding="utf-8")).tags if tag == "img"]
    kinds = {source.partition(";")[0] for source in sources}
    assert kinds == {"data:image/svg+xml"}
    for source in sources:
        image = base64.b64decode(source.partition(",")[2])
        assert b"<script" not in image
        assert b"<svg" in io.BytesIO(image).read(2000)


def test_a_page_of_a_filtered_table(tmp_path):
    cake = mp.datasets.load("cake")
    fit = mp.lmer("angle ~ recipe + factor(temp) + (1 | replicate)", cake[cake["recipe"] != "B"])
    fit.report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "2: A, C" in page
