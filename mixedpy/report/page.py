"""One self-contained HTML page: sections of texts, tables and figures, with nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from mixedpy.errors import MixedpyError
from mixedpy.report.grids import Grid, grid_html
from mixedpy.report.plots.style import pyplot

__all__ = ["Figure", "Page", "PageSection", "figure_of", "page_html"]

_LARGEST_SVG = 400_000
"""Bytes above which a figure is embedded as pixels."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure.

    Attributes
    ----------
    source : str
        The image as a data URI.
    alt : str
        What it shows, for readers who do not see it.
    caption : str
        What stands below it.
    """

    source: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class PageSection:
    """A section of a page.

    Attributes
    ----------
    key, heading : str
        Its anchor and its title.
    paragraphs : tuple of str
        Texts.
    notes : tuple of str
        Points of a list.
    tables : tuple of Grid
        Tables.
    figures : tuple of Figure
        Figures.
    printed : str or None
        A print-out, set as it is.
    """

    key: str
    heading: str
    paragraphs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Grid, ...] = ()
    figures: tuple[Figure, ...] = ()
    printed: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page: title, a line below it, the version that made it, and sections."""

    title: str
    subtitle: str
    version: str
    sections: tuple[PageSection, ...]


def page_html(page: Page) -> str:
    """Lay out a page as HTML without scripts, whose policy forbids requests; all text is escaped.

    Raises
    ------
    MixedpyError
        If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined  # optional
        from markupsafe import Markup
    except ImportError as error:
        raise MixedpyError(
            'a report needs jinja2, which is not installed; install it with pip install "mixedpy[report]"'
        ) from error
    template = files("mixedpy.report").joinpath("templates/page.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    sections = [
        {
            "key": section.key,
            "heading": section.heading,
            "paragraphs": section.paragraphs,
            "notes": section.notes,
            "tables": [Markup(grid_html(grid)) for grid in section.tables],
            "figures": section.figures,
            "printed": section.printed,
        }
        for section in page.sections
    ]
    shown = {"title": page.title, "subtitle": page.subtitle, "version": page.version, "sections": sections}
    return environment.from_string(template).render(page=shown)


def figure_of(axes: Any, *, alt: str, caption: str) -> Figure:
    """Turn the figure of some axes into an embedded image, and close it."""
    plt = pyplot()
    drawn = axes.figure
    with plt.rc_context({"svg.fonttype": "path", "svg.hashsalt": "mixedpy"}):
        data, kind = _rendered(drawn, "svg", metadata={"Date": None}), "image/svg+xml"
    if len(data) > _LARGEST_SVG:
        data, kind = _rendered(drawn, "png", dpi=160), "image/png"
    plt.close(drawn)
    return Figure(f"data:{kind};base64,{base64.b64encode(data).decode()}", alt, caption)


def _rendered(figure: Any, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()
