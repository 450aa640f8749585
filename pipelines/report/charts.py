"""The report's charts as plain SVG text: small, static, and readable without colour.

Each has role=img, a title and a description. report.css styles their classes, so that one chart
works in light and dark mode and on paper. The reference is dashed and filled, this run solid.
"""

import itertools
import math
import sys
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup, escape

from checks.kit.protocol import Panel
from pipelines.report.facts import ScoreHistogram
from provenance.base.errors import printable
from provenance.ledger.run_files import FATES

WIDTH, HEIGHT = 360, 172
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 28, 22
BAR_WIDTH = 1000
THINNEST = 4  # so that a fate with a single row stays visible
NAME_LIMIT = 16
TICKS = 4
LOG_FOOT = 0.3
SMALLEST = 1e-300  # keeps the height of an empty panel above 0
NARROWEST = 1e-9  # width of a bin, as a share of the axis
LONGEST = 1e15  # a larger number is named by its exponent
WIDEST = 1e290  # axis with ticks at round values


def fates_bar(rows: Mapping[str, int]) -> Markup:
    """Draw the source's rows as one bar cut into clean, quarantine and rejected."""
    counts = {fate: rows[fate] for fate in FATES}
    total = max(sum(counts.values()), 1)
    widths = {f: max(BAR_WIDTH * n / total, THINNEST) if n else 0.0 for f, n in counts.items()}
    scale = BAR_WIDTH / max(sum(widths.values()), 1)
    parts, x = [], 0.0
    for fate, width in widths.items():
        if width:
            parts.append(
                f'<rect class="fate-{fate}" x="{x:.1f}" width="{width * scale:.1f}" height="24"/>'
            )
            x += width * scale
    listed = ", ".join(f"{fate} {count:,}" for fate, count in counts.items())
    head = _head(
        "fates", f"Rows by fate: {listed}", "The full length of the bar is all source rows."
    )
    box = f'viewBox="0 0 {BAR_WIDTH} 24" preserveAspectRatio="none" class="fates"'
    return Markup(f"<svg {box} {head}{''.join(parts)}</svg>")  # noqa: S704 - numbers only


def drift_chart(panel: Panel, uid: str) -> Markup:
    """Draw one column in the reference and in this run on a shared axis; `uid` names its title."""
    title = f"{panel.column}: reference and this run"
    legend = _legend(sum(panel.reference), sum(panel.current))
    body = _number_body(panel) if panel.edges else _category_body(panel)
    head = _head(uid, title, drift_summary(panel))
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {head}{legend}{body}</svg>')  # noqa: S704


def score_chart(scores: ScoreHistogram, uid: str) -> Markup:
    """Draw how many findings have which score, on a logarithmic axis."""
    decades = max(1, math.ceil(math.log10(max(scores.counts, default=1) or 1)))
    low, high = scores.edges[0], scores.edges[-1]
    parts = [_line(LEFT, _y(0), WIDTH - RIGHT, _y(0), "axis")]
    for power in range(decades + 1):
        y = _log_y(10.0**power, decades)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "grid"))
        parts.append(_text(LEFT - 4, y + 3, compact(10.0**power), "end"))
    for index, count in enumerate(scores.counts):
        if count:
            x = [_x(edge, low, high) for edge in scores.edges[index : index + 2]]
            y = _log_y(count, decades)
            box = f'x="{x[0]:.1f}" y="{y:.1f}" width="{max(x[1] - x[0] - 0.8, 0.6):.1f}"'
            parts.append(f'<rect class="bar" {box} height="{_y(0) - y:.1f}"/>')
    parts += _ticks(low, high)
    head = _head(uid, f"{scores.check}: scores", score_summary(scores))
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {head}{"".join(parts)}</svg>')  # noqa: S704


def drift_summary(panel: Panel) -> str:
    """Describe a panel in words: the statistic, and where the two distributions differ most."""
    parts = []
    if panel.value is not None:
        limit = "" if panel.limit is None else f", limit {panel.limit:g}"
        parts.append(f"{panel.statistic} {panel.value:.3g}{limit}.")
    before, now = shares(panel)
    if len(before):
        most = int(np.argmax(np.abs(now - before)))
        change = f"{percent(before[most])} in the reference, {percent(now[most])} in this run"
        parts.append(f"Largest change: {bin_name(panel, most)}, {change}.")
    if panel.missing is not None and panel.missing[0] != panel.missing[1]:
        old, new = (percent(share) for share in panel.missing)
        parts.append(f"Missing values: {old} in the reference, {new} in this run.")
    if panel.is_protected and panel.statistic:
        parts.append(f"{panel.statistic}.")
    return " ".join(parts)


def shares(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each bin or category in the reference and in this run."""
    before, now = (np.asarray(c, float) for c in (panel.reference, panel.current))
    return before / max(before.sum(), 1), now / max(now.sum(), 1)


def ends(panel: Panel) -> np.ndarray:
    """Return the edges of a number's bins; the open outer ones are as wide as their neighbour."""
    edges = np.array(panel.edges)
    with np.errstate(over="ignore"):
        # next to a large number, 1 is nothing
        lone = np.maximum(1.0, np.abs(edges[:1]) * NARROWEST)
        widths = np.diff(edges) if len(edges) > 1 else lone
        outer = np.array([edges[0] - widths[0], *edges, edges[-1] + widths[-1]])
    made: np.ndarray = np.clip(outer, -sys.float_info.max, sys.float_info.max)
    return made


def score_summary(scores: ScoreHistogram) -> str:
    """Describe in words how many scores there are."""
    return f"{sum(scores.counts):,} {scores.unit}; logarithmic axis."


def bin_name(panel: Panel, index: int) -> str:
    """Name one bin or category of a panel."""
    if not panel.edges:
        return panel.categories[index]
    low, high = (float(end) for end in ends(panel)[index : index + 2])
    if not 1 / LONGEST < high - low < LONGEST or max(abs(low), abs(high)) >= LONGEST:
        return f"{low:.6g} to {high:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}"


def percent(share: float) -> str:
    """Return a share in percent that never rounds something to nothing, or most to all."""
    if 0 < share < 0.0001:  # noqa: PLR2004 - the smallest share that two decimals can show
        return "< 0.01 %"
    return f"{math.floor(share * 1e4) / 100 if share > 0.5 else share * 100:.2f} %"  # noqa: PLR2004


def compact(value: float) -> str:
    """Return a number short enough for an axis: 1.2k, 3M."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{name}"
    return f"{value:.3g}"


def _number_body(panel: Panel) -> str:
    edges = ends(panel)
    quarters = np.diff(edges / 4)  # since the whole may exceed a float
    widths = np.maximum(quarters / (quarters.sum() or 1.0), NARROWEST)  # shares of the axis
    densities = [share / widths for share in shares(panel)]  # whose area is 1
    peak = max(float(np.max(densities)), SMALLEST)
    paths = [_steps(edges, density, peak) for density in densities]
    base = f"V{_y(0):.1f}H{LEFT}Z"
    parts = [_line(LEFT, _y(share), WIDTH - RIGHT, _y(share), "grid") for share in (0, 0.5, 1)]
    # bins of equal width can show the share in the highest; others compare by area only
    is_even = np.allclose(widths, widths[0], rtol=1e-6)
    label = f"{peak * widths[0] * 100:.2g} %" if is_even else "density"
    parts.append(_text(LEFT - 4, _y(1) + 3, label, "end"))
    parts.append(_text(LEFT - 4, _y(0) + 3, "0", "end"))
    parts.append(f'<path class="area" d="{paths[0]}{base}"/><path class="ref" d="{paths[0]}"/>')
    parts.append(f'<path class="cur" d="{paths[1]}"/>')
    return "".join([*parts, *_ticks(edges[0], edges[-1])])


def _steps(edges: np.ndarray, densities: np.ndarray, peak: float) -> str:
    xs = [_x(edge, edges[0], edges[-1]) for edge in edges]
    ups = [_y(density / peak) for density in densities]
    steps = (f"V{y:.1f}H{x:.1f}" for y, x in zip(ups, xs[1:], strict=True))
    return f"M{LEFT} {_y(0):.1f}{''.join(steps)}"


def _category_body(panel: Panel) -> str:
    before, now = shares(panel)
    peak = max([*before, *now, SMALLEST])
    slot = (WIDTH - LEFT - RIGHT) / max(len(panel.categories), 1)
    wide = min(slot * 0.36, 22)
    parts = [_line(LEFT, _y(share), WIDTH - RIGHT, _y(share), "grid") for share in (0, 0.5, 1)]
    parts.append(_text(LEFT - 4, _y(1) + 3, f"{peak * 100:.3g} %", "end"))
    parts.append(_text(LEFT - 4, _y(0) + 3, "0", "end"))
    # a letter takes a few pixels; names that do not fit are in the table below the chart
    letters = min(NAME_LIMIT, int(slot / 5.4))
    for index, name in enumerate(panel.categories):
        middle = LEFT + slot * (index + 0.5)
        both = ((before[index], "ref", -wide - 1), (now[index], "cur", 1))
        for share, kind, offset in both:
            y = _y(share / peak)
            box = f'x="{middle + offset:.1f}" y="{y:.1f}" width="{wide:.1f}"'
            parts.append(f'<rect class="bar-{kind}" {box} height="{max(_y(0) - y, 0.5):.1f}"/>')
        if letters > 1:
            short = name if len(name) <= letters else name[: letters - 1] + "…"
            parts.append(_text(middle, HEIGHT - BOTTOM + 13, short, "middle"))
    return "".join(parts)


def _legend(before: int, now: int) -> str:
    y = 9
    first = f"reference, n = {before:,}"
    second = LEFT + 34 + 5.6 * len(first) + 14
    keys = f'<rect class="area" x="{LEFT}" y="{y - 5}" width="20" height="9"/>'
    keys += _line(LEFT, y - 5, LEFT + 20, y - 5, "ref") + _line(second, y, second + 20, y, "cur")
    return (
        keys
        + _text(LEFT + 26, y + 3, first, "start", "strong")
        + _text(second + 26, y + 3, f"this run, n = {now:,}", "start", "strong")
    )


def _ticks(low: float, high: float) -> list[str]:
    """Return ticks and labels at round values of the horizontal axis."""
    low, high = float(low), float(high)
    span = (high - low) or 1.0
    if not 1 / WIDEST < span < WIDEST:
        return [_text(LEFT, _y(0) + 15, compact(low), "start"),
                _text(WIDTH - RIGHT, _y(0) + 15, compact(high), "end")]  # fmt: skip
    step = 10 ** math.floor(math.log10(span / TICKS))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= TICKS)
    places = itertools.takewhile(
        lambda place: place <= high + span * 1e-9,
        (step * n for n in itertools.count(math.ceil(low / step - 1e-9))),
    )
    parts = []
    for place in places:
        x = _x(place, low, high)
        parts.append(_line(x, _y(0), x, _y(0) + 4, "axis"))
        anchor = "end" if x > WIDTH - RIGHT - 12 else "middle"
        parts.append(_text(x, _y(0) + 15, compact(place if abs(place) > step / 2 else 0), anchor))
    return parts


def _x(value: float, low: float, high: float) -> float:
    share = (value / 2 - low / 2) / ((high / 2 - low / 2) or 1.0)  # the whole may exceed a float
    return LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0)


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _log_y(count: float, decades: int) -> float:
    # a count of one is drawn a little above the axis, so that it stays visible
    return _y((math.log10(count) + LOG_FOOT) / (decades + LOG_FOOT))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>{_safe(text)}</text>'


def _head(uid: str, title: str, summary: str) -> str:
    names = f'role="img" aria-labelledby="{uid}-t {uid}-d">'
    title, summary = _safe(title), _safe(summary)
    return f'{names}<title id="{uid}-t">{title}</title><desc id="{uid}-d">{summary}</desc>'


def _safe(text: str) -> Markup:
    return escape(printable(text[:200]))
