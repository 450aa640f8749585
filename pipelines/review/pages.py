"""The pages of the review server: the dashboard, a run, its queue, a rule, an error.

Jinja escapes every value. The pages hold no cells: the script fetches those of the row on screen.
"""

import functools
import importlib.resources
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from checks.kit.findings import SEVERITIES
from pipelines import config
from pipelines.report import charts
from pipelines.report.page import COLOURS, asset
from pipelines.review import roles
from pipelines.review.answers import Meaning
from pipelines.review.desk import MOST_RUNS, Desk
from pipelines.review.sessions import visiting
from pipelines.store import reference_anchor, row_history
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import MOST
from provenance.ledger.entry import Entry
from provenance.ledger.run_files import FATES

if TYPE_CHECKING:
    import jinja2

TEXT_LIMIT = 400  # characters of any one text of a page
REPORT = "report.html"
# the report brings its own style and script, allowed by their digests; it can reach nothing else
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
KEYS = {
    "decide": "arlcxuARe",
    "approve": "y",
    "reveal": "v/",
}  # of the review page, by what they need
SCRIPTS = ("review.js", "row.js", "near.js")
ASSETS = dict.fromkeys((COLOURS, "review.css"), "text/css") | dict.fromkeys(
    SCRIPTS, "text/javascript"
)
WIDTH, HEIGHT = 160, 34  # of a trend line, in CSS pixels
Number = Annotated[int, Path(ge=0, le=MOST)]


def router(desk: Desk, means: Meaning) -> APIRouter:
    """Return the routes of all pages."""
    made = APIRouter()
    _of_runs(made, desk)

    @made.post("/runs/{number}/anchor")
    def anchor(number: Number, request: Request) -> Response:
        reason = request.state.form.get("reason", "").strip()
        desk.anchor(desk.store.find(str(number)), reason)
        return RedirectResponse(f"/runs/{number}#reference", 303)

    @made.get("/rules/{rule:path}")
    def rule_(rule: str) -> HTMLResponse:
        return page("rule", rule=rule, facts=means(rule))

    @made.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in ASSETS:
            raise AssayError("C013", "there is no such file", fix="go back to the page")
        text = asset(name) if name == COLOURS else _asset("static", name)
        return Response(text, media_type=ASSETS[name])

    return made


def _of_runs(made: APIRouter, desk: Desk) -> None:
    @functools.lru_cache(maxsize=MOST_RUNS)
    def counted(number: int) -> list[dict[str, Any]]:
        return _by_check(desk, number)

    @made.get("/")
    def dashboard() -> HTMLResponse:
        desk.follow()
        last = list(desk.runs)
        runs = [_summary(desk, entry) for entry in reversed(last)]
        return page("dashboard", runs=runs, trends=_trends(last), store=_store(desk))

    @made.get("/runs/{number}")
    def run(number: Number) -> HTMLResponse:
        entry = desk.store.find(str(number))
        counts = counted(entry.seq)
        anchor = reference_anchor.standing(desk.store, entry.facts["dataset"]).entry
        return page("run", run=_summary(desk, entry), facts=entry.facts, counts=counts,
                    people=desk.people(entry), anchor=anchor and anchor.facts)  # fmt: skip

    @made.get("/runs/{number}/report.html")
    def report(number: Number) -> Response:
        entry = desk.store.find(str(number))
        content = desk.store.reader(entry).read(REPORT)
        headers = {"content-security-policy": REPORT_POLICY}
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")

    @made.get("/runs/{number}/review")
    def review(number: Number) -> Response:
        base = row_history.base_of(desk.store.find(str(number)))
        if base != number:
            return RedirectResponse(f"/runs/{base}/review", 303)
        queue = desk.queue(number)
        return page(
            "review", run=number, dataset=queue.run.entry.facts["dataset"], off=_keys_off(),
            reviewer=desk.reviewer, policy=queue.run.contract.policy,
            label=queue.run.contract.label, columns=queue.run.columns, store=_store(desk),
        )  # fmt: skip


def error(facts: Mapping[str, Any]) -> str:
    """Return the page of an error."""
    return _drawn("error", error=facts)


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page from its template; it also shows who is logged in."""
    return HTMLResponse(_drawn(name, **values), status)


def _drawn(name: str, **values: Any) -> str:
    template = _environment().get_template(f"{name}.html.j2")
    return template.render(session=visiting.get(None), may=roles.may, **values)


def _keys_off() -> str:
    """Return the keys of the review page that do nothing for the role of the session."""
    session = visiting.get()
    return "".join(keys for power, keys in KEYS.items() if not roles.may(session, power))


def _store(desk: Desk) -> str:
    """Return what a command needs to find the store."""
    return config.store_words(desk.store.folder)


def _summary(desk: Desk, entry: Entry) -> dict[str, Any]:
    facts, base = entry.facts, row_history.base_of(entry)
    checks = facts.get("checks", {})
    return {
        "number": entry.seq, "kind": entry.kind, "base": base, "time": facts["time"],
        "dataset": facts["dataset"], "verdict": facts["verdict"], "rows": facts["rows"],
        "reasons": facts["reasons"], "warnings": facts.get("warnings", []),
        "checks": checks, "unrun": [n for n, s in checks.items() if s not in ("ok", "skipped")],
        "waiting": desk.waiting(base) if entry.kind == "run" else None,
        "decided": desk.decided.get(base, 0) if entry.kind == "run" else 0,
    }  # fmt: skip


def _by_check(desk: Desk, number: int) -> list[dict[str, Any]]:
    """Return how many findings of a run each check has by severity, most errors first."""
    base = desk.store.ledger.read(row_history.base_of(desk.store.ledger.read(number)))
    tables = list(desk.store.reader(base).tables("findings", ["check", "severity"]))
    counts: dict[str, dict[str, int]] = {}
    if tables:
        grouped = (
            pa.concat_tables(tables).group_by(["check", "severity"]).aggregate([([], "count_all")])
        )
        for item in grouped.to_pylist():
            counts.setdefault(item["check"], {})[item["severity"]] = item["count_all"]
    made = [{"check": name, **dict.fromkeys(SEVERITIES, 0), **own} for name, own in counts.items()]
    return sorted(made, key=lambda item: (-item["error"], -item["warning"], item["check"]))


def _trends(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return of each dataset how its last runs went, drawn; oldest first."""
    by_dataset: dict[str, list[Entry]] = {}
    for entry in runs:
        if entry.kind == "run":
            by_dataset.setdefault(str(entry.facts["dataset"]), []).append(entry)
    return [{"dataset": name, "lines": _lines(own), "runs": len(own), "last": own[-1]}
            for name, own in sorted(by_dataset.items())]  # fmt: skip


def _lines(runs: Sequence[Entry]) -> list[dict[str, Any]]:
    made = []
    for fate in FATES[1:]:
        shares = [int(e.facts["rows"][fate]) / max(int(e.facts["rows"]["source"]), 1) for e in runs]
        words = ", ".join(charts.percent(share) for share in shares[-5:])
        made.append({"fate": fate, "path": _path(shares), "now": shares[-1], "words": words,
                     "top": max(shares)})  # fmt: skip
    return made


def _path(shares: Sequence[float]) -> str:
    """Return a line over shares as an SVG path; its top is the largest of them."""
    top, step = max([*shares, 1e-9]), (WIDTH - 4) / max(len(shares) - 1, 1)
    points = [
        f"{2 + step * place:.1f} {HEIGHT - 3 - (HEIGHT - 6) * share / top:.1f}"
        for place, share in enumerate(shares)
    ]
    first = points[0].partition(" ")[2]
    return f"M{'L'.join(points)}" if len(points) > 1 else f"M2 {first}H{WIDTH - 2}"


def _asset(folder: str, name: str) -> str:
    files = importlib.resources.files("pipelines.review").joinpath(folder)
    return files.joinpath(name).read_text("utf-8")


def _shown(value: object) -> object:
    """Cut a text, and write out its control characters and text-direction marks."""
    if hasattr(value, "__html__") or isinstance(value, int | float):
        return value
    text = str(value)
    return printable(text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]} … (cut)")


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(functools.partial(_asset, "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "digits": lambda value: f"{value:,}",
        "percent": charts.percent,
        "moment": lambda time: str(time).replace("T", " ").replace("+00:00", " UTC"),
    }
    environment.globals |= {"WIDTH": WIDTH, "HEIGHT": HEIGHT}
    return environment
