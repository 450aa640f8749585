"""The proposed contract as YAML, with comments; every name and value is quoted where needed."""

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from pipelines.infer import Seen
from provenance import remote
from provenance.dialect import Dialect
from provenance.errors import printable

LEAST_ROWS = 20  # fewer cannot be judged
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*\Z")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_SHORT = {"\0": "\\0", "\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_ASCII, _PLANE = 0x100, 0x10000
_COMMENT = 96
# the standard's types of servers by scheme; it has none for the others
_STORES = {"s3": "s3", "s3a": "s3", "az": "azure", "abfs": "azure", "abfss": "azure"}


@dataclasses.dataclass(slots=True)
class Proposal:
    """What is proposed for one column.

    Attributes:
        seen: what was seen of it.
        roles: of `assay.role`.
        comments: lines before it; those that begin with `check:` want a person's eye.
        is_key, is_unique: whether its values must differ.
        valid: its set of values; ends: its least and greatest value, None for none.
    """

    seen: Seen
    roles: list[str] = dataclasses.field(default_factory=list)
    comments: list[str] = dataclasses.field(default_factory=list)
    is_key: bool = False
    is_unique: bool = False
    valid: list[Any] | None = None
    ends: tuple[Any, Any] = (None, None)


def contract_text(
    proposals: list[Proposal],
    *,
    name: str,
    rows: int,
    path: str | None,
    settings: Mapping[str, str],
) -> str:
    """Return the whole contract; `settings` are what `assay.csv` says."""
    least = LEAST_ROWS if rows >= LEAST_ROWS else 1
    lines = [
        f"# Proposed by `assay init` from {rows:,} rows. Lines with `# check:` want your eye.",
        "apiVersion: v3.1.0",
        "kind: DataContract",
        f"id: {scalar(name)}",
        f"name: {scalar(name)}",
        "version: 0.1.0",
        "status: draft",
        *_servers(path),
        *_csv(settings),
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
    """Return what `assay.csv` must say so that a source of a format is read by a dialect."""
    base = form.partition(".")[0]
    if base not in ("csv", "tsv"):
        return {}
    usual, told = Dialect().named(base), dataclasses.asdict(dialect.named(base))
    return {key: value for key, value in told.items() if value != getattr(usual, key)}


def scalar(value: Any) -> str:
    """Return a value as YAML that reads back as exactly that value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date | dt.time):
        return f'"{value.isoformat()}"'
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(_escaped(char) for char in value) + '"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable() and not char.isspace():
        return char
    if char == " ":
        return char
    code = ord(char)
    if code < _ASCII:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _PLANE else f"\\U{code:08x}"


def _servers(path: str | None) -> list[str]:
    if path is None:
        return ["# check: the source lies elsewhere, so name it with --source"]
    kind = "parquet" if path.endswith(".parquet") else "json" if ".json" in path else "csv"
    if remote.is_url(path):
        store = _STORES.get(path.partition("://")[0], "custom")
        told = f"format: {kind}, location: {scalar(path)}"
        return ["servers:", f"  - {{server: store, type: {store}, {told}}}"]
    return [
        "servers:",
        f"  - {{server: local, type: local, format: {kind}, path: {scalar(path)}}}",
    ]


def _csv(settings: Mapping[str, str]) -> list[str]:
    if not settings:
        return []
    told = ", ".join(f"{key}: {scalar(value)}" for key, value in settings.items())
    return [
        "customProperties:",
        "  # check: how the CSV seems to be written",
        f"  - {{property: assay.csv, value: {{{told}}}}}",
    ]


def _property(proposal: Proposal) -> list[str]:
    seen = proposal.seen
    comments = list(proposal.comments)
    if seen.distinct == 1 and seen.rows > 1:
        comments.append("check: it has one value only")
    lines = [f"      # {_comment(text)}" for text in comments]
    lines += [f"      - name: {scalar(seen.name)}", f"        logicalType: {seen.logical}"]
    if proposal.is_key:
        lines.append("        primaryKey: true")
    elif seen.filled == seen.rows and seen.rows:
        lines.append("        required: true")
    if proposal.is_unique:
        lines.append("        unique: true")
    low, high = proposal.ends
    ends = [f"minimum: {scalar(low)}"] if low is not None else []
    ends += [f"maximum: {scalar(high)}"] if high is not None else []
    if ends:
        lines.append(f"        logicalTypeOptions: {{{', '.join(ends)}}}")
    return lines + _quality(proposal) + _custom(proposal)


def _quality(proposal: Proposal) -> list[str]:
    if proposal.valid is None:
        return []
    values = ", ".join(scalar(value) for value in proposal.valid)
    return [
        "        quality:",
        "          - metric: invalidValues",
        "            arguments:",
        f"              validValues: [{values}]",
        "            mustBe: 0",
    ]


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


def _comment(text: str) -> str:
    plain = printable(text)
    return plain if len(plain) <= _COMMENT else plain[: _COMMENT - 3] + "..."
