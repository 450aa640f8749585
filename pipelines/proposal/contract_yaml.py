"""The proposed contract as YAML with comments; names and values are quoted where needed."""

import dataclasses
import datetime as dt
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.proposal import nested_columns
from pipelines.proposal.columns import Seen
from provenance.base.errors import printable
from provenance.files import remote
from provenance.readers.csv_dialect import Dialect

LEAST_ROWS = 20  # the check `shape` refuses fewer
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?: [A-Za-z0-9_]+)*\Z")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_COMMENT, _COMMENT_LINES = 96, 4
_SHORT = 72  # characters of a rule that is written on one line
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
        is_index: whether it only counts or names the rows.
        is_partition: whether the names of the source's folders give it.
        doubts: why a rule is not sure: `required`, `unique`, `valid`, `minimum`, `maximum`.
        is_partial: whether it is a label that may be missing.
    """

    seen: Seen
    roles: list[str] = dataclasses.field(default_factory=list)
    comments: list[str] = dataclasses.field(default_factory=list)
    is_key: bool = False
    is_unique: bool = False
    valid: list[Any] | None = None
    ends: tuple[Any, Any] = (None, None)
    is_required: bool = False
    is_partial: bool = False
    is_index: bool = False
    is_partition: bool = False
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
    count = {
        "metric": "rowCount",
        "mustBeGreaterOrEqualTo": LEAST_ROWS if rows >= LEAST_ROWS else 1,
    }
    facts = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": name, "name": name,
             "version": "0.1.0", "status": "draft"}  # fmt: skip
    lines = [
        f"# Proposed by `assay init` from {rows:,} rows. Review what is marked `# check:`.",
        "# A rule below `# unsure:` only warns, until you or more rows make it an error.",
        *(f"{key}: {scalar(value)}" for key, value in facts.items()),
        *_servers(path, form),
        *_settings(settings, rows),
        "schema:",
        f"  - name: {scalar(name)}",
        "    quality:",
        f"      - {_flow(count)}",
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
    server = {"server": "local", "type": "local"}
    if is_url := remote.is_url(path):
        store = _STORES.get(path.partition("://")[0], "custom")
        server = {"server": "store", "type": store}
    server["format"] = {"jsonl": "json", "tsv": "csv"}.get(form, form)
    return ["servers:", f"  - {_flow({**server, 'location' if is_url else 'path': path})}"]


def _settings(settings: Mapping[str, str], rows: int) -> list[str]:
    lines = []
    if settings:
        lines += ["  # check: the format of the CSV, as detected"]
        lines += [f"  - {_flow({'property': 'assay.csv', 'value': settings})}"]
    if rows < LEAST_ROWS:  # else the source would fail its own contract
        lines += [f"  # check: only {rows} rows; without this line, fewer than {LEAST_ROWS} fail"]
        lines += ["  - {property: assay.checks, value: {shape: {least_rows: 1}}}"]
    return ["customProperties:", *lines] if lines else []


def _property(proposal: Proposal) -> list[str]:
    seen, doubts, comments = proposal.seen, proposal.doubts, list(proposal.comments)
    if seen.distinct == 1 and seen.rows > 1:
        comments.append("check: only one value occurs")
    fields: dict[str, Any] = {"name": seen.name, "logicalType": seen.logical}
    if proposal.is_key:
        fields["primaryKey"] = True
    elif proposal.is_required and "required" not in doubts:
        fields["required"] = True
    if proposal.is_unique and "unique" not in doubts:
        fields["unique"] = True
    if proposal.is_partition:
        fields["partitioned"] = True
    form = {"format": seen.form} if seen.form else {}
    if options := form | _ends(proposal, is_sure=True):
        fields["logicalTypeOptions"] = options
    roles = {"assay.role": proposal.roles if len(proposal.roles) > 1 else "".join(proposal.roles)}
    custom: dict[str, Any] = roles | {"assay.missing": list(seen.missing)}
    custom |= (
        {"assay.label": {"missing": "allowed"}}
        if proposal.is_partial and "label" in proposal.roles
        else {}
    )
    customs = [{"property": key, "value": value} for key, value in custom.items() if value]
    return [
        *(f"      # {line}" for text in comments for line in _wrapped(text)),
        *_block(fields, "      "),
        *(nested_columns.lines(seen.nested, "        ", scalar) if seen.nested else ()),
        *_listed("quality", [line for rule in _quality(proposal) for line in _rule(*rule)]),
        *_listed("customProperties", [f"          - {_flow(item)}" for item in customs]),
    ]


def _ends(proposal: Proposal, *, is_sure: bool) -> dict[str, Any]:
    named = zip(("minimum", "maximum"), proposal.ends, strict=True)
    return {
        end: value
        for end, value in named
        if value is not None and (end not in proposal.doubts) == is_sure
    }


def _quality(proposal: Proposal) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield the rules of `quality`, each with the reason why it is not sure, None if it is."""
    doubts = proposal.doubts
    if proposal.is_required and "required" in doubts:
        yield doubts["required"], {"metric": "nullValues", "mustBe": 0}
    if proposal.is_unique and "unique" in doubts:
        yield doubts["unique"], {"metric": "duplicateValues", "mustBe": 0}
    if ends := _ends(proposal, is_sure=False):
        kwargs = {f"{end[:3]}_value": value for end, value in ends.items()}
        yield doubts[next(iter(ends))], _expectation("values_to_be_between", kwargs)
    if proposal.valid is None:
        return
    why = doubts.get("valid")
    if why and "label" in proposal.roles:  # its validValues is one rule with its gaps, an error
        yield why, _expectation("values_to_be_in_set", {"value_set": proposal.valid})
    else:
        arguments = {"validValues": proposal.valid}
        yield why, {"metric": "invalidValues", "arguments": arguments, "mustBe": 0}


def _expectation(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    implementation = {"type": f"expect_column_{name}", "kwargs": kwargs}
    return {"type": "custom", "engine": "greatExpectations", "implementation": implementation}


def _rule(why: str | None, rule: dict[str, Any]) -> list[str]:
    """Return a rule as an item of `quality`; an unsure one is a warning below its reason."""
    above = [f"          # unsure: {comment(why)}"] if why else []
    rule = {**rule, "severity": "warning"} if why else rule
    line = _flow(rule)
    return above + ([f"          - {line}"] if len(line) <= _SHORT else _block(rule, " " * 10))


def _listed(key: str, lines: list[str]) -> list[str]:
    return [f"        {key}:", *lines] if lines else []


def _block(item: Mapping[str, Any], indent: str) -> list[str]:
    """Return a mapping as an item of a list, one line for each key."""
    lines = [f"{indent}  {key}: {_flow(value)}" for key, value in item.items()]
    lines[0] = f"{indent}- {lines[0].lstrip()}"
    return lines


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return scalar(value)


def comment(text: str) -> str:
    """Return a text as one line of a comment: printable and not too long."""
    plain = printable(text)
    return plain if len(plain) <= _COMMENT else plain[: _COMMENT - 3] + "..."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _COMMENT, subsequent_indent="  ", max_lines=_COMMENT_LINES
    )
