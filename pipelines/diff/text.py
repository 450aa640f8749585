"""A comparison of two runs as text: counts, what differs, then the first rows of each kind."""

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.base.errors import printable

KEY_LENGTH = 40
RULES = 12  # findings to list; --json has all
TITLES = {
    "went": "removed: rows only in run {run_a}",
    "came": "added: rows only in run {run_b}",
    "changed": "changed: rows with different content",
    "fate_changed": "rows with a different fate",
}


def text(facts: Mapping[str, Any]) -> str:
    """Return an `assay.diff/1` object as lines."""
    lines = [*_head(facts), *_differs(facts["differs"])]
    for kind, title in TITLES.items():
        total = facts["counts"][kind]
        rows = facts[kind]
        if rows:
            lines.append(title.format_map(facts))
            lines += [f"  {_row(item)}" for item in rows]
        if total > len(rows):
            lines.append(f"  {total - len(rows):,} more; --limit 0 lists all")
    return "".join(f"{printable(line)}\n" for line in lines)


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    counts, by = facts["counts"], facts["paired_by"]
    yield f"run {facts['run_a']} -> run {facts['run_b']}: {counts['a']:,} -> {counts['b']:,} rows"
    shared = by["shared_rows"]
    ways = [f"by position in files that both runs read ({shared:,} rows)"] if shared else []
    if shared < max(counts["a"], counts["b"]) or not shared:
        key = f"by primary key ({', '.join(by['key'])})" if by["key"] else ""
        ways.append(key or "by content (the runs share no primary key)")
    yield _line("paired", "; all others ".join(ways))
    if by["compared"] is not None:
        names = ", ".join(by["compared"]) or "none"
        yield _line("compared", f"only columns that both contracts describe alike: {names}")
    both = counts["changed_with_fate"]
    also = f" ({both:,} also changed)" if both else ""
    yield _line(
        "rows",
        f"{counts['unchanged']:,} unchanged, {counts['changed']:,} changed, "
        f"{counts['fate_changed']:,} with a different fate{also}",
    )
    for name, fates in (("removed", counts["went_from"]), ("added", counts["came_as"])):
        if fates:
            yield _line(name, ", ".join(f"{rows:,} {fate}" for fate, rows in fates.items()))
    for fate in facts["fates"]:
        causes = ", ".join(f"{rows:,} {cause}" for cause, rows in fate["causes"].items())
        yield _line("fates", f"{fate['rows']:,} {fate['from']} -> {fate['to']}; cause: {causes}")
    if by["key"] and facts["keys_hidden"]:
        yield _line("keys", f"hidden: {facts['keys_hidden']}")


def _differs(differs: Mapping[str, Any]) -> Iterator[str]:
    named = ("dataset", "sources", "contract", "code", "reference", "policy", "engine")
    different = [name for name in named if not differs[name]["same"]]
    different += [f"models ({', '.join(differs['models'])})"] if differs["models"] else []
    yield _line("differs", ", ".join(different) or "nothing")
    for name in ("verdict", "decisions"):
        if not differs[name]["same"]:
            yield _line(name, f"{differs[name]['a']} -> {differs[name]['b']}")
    columns = differs["columns"]
    parts = [f"{name} {', '.join(columns[name])}" for name in ("added", "removed") if columns[name]]
    parts += [f"{item['column']} {item['a']} -> {item['b']}" for item in columns["retyped"]]
    if parts:
        yield _line("columns", "; ".join(parts))
    moved = [item for item in differs["findings"] if item["a"] != item["b"]]
    for item in moved[:RULES]:
        name = item["rule"] if "." in item["rule"] else f"{item['check']} {item['rule']}"
        yield _line("findings", f"{name} ({item['severity']}): {item['a']:,} -> {item['b']:,}")
    if len(moved) > RULES:
        yield _line("", f"{len(moved) - RULES} more rules; --json lists them")


def _row(item: Mapping[str, Any]) -> str:
    rows = [str(item[name]) for name in ("row_a", "row_b") if item[name] is not None]
    fates = [item[name] for name in ("fate_a", "fate_b") if item[name] is not None]
    parts = ["row " + " -> ".join(dict.fromkeys(rows))]
    if item["key"]:
        parts.append(", ".join(f"{name} {_cut(cell)}" for name, cell in item["key"].items()))
    parts.append(" -> ".join(dict.fromkeys(fates)))
    if item["cause"]:
        possible = f" ({' or '.join(item['may_be'])})" if item["may_be"] else ""
        rules = ", ".join(dict.fromkeys(ground["rule"] for ground in item["grounds"]))
        parts.append(f"{item['cause']}{possible}{': ' if rules else ''}{rules}")
    return "  ".join(parts)


def _cut(cell: object) -> str:
    shown = "missing" if cell is None else str(cell)
    return shown if len(shown) <= KEY_LENGTH else f"{shown[:KEY_LENGTH]}..."


def _line(name: str, value: str) -> str:
    return f"  {name:<9} {value}"
