"""The proposed contract as YAML with comments; names and values are quoted where needed."""

import dataclasses
import datetime as dt
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from pipelines.proposal.columns import Seen
from provenance.base.errors import printable
from provenance.files import remote
from provenance.readers.csv_dialect import Dialect

LEAST_ROWS = 20  # the check `shape` refuses fewer
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*\Z")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_COMMENT, _COMMENT_LINES = 96, 4
# types of servers in the standard, by URL scheme; it has none for other schemes
_STORES = {"s3": "s3", "s3a": "s3", "az": "azure", "abfs": "azure", "abfss": "azure"}


@dataclasses.dataclass(slots=True)
class Proposal:
    """The proposal for one column.

    Attributes:
        seen: the facts about it.
        roles: values of `assay.role`.
        comments: lines above it; those that begin with `check:` need review.
        is_key, is_unique: whether its values must differ; is_required: whether none may be missing.
        valid: its set of values; ends: its least and greatest value, None for no limit.
        doubts: why a rule is not sure: `required`, `unique`, `valid`, `minimum`, `maximum`.
    """

    seen: Seen
    roles: list[str] = dataclasses.field(default_factory=list)
    comments: list[str] = dataclasses.field(default_factory=list)
    is_key: bool = False
    is_unique: bool = False
    valid: list[Any] | None = None
    ends: tuple[Any, Any] = (None, None)
    is_required: bool = False
    doubts: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_named(self) -> bool:
        """Return whether its values identify rows."""
        return self.is_key or self.is_unique

    def doubt(self, rule: str, why: str | None) -> None:
        """Note why a rule is not sure, None if it is."""
        if why is not None:
            self.doubts[rule] = why


def contract_text(
    proposals: list[Proposal],
    *,
    name: str,
    rows: int,
    path: str | None,
    form: str,
    settings: Mapping[str, str],
) -> str:
    """Return the contract of a source of format `form`; `settings` go into `assay.csv`."""
    least = LEAST_ROWS if rows >= LEAST_ROWS else 1
    lines = [
        f"# Proposed by `assay init` from {rows:,} rows. Review what is marked `# check:`.",
        "# A rule below `# unsure:` only warns, until you or more rows make it an error.",
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: {scalar(name)}",
        f"name: {scalar(name)}",
        "version: 0.1.0",
        "status: draft",
        *_servers(path, form),
        *_settings(settings, rows),
        "schema:",
        f"  - name: {scalar(name)}",
        "    quality:",
        f"      - {{metric: rowCount, mustBeGreaterOrEqualTo: {least}}}",
        "    properties:",
    ]
    for proposal in proposals:
        lines += _property(proposal)
    return "\n".join(lines) + "\n"


def csv_settings(dialect: Dialect, form: str) -> dict[str, str]:
    """Return the settings of `assay.csv` that make a source of a format be read by a dialect."""
    base = form.partition(".")[0]
    if base not in ("csv", "tsv"):
        return {}
    usual, found = Dialect().named(base), dataclasses.asdict(dialect.named(base))
    return {key: value for key, value in found.items() if value != getattr(usual, key)}


def scalar(value: Any) -> str:
    """Return a value as YAML that reads back as exactly that value.

    JSON is YAML, less the characters that a contract may hold only as escapes, such as U+202E; no
    YAML library escapes those and leaves other letters readable.
    """
    if isinstance(value, dt.date | dt.time):
        value = value.isoformat()
    elif isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)


def _servers(path: str | None, form: str) -> list[str]:
    if path is None:
        return ["# check: the source is outside this folder, so name it with --source"]
    kind = {"jsonl": "json", "tsv": "csv"}.get(form, form)
    where = f"server: local, type: local, format: {kind}, path: {scalar(path)}"
    if remote.is_url(path):
        store = _STORES.get(path.partition("://")[0], "custom")
        where = f"server: store, type: {store}, format: {kind}, location: {scalar(path)}"
    return ["servers:", f"  - {{{where}}}"]


def _settings(settings: Mapping[str, str], rows: int) -> list[str]:
    lines = []
    if settings:
        pairs = ", ".join(f"{key}: {scalar(value)}" for key, value in settings.items())
        lines += ["  # check: the format of the CSV, as detected"]
        lines += [f"  - {{property: assay.csv, value: {{{pairs}}}}}"]
    if rows < LEAST_ROWS:  # else the source would fail its own contract
        lines += [f"  # check: only {rows} rows; without this line, fewer than {LEAST_ROWS} fail"]
        lines += ["  - {property: assay.checks, value: {shape: {least_rows: 1}}}"]
    return ["customProperties:", *lines] if lines else []


def _property(proposal: Proposal) -> list[str]:
    seen = proposal.seen
    comments = list(proposal.comments)
    if seen.distinct == 1 and seen.rows > 1:
        comments.append("check: only one value occurs")
    lines = [f"      # {line}" for text in comments for line in _wrapped(text)]
    lines += [f"      - name: {scalar(seen.name)}", f"        logicalType: {seen.logical}"]
    if proposal.is_key:
        lines.append("        primaryKey: true")
    elif proposal.is_required and "required" not in proposal.doubts:
        lines.append("        required: true")
    if proposal.is_unique and "unique" not in proposal.doubts:
        lines.append("        unique: true")
    sure = [f"{end}: {scalar(value)}" for end, value in _ends(proposal, is_sure=True)]
    if sure:
        lines.append(f"        logicalTypeOptions: {{{', '.join(sure)}}}")
    return lines + _quality(proposal) + _custom(proposal)


def _ends(proposal: Proposal, *, is_sure: bool) -> list[tuple[str, Any]]:
    named = zip(("minimum", "maximum"), proposal.ends, strict=True)
    return [
        (end, value)
        for end, value in named
        if value is not None and (end not in proposal.doubts) == is_sure
    ]


def _quality(proposal: Proposal) -> list[str]:
    doubts, lines = proposal.doubts, []
    if proposal.is_required and "required" in doubts:
        lines += [
            _unsure(doubts["required"]),
            "          - {metric: nullValues, mustBe: 0, severity: warning}",
        ]
    if proposal.is_unique and "unique" in doubts:
        lines += [
            _unsure(doubts["unique"]),
            "          - {metric: duplicateValues, mustBe: 0, severity: warning}",
        ]
    unsure = _ends(proposal, is_sure=False)
    if unsure:
        kwargs = ", ".join(f"{end[:3]}_value: {scalar(value)}" for end, value in unsure)
        lines += [_unsure(doubts[unsure[0][0]])]
        lines += _expectation("values_to_be_between", f"{{{kwargs}}}")
    if proposal.valid is not None:
        lines += _valid(proposal)
    return ["        quality:", *lines] if lines else []


def _valid(proposal: Proposal) -> list[str]:
    values = f"[{', '.join(scalar(value) for value in proposal.valid or ())}]"
    why = proposal.doubts.get("valid")
    if why and "label" in proposal.roles:  # its validValues is one rule with its gaps, an error
        return [_unsure(why), *_expectation("values_to_be_in_set", f"{{value_set: {values}}}")]
    return [
        *([_unsure(why)] if why else []),
        "          - metric: invalidValues",
        "            arguments:",
        f"              validValues: {values}",
        "            mustBe: 0",
        *(["            severity: warning"] if why else []),
    ]


def _expectation(name: str, kwargs: str) -> list[str]:
    return [
        "          - type: custom",
        "            engine: greatExpectations",
        f"            implementation: {{type: expect_column_{name}, kwargs: {kwargs}}}",
        "            severity: warning",
    ]


def _unsure(why: str) -> str:
    return f"          # unsure: {comment(why)}"


def _custom(proposal: Proposal) -> list[str]:
    entries = []
    if proposal.roles:
        roles = ", ".join(proposal.roles)
        value = roles if len(proposal.roles) == 1 else f"[{roles}]"
        entries.append(f"          - {{property: assay.role, value: {value}}}")
    if proposal.seen.missing:
        words = ", ".join(scalar(word) for word in proposal.seen.missing)
        entries.append(f"          - {{property: assay.missing, value: [{words}]}}")
    return ["        customProperties:", *entries] if entries else []


def comment(text: str) -> str:
    """Return a text as one line of a comment: printable and not too long."""
    plain = printable(text)
    return plain if len(plain) <= _COMMENT else plain[: _COMMENT - 3] + "..."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _COMMENT, subsequent_indent="  ", max_lines=_COMMENT_LINES
    )
