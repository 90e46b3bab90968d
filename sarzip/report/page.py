"""A page in one file: text, tables, charts and numbers, with style and script inside and nothing outside.

Charts are drawn in the browser by uPlot from the numbers that the page carries. Everything that comes from a
file is escaped; the policy in the head lets nothing run but the scripts that were put in, by their hash, and
nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from sarzip.version import __version__

_ASSETS = resources.files("sarzip.report") / "assets"
_LINE = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Series:
    """A curve. style: line, dashed or points (with a line). colour: one of the eight of the style sheet, from
    1.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "line"
    colour: int = 1


@dataclass(frozen=True)
class Chart:
    """Curves over a common axis. title and note are for people, plain text."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""
    x_log: bool = False
    y_log: bool = False


@dataclass
class Page:
    """Composed from top to bottom, then rendered. data: what it says as numbers."""

    title: str
    data: dict[str, Any]
    scripts: tuple[str, ...] = ()
    _parts: list[str] = field(default_factory=list)
    _charts: dict[str, Chart] = field(default_factory=dict)
    _sections: list[tuple[str, str]] = field(default_factory=list)

    def add(self, html: str) -> None:
        """A piece of the body, markup."""
        self._parts.append(html)

    def section(self, name: str, heading: str) -> None:
        """Begin a section. name: of its anchor."""
        if self._sections:
            self.add("</section>")
        self._sections.append((name, heading))
        self.add(f'<section id="{escape(name)}"><h2>{escape(heading)}</h2>')

    def chart(self, name: str, chart: Chart) -> str:
        """The markup of a chart; its numbers go into the page."""
        self._charts[name] = chart
        curves = ", ".join(series.label for series in chart.series)
        label = f"{chart.title}: {chart.y_label} over {chart.x_label}; {curves}"
        note = f"<br>{escape(chart.note)}" if chart.note else ""
        return (
            f'<figure><figcaption><b>{escape(chart.title)}</b>{note}</figcaption><div class="chart" '
            f'data-chart="{escape(name)}" role="img" aria-label="{escape(label)}"></div></figure>'
        )

    def render(self) -> str:
        """The whole file."""
        style = _asset("uPlot.min.css") + _asset("page.css")
        script = "\n".join(map(_asset, ("uPlot.iife.min.js", "page.js", *self.scripts)))
        links = "".join(
            f'<a href="#{escape(name)}">{escape(heading)}</a>' for name, heading in self._sections
        )
        return Template(_asset("page.html")).substitute(
            policy=_policy(style, script),
            title=escape(self.title),
            style=style,
            links=links,
            body="\n".join(self._parts) + ("</section>" if self._sections else ""),
            version=escape(__version__),
            data=_json({**self.data, "charts": {name: asdict(each) for name, each in self._charts.items()}}),
            script=script,
        )


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of plain terms and what belongs to them."""
    return "<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in pairs) + "</dl>"


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int] = ()
) -> str:
    """A table of plain texts. texts: columns that are prose; the first names its row, all others are
    numbers.
    """

    def cell(tag: str, at: int, text: str) -> str:
        return f"<{tag}{' class=text' if at in texts else ''}>{escape(text)}</{tag.split()[0]}>"

    def line(row: Sequence[str], first: str, others: str) -> str:
        return f"<tr>{''.join(cell(others if at else first, at, each) for at, each in enumerate(row))}</tr>"

    top = line(header, 'th scope="col"', 'th scope="col"')
    body = "".join(line(row, 'th scope="row"', "td") for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(caption)}"><table><caption>'
        f"{escape(caption)}</caption><thead>{top}</thead><tbody>{body}</tbody></table></div>"
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number for people; a dash where it is undefined."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}g}".replace("-", "−")


def size(count: int) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def plain(value: Any) -> Any:
    """What JSON can hold: dataclasses and mappings become objects, arrays lists, what is not finite null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def _json(value: Any) -> str:
    """JSON that ends no script element, whatever texts are in it."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    for sign, escaped in _LINE.items():
        text = text.replace(sign, escaped)
    return text


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script))
    styles, scripts = hashes
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{styles}'; script-src 'sha256-{scripts}'; "
        "base-uri 'none'; form-action 'none'"
    )
