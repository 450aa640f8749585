"""`assay explain`: the story of one row from source to last fate, or what a code or rule means."""

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from checks.kit.wording import p_value
from pipelines import config
from provenance.base.codes import CODES, exit_of
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import ordinal

if TYPE_CHECKING:
    from checks.kit.protocol import Explanation
    from pipelines.store.store import Store
    from provenance.ledger.entry import Entry
    from provenance.ledger.run_reader import RunReader

FATE = ("run", "kind", "time", "fate", "file", "file_row")
CODE = re.compile(r"(?:ASSAY-)?([IVCKLEG]\d{3})", re.IGNORECASE)
_BLIND = re.compile(r"Blind to: (.+?)(?=\s(?:Threat|State|Cost|Nulls|Source): |\Z)", re.DOTALL)


def main(arguments: argparse.Namespace) -> int:
    """Print the page of a code or rule, or the story of a row."""
    if arguments.row is None:
        facts = meaning(arguments.subject)
        text = page(facts)
    else:
        from pipelines.store.store import Store

        store = Store(config.store_folder(arguments.store))
        store.require()
        facts = row_facts(store, arguments.subject, arguments.row)
        text = story(facts)
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text)
    return 0


def meaning(subject: str) -> dict[str, Any]:
    """Return what a code or a rule means.

    Raises:
        AssayError: ASSAY-C012 for a run without a row, ASSAY-C013 for an unknown code or rule.
    """
    if subject == "latest" or subject.isdigit():
        what = f"name the row of run {subject} to explain"
        raise AssayError("C012", what, fix=f"run `assay explain {subject} ROW`")
    if match := CODE.fullmatch(subject):
        return code_facts(match[1].upper())
    return rule_facts(subject)


def code_facts(short: str) -> dict[str, Any]:
    """Return what a code such as `I035` means."""
    if short not in CODES:
        raise AssayError(
            "C013", f"unknown code ASSAY-{short}", fix="see the list in docs/errors.md"
        )
    means, fix = CODES[short]
    return {"code": f"ASSAY-{short}", "means": means, "fix": fix, "exit": exit_of(short)}


def rule_facts(subject: str) -> dict[str, Any]:
    """Return what a rule means.

    `subject` is a check's rule (`outliers.joint`, or `joint` if no other check has one of that
    name) or one of a contract (`age.minimum`, `age.minimum.2`, or its kind alone).
    """
    from checks.kit import registry
    from checks.rules import explanations

    rules = {
        rule: (name, check.__module__, explained)
        for name, check in registry.load().items()
        for rule, explained in check.explains.items()
    }
    asked = subject.casefold()
    named = [rule for rule in rules if asked in (rule.casefold(), rule.casefold().split(".")[1])]
    kind = re.sub(r"\.\d+$", "", subject).rpartition(".")[2]
    if len(named) == 1:
        return _rule(named[0], *rules[named[0]])
    if kind in explanations.CODED:
        return code_facts(explanations.CODED[kind])
    if explained := explanations.of_kind(kind):
        return _rule(subject, "contract", explanations.__name__, explained)
    near = named or difflib.get_close_matches(subject, rules)
    fix = f"did you mean {any_of(near)}? " if near else ""
    fix += "see docs/errors.md for all codes and rules, and the contract for rules that it names"
    raise AssayError("C013", f"unknown code or rule {subject}", fix=fix)


def _rule(rule: str, check: str, module: str, explained: "Explanation") -> dict[str, Any]:
    return {"rule": rule, "check": check, "misses": blind_to(module), **explained._asdict()}


def blind_to(module: str) -> str:
    """Return what gets past a check, by the docstring of its loaded module."""
    found = _BLIND.search(sys.modules[module].__doc__ or "")
    return " ".join(found[1].split()) if found else ""


def any_of(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `error, warning or info`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def page(facts: Mapping[str, Any]) -> str:
    """Return the page of a code or a rule as text."""
    if "code" in facts:
        head, names = facts["code"], ["fix", "exit"]
    else:
        head = f"{facts['rule']} (check {facts['check']}, {any_of(facts['severity'])})"
        names = ["fires", "misses", "fix"]
    width = max(map(len, names)) + 1
    return "".join(
        [f"{head}: {facts['means']}\n", *(f"  {f'{n}:':<{width}} {facts[n]}\n" for n in names)]
    )


def row_facts(store: "Store", run: str, row: str) -> dict[str, Any]:
    """Return the story of one row: source, fate, findings, decisions, fates in every run.

    Args:
        store: of the run.
        run: number or `latest`.
        row: ordinal, or a place in the run's files such as `clean/part-00000.parquet:17`.
    """
    from pipelines.store import row_history

    entry = store.find(run)
    files = store.reader(entry)
    number = ordinal(row)
    number = row_history.row_at(files, entry, row) if number is None else number
    if number is None:
        fix = "give a number from 0, or a place such as clean/part-00000.parquet:17"
        raise AssayError("C013", f"{row} is not a row", fix=fix)
    base = row_history.base_of(entry)
    source = row_history.source_of(entry, number)
    local = number - source["first_row"]
    copy = row_history.copy_of(entry, source)
    runs = list(row_history.fates_of(store, source["sha256"], local, copy))
    fates = [{name: item[name] for name in FATE} for item in runs if item["base"] == base]
    reasons = row_history.findings_in(files, number)
    return {
        "schema": "assay.explain/1",
        "run": entry.seq,
        "row": number,
        "source": {"name": source["name"], "sha256": source["sha256"], "row": local,
                   **_bytes(files, source, local)},
        "fate": next(f["fate"] for f in fates if f["run"] == entry.seq),
        "rejected": row_history.rejection_in(files, number),
        "findings": reasons,
        **_under_review(store, entry, number, reasons),
        "fates": fates,
        "runs": runs,
        "contract": entry.facts["contract"],
        "ledger": {"entry": entry.seq, "leaf": entry.leaf.hex()},
    }  # fmt: skip


def _under_review(
    store: "Store", entry: "Entry", row: int, reasons: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a row's cells, masked; its decisions; the clean rows like it; what it would pass by.

    The decisions are all of its content, oldest first, and those on other content with its key;
    where two people decide, those that who asks may see.
    """
    from pipelines.review import advice, approval, nearest, shown_cells
    from pipelines.review.reviewed_run import ReviewedRun

    run, name = ReviewedRun.of(store, entry), config.reviewer()
    pending = run.pending_to(name, row)
    names = ("entry", "time", "base", "decision", "column", "value", "reason", "reviewer")
    like = nearest.nearest(run, row) if reasons else []
    cells = shown_cells.shown(run, [row, *(near.row for near in like)], run.columns)
    return {
        "values": cells.get(row, {}),
        "passing": advice.passing(run, reasons),
        "nearest": [
            {"row": near.row, "distance": near.distance,
             "differs": {name: cells[near.row][name] for name in near.differs}}
            for near in like
        ],
        "decisions": [
            {name: getattr(decision, name) for name in names}
            | {"value": shown_cells.shown_value(run, decision.column, decision.value),
               "same_content": is_same, "decision": decision.word}
            for decision, is_same in run.told(row, name)
        ],
        "review": approval.facts(pending),
        "says": approval.told(pending),
    }  # fmt: skip


def _bytes(files: "RunReader", source: Mapping[str, Any], local: int) -> dict[str, Any]:
    """Return where a row's bytes are in its source file, or why that is unknown."""
    from pipelines.store import row_history
    from provenance.readers import row_bytes
    from provenance.rows.snapshot import Source

    if "://" in source["name"]:
        return {"bytes": None, "bytes_unknown": "the source is not a local file"}
    dialect = row_history.contract_of(files).csv
    try:
        span = row_bytes.span_of(Source(**source), local, dialect)
    except AssayError as error:
        return {"bytes": None, "bytes_unknown": f"{error.what} ({error.code})"}
    if span is None:
        return {"bytes": None, "bytes_unknown": "the file is not text"}
    base, _, packing = source["format"].partition(".")
    is_recoded = base not in ("jsonl", "json") and dialect.encoding != "utf-8"
    whose = ("unpacked text" if packing else "file") + (" as UTF-8" if is_recoded else "")
    return {"bytes": {"start": span[0], "end": span[1], "of": whose}, "bytes_unknown": None}


def story(facts: dict[str, Any]) -> str:
    """Return a row's story as text."""
    lines = [
        f"row {facts['row']} of run {facts['run']}: {facts['fate']}",
        *_source(facts["source"]),
    ]
    if facts["values"]:
        cells = "  ".join(f"{name}={cell!r}" for name, cell in facts["values"].items())
        lines.append(f"  values    {cells}")
    if facts["rejected"]:
        lines.append(f"  rejected  {facts['rejected']}")
    else:
        lines += [_finding(item) for item in facts["findings"]] or ["  findings  none"]
    lines += [f"  to pass   {text}" for text in facts["passing"]]
    lines += [_near(item) for item in facts["nearest"]]
    lines += [_decided(item) for item in facts["decisions"]]
    lines += [f"  review    {facts['says']}"] if facts["says"] else []
    for item in facts["runs"]:
        place = f" in {item['file']}, row {item['file_row']}" if item["file"] else ""
        lines.append(
            f"  fate      {item['kind']} {item['run']}: {item['fate']}{place}; {item['time']}, "
            f"contract {item['contract'][:8]}"
        )
    contract, ledger = facts["contract"], facts["ledger"]
    lines.append(f"  contract  {contract['path']}, sha256 {contract['sha256'][:16]}")
    lines.append(f"  ledger    entry {ledger['entry']}, digest {ledger['leaf'][:16]}")
    return "".join(f"{printable(line)}\n" for line in lines)


def _near(item: Mapping[str, Any]) -> str:
    cells = "  ".join(f"{name}={cell!r}" for name, cell in item["differs"].items())
    differs = f", differs in {cells}" if cells else ", differs in nothing compared"
    return f"  near      clean row {item['row']}, {item['distance']:.3f} apart{differs}"


def _decided(item: Mapping[str, Any]) -> str:
    column = f" {item['column']}" if item["column"] else ""
    value = f" to {item['value']!r}" if item["value"] else ""
    other = "" if item["same_content"] else ", when the row had other content"
    why = f": {item['reason']}" if item["reason"] else ""
    return (
        f"  decision  {item['decision']}{column}{value} by {item['reviewer']}, {item['time']}, "
        f"entry {item['entry']} on run {item['base']}{other}{why}"
    )


def _source(source: Mapping[str, Any]) -> Iterator[str]:
    yield f"  source    {source['name']}, row {source['row']}, sha256 {source['sha256'][:16]}"
    if span := source["bytes"]:
        yield f"  bytes     {span['start']:,} up to {span['end']:,} of the {span['of']}"
    else:
        yield f"  bytes     unknown: {source['bytes_unknown']}"


def _finding(item: dict[str, Any]) -> str:
    column = f" [{item['column']}]" if item["column"] else ""
    chance = f", {p_value(item['p_value'])}" if item["p_value"] is not None else ""
    advice = f" -> {item['suggestion']}" if item["suggestion"] else ""
    head = f"  {item['severity']:<9} {item['rule']}{column}, score {item['score']:g}{chance}"
    return f"{head}: {item['evidence']}{advice}"
