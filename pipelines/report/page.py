"""The report of a run: one HTML file that makes no network requests and runs no foreign script.

Every value passes through `_shown` (Jinja's finalize), so no text reaches the page uncut or
unescaped. Style and script are allowed by their digests alone, and all foreign markup is text.
"""

import base64
import dataclasses
import functools
import hashlib
import importlib.resources
import json
from typing import TYPE_CHECKING, Any

from checks.kit.protocol import Panel
from pipelines.checking.examine import Status
from pipelines.report.facts import ReportFacts
from provenance.base.codes import CODES
from provenance.base.errors import Notice, printable

if TYPE_CHECKING:
    import jinja2

SCHEMA = "assay.report/1"
FIRST_REASONS = 3
MOST_CHARTS = 100  # columns whose drift is drawn; of more, a table tells
TEXT_LIMIT = 400  # characters of any one text of the page
STATUS_WORDS = {  # in the order of the page
    "failed": "did not run: crashed",
    "timeout": "did not run: timed out",
    "skipped": "skipped",
    "ok": "ran",
}
NOT_RUN = ("K001", "K002", "K003")
DRIFT = ("K010", "K017")
COLOURS = "colours.css"  # and letters; the review page has them too
RULES = ("rules", "the rules")
# where on the page a reason is shown in full
PLACES = {
    **dict.fromkeys(NOT_RUN, ("checks", "the checks")),
    **dict.fromkeys(DRIFT, ("drift", "the drift panels")),
    **dict.fromkeys(("K011", "K012", "K013", "K014", "K015", "K025"), RULES),
}


def render(facts: ReportFacts) -> str:
    """Return the page of one run as HTML text; the same facts give the same bytes."""
    style, script = asset(COLOURS) + asset("report.css"), asset("report.js")
    page = _environment().get_template("report.html.j2")
    ranked = _by_drift(facts.drift)
    drawn = {panel.column for panel in ranked[:MOST_CHARTS]}
    return page.render(
        facts=facts,
        drawn=[panel for panel in facts.drift if panel.column in drawn],
        tabled=ranked[MOST_CHARTS:],
        style=_trusted(style),
        script=_trusted(script),
        policy=_policy(style, script),
        data=_trusted(_data(facts)),
        first=_ranked(facts.reasons)[:FIRST_REASONS],
        more=_ranked(facts.reasons)[FIRST_REASONS:],
        checks=_checks(facts),
        codes=_codes(facts),
        unchecked=_unchecked(facts),
        places=PLACES if facts.drift else {**PLACES, **dict.fromkeys(DRIFT, RULES)},
        worst=next((r.examples[0] for r in facts.rules if r.examples), None),
    )


def _ranked(reasons: tuple[Notice, ...]) -> list[Notice]:
    """Put first what casts doubt on the other reasons: broken records, then checks not run."""

    def rank(notice: Notice) -> int:
        code = _short(notice.code)
        if code.startswith("L"):
            return 0
        return 1 if code == "K013" else 2 if code in NOT_RUN else 3

    return sorted(reasons, key=rank)


def _by_drift(panels: tuple[Panel, ...]) -> list[Panel]:
    """Return panels by their measure as a share of its limit, the largest first."""

    def place(panel: Panel) -> tuple[bool, float]:
        share = (panel.value or 0.0) / (panel.limit or 1.0)
        return not panel.is_drifted, -share

    return sorted(panels, key=place)


def _checks(facts: ReportFacts) -> list[dict[str, Any]]:
    """Return the checks with their status in words; those not run first, then by rows."""
    order = {word: place for place, word in enumerate(STATUS_WORDS)}

    def place(status: Status) -> tuple[int, int, str]:
        return order.get(status.status, 0), -status.rows, status.check  # unknown: did not run

    checks = [dataclasses.asdict(status) for status in sorted(facts.checks, key=place)]
    for check in checks:
        check["word"] = STATUS_WORDS.get(check["status"], f"unknown: {check['status']}")
    return checks


def _unchecked(facts: ReportFacts) -> list[str]:
    not_run = [
        f"{check['check']}: {', '.join(filter(None, (check['word'], check['why'])))}."
        for check in _checks(facts)
        if check["status"] != "ok"
    ]
    return list(dict.fromkeys([*not_run, *facts.unchecked]))


def _codes(facts: ReportFacts) -> dict[str, tuple[str, str]]:
    """Return the meaning and the remedy of every code on the page."""
    named = [n.code for n in (*facts.reasons, *facts.warnings)] + [r.rule for r in facts.rules]
    return {code: CODES[code] for code in sorted(set(map(_short, named))) if code in CODES}


def _data(facts: ReportFacts) -> str:
    """Return what a program may read from the page, escaped for a script element."""
    data = {
        "schema": SCHEMA,
        "run": facts.run,
        "run_id": facts.run_id,
        "dataset": facts.dataset,
        "verdict": facts.verdict,
        "time": facts.time,
        "rows": dict(facts.rows),
        "contract_sha256": facts.contract["sha256"],
        "ledger_head": facts.ledger_head,
        "sources": [{name: s[name] for name in ("sha256", "rows")} for s in facts.sources],
        "reasons": [_short(notice.code) for notice in facts.reasons],
    }
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    allowed = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:"
    closed = "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    return f"default-src 'none'; {allowed}; {closed}; trusted-types 'none'"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _trusted(text: str) -> str:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON that _data made safe


def _shown(value: object) -> object:
    """Cut a text, and escape its control characters and text-direction marks."""
    if hasattr(value, "__html__") or isinstance(value, int | float):
        return value
    value = str(value)
    text = printable(value if len(value) <= TEXT_LIMIT else value[:TEXT_LIMIT] + " … (cut)")
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _ticks(text: str) -> str:
    """Mark text between backticks as code."""
    from markupsafe import Markup, escape

    parts = str(escape(_shown(text))).split("`")
    if len(parts) % 2 == 0:
        return Markup("`".join(parts))  # noqa: S704 - every part is escaped
    marked = (f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 - every part is escaped


def _short(code: str) -> str:
    return code.removeprefix("ASSAY-")


def asset(name: str) -> str:
    """Return a file of the report's templates."""
    folder = importlib.resources.files("pipelines.report").joinpath("templates")
    return folder.joinpath(name).read_text("utf-8")


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2

    from pipelines.report import charts

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": charts.percent,
        "short": _short,
        "size": _size,
        "ticks": _ticks,
        "digits": lambda value: f"{value:,}",
        "figure": lambda value: "" if value is None else f"{value:.3g}",
        "seconds": _seconds,
        "measured": _measured,
    }
    environment.globals |= {"charts": charts, "CODES": CODES}
    return environment


def _measured(value: float, is_share: bool, is_signed: bool = False) -> str:  # noqa: FBT001, FBT002
    """Return a model's figure, a share in percent; a signed one is a difference of two."""
    sign = "+" if is_signed else ""
    if is_share:
        return f"{100 * value:{sign}.2f}" + (" points" if is_signed else " %")
    return f"{value:{sign}.4f}"


def _seconds(value: float) -> str:
    from markupsafe import Markup

    return Markup(f"{value:.1f}&nbsp;s")  # noqa: S704 - a number


def _size(value: int) -> str:
    """Return a number of bytes in kB, MB or GB, in steps of 1,000."""
    for power, name in ((3, "GB"), (2, "MB"), (1, "kB")):
        if value >= 1000**power:
            return f"{value / 1000**power:.1f} {name}"
    return f"{value} bytes"
