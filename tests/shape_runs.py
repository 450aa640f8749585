"""One shape from end to end, as a command of the warm process of `crash`: init, run, and its law.

The law: no check crashes; the verdict is pass or fail, or a refusal with a code that fits the
shape; source = clean + quarantine + rejected, each row once; clean rows are the source's, exactly.
"""

import contextlib
import dataclasses
import datetime as dt
import decimal
import io
import json
import math
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shaped_tables
import yaml

from checks.contract import loader
from checks.kit import nested_roles
from pipelines import cli
from provenance.readers import plain_types


class Loader(yaml.SafeLoader):
    """Reads the numbers of JSON, such as 1e+308, as numbers."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"-?[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]+$"),
    list("-0123456789"),
)


@dataclasses.dataclass
class Result:
    """What came of one shape: exit code, code of the refusal, and what broke the law."""

    seed: int
    about: str
    exit: int = 0
    refusal: str = ""
    rows: dict[str, int] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)


def command(words: list[str]) -> int:
    """Examine the shape of a seed in a folder; print the result as JSON."""
    seed, folder = int(words[0]), Path(words[1])
    shape = shaped_tables.shaped(seed)
    result = Result(seed, shape.about)
    try:
        _examine(shape, folder, result)
    except Exception as error:  # noqa: BLE001  what ended the command is the result
        import traceback

        trace = "".join(traceback.format_exception(error))
        result.problems.append(f"uncaught: {trace[-1500:]}")
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(dataclasses.asdict(result)))
    return 0


def _examine(shape: shaped_tables.Shaped, folder: Path, result: Result) -> None:
    folder.mkdir(parents=True)
    source, contract, store = (folder / name for name in (f"t.{shape.form}", "c.yaml", "store"))
    source.write_bytes(shape.data)
    by_role = {role: name for name, role in shape.roles.items()}
    given = [f"--{role}={by_role[role]}" for role in ("label", "key") if role in by_role]
    code, told = _assay("init", str(source), "-o", str(contract), *given)
    if code == 0:
        _give_roles(contract, shape)
        words = ["--source", str(source), "--store", str(store), "--direct", "--debug"]
        words += ["--reference", str(source)] if shape.with_reference else []
        code, told = _assay("run", str(contract), *words)
    result.exit, error = code, told.get("error")
    if error:
        result.refusal = error["code"]
        if error["code"] not in shape.refusals:
            result.problems.append(f"refused: {json.dumps(error)}")
        return
    result.rows = told["rows"]
    # a reference without a row that can be read is no reference, and the run says so
    if not (shape.with_reference and result.rows["clean"] == 0):
        result.problems += _crashed(told, code)
    result.problems += _lost(told["rows"], shape.rows)
    result.problems += _changed(Path(told["path"]), source, shape, told["rows"])


def _assay(*words: str) -> tuple[int, dict[str, Any]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.main([*words, "--json"])
    (line,) = out.getvalue().splitlines()
    return code, json.loads(line)


def _give_roles(contract: Path, shape: shaped_tables.Shaped) -> None:
    """Write roles and pii into the contract, as a person would; `init` takes label and key."""
    roles = {name: role for name, role in shape.roles.items() if role not in {"label", "key"}}
    lacking = {name for name, role in shape.roles.items() if role == "label" and shape.may_lack}
    if not roles and not shape.pii and not lacking:
        return
    loaded = yaml.load(contract.read_text(encoding="utf-8"), Loader)  # noqa: S506  safe, see there
    for item in loaded["schema"][0]["properties"]:
        role = roles.get(item["name"])
        role = role if _fits(item, role) else None
        given = {"assay.role": role, "assay.pii": _pii(item, shape.pii)}
        if item["name"] in lacking and _is_label(item):
            given["assay.label"] = {"missing": "allowed"}
        given = {key: value for key, value in given.items() if value}
        over = {*given, "assay.label"} if role else given
        own = [p for p in item.get("customProperties", []) if p["property"] not in over]
        own += [{"property": key, "value": value} for key, value in given.items()]
        if own:
            item["customProperties"] = own
    text = json.dumps(loaded, ensure_ascii=False, indent=1)
    contract.write_text(text, encoding="utf-8")


def _is_label(item: dict[str, Any]) -> bool:
    """Return whether `init` made a column the label, as it does unless all its cells are empty."""
    return {"property": "assay.role", "value": "label"} in item.get("customProperties", [])


def _fits(item: dict[str, Any], role: str | None) -> bool:
    """Return whether a column can have a role: lists that are all empty have no parts."""
    if role not in nested_roles.FITS:
        return True
    items = item.get("items", {})
    if role in {"spans", "messages"}:
        return "properties" in items
    wanted = {"integer", "number"} if role == "embedding" else {"integer", "string"}
    return items.get("logicalType") in wanted


def _pii(item: dict[str, Any], pii: dict[str, str]) -> str | None:
    return pii.get(item["name"]) if item["logicalType"] == "string" else None


def _crashed(told: dict[str, Any], code: int) -> list[str]:
    failed = [c for c in told["checks"] if c["status"] not in {"ok", "skipped"}]
    problems = [f"check {check['check']}: {json.dumps(check)}" for check in failed]
    if code not in {0, 1} and not problems:
        problems.append(f"exit {code}: {json.dumps(told['reasons'])}")
    return problems


def _lost(rows: dict[str, int], count: int) -> list[str]:
    kept = rows["clean"] + rows["quarantine"] + rows["rejected"]
    return [] if count == rows["source"] == kept else [f"{count} rows in the file, but {rows}"]


def _changed(
    run: Path, source: Path, shape: shaped_tables.Shaped, rows: dict[str, int]
) -> list[str]:
    """Return how the clean rows differ from the source's, by the lineage."""
    lineage = pq.read_table(run / "lineage").sort_by(
        [("file", "ascending"), ("file_row", "ascending")]
    )
    if sorted(lineage["source_row"].to_pylist()) != list(range(rows["source"])):
        return ["the lineage does not name every row once"]
    is_clean = pa.compute.equal(lineage["fate"], "clean")
    places = lineage.filter(is_clean)["source_row"].to_pylist()
    parts = sorted((run / "clean").glob("*.parquet"))
    clean = pa.concat_tables([pq.read_table(part) for part in parts])
    changed = {name for name, how in shape.pii.items() if how in {"redact", "pseudonymise"}}
    if clean.num_rows != len(places):
        return [f"{clean.num_rows} clean rows, but {len(places)} in the lineage"]
    contract = loader.load(run / "contract.yaml")
    words = {column.name: column.spec.missing for column in contract.columns}
    if shape.form == "parquet":
        return _differences(pq.read_table(source), places, clean, changed, words)
    cells = {name: _without(column, words[name]) for name, column in shape.cells.items()}
    return _text_differences(cells, places, clean, changed)


def _without(cells: list[Any], words: tuple[str, ...]) -> list[Any]:
    """Return cells with None for words that stand for a missing value."""
    return [None if str(cell) in words else cell for cell in cells]


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _differences(
    wanted: pa.Table,
    places: list[int],
    clean: pa.Table,
    changed: set[str],
    words: dict[str, tuple[str, ...]],
) -> list[str]:
    if wanted.column_names != clean.column_names:
        return [f"columns {clean.column_names}"]
    found, plain = [], plain_types.plain_table(wanted)  # documented: views become strings
    for name in wanted.column_names:
        if name in changed:
            continue
        before, after = plain[name], clean[name]
        is_text = _is_bytes(before.type) and not _is_bytes(after.type)  # documented: read as text
        if is_text:
            before = before.cast(after.type)
        if before.type != after.type:
            found.append(f"{name!r}: {before.type} became {after.type}")
            continue
        read = wanted[name].to_pylist()
        cells = [read[place] for place in places]
        if is_text:
            cells = [None if cell is None else cell.decode() for cell in cells]
        if _without(cells, words[name]) != after.to_pylist():
            found.append(f"{name!r} ({before.type}): values changed")
    return found


def _text_differences(
    cells: dict[str, list[Any]], places: list[int], clean: pa.Table, changed: set[str]
) -> list[str]:
    if list(cells) != clean.column_names:
        return [f"columns {clean.column_names}"]
    found = []
    for name, column in cells.items():
        for place, value in zip(places, clean[name].to_pylist(), strict=True):
            if name not in changed and not _is_same(column[place], value):
                found.append(f"{name!r} ({clean[name].type}): {column[place]!r} became {value!r}")
                break
    return found


def _is_same(cell: Any, value: Any) -> bool:
    """Return whether a value is what a cell of a text file says."""
    if value is None:
        return cell is None or cell == ""
    if isinstance(value, bool):
        return cell in {value, str(value).lower()}
    if isinstance(value, list | dict):
        return _is_same_inside(cell, value)
    if isinstance(value, int | float):
        return _is_same_number(cell, value)
    if isinstance(value, str):
        return value == (cell if isinstance(cell, str) else json.dumps(cell))
    return _is_same_moment(cell, value)


def _is_same_number(cell: Any, value: float) -> bool:
    if isinstance(value, int):  # documented: whole numbers may be written as floats
        return value == (decimal.Decimal(cell) if isinstance(cell, str) else cell)
    read = float(cell)
    return value == read and math.copysign(1, value) == math.copysign(1, read)


def _is_same_inside(cell: Any, value: list[Any] | dict[str, Any]) -> bool:
    if isinstance(value, list):
        return len(cell) == len(value) and all(map(_is_same, cell, value))
    # a part that the line lacks is null
    parts = ((cell.get(name), part) for name, part in value.items())
    return cell.keys() <= value.keys() and all(_is_same(*pair) for pair in parts)


def _is_same_moment(cell: str, value: dt.date | dt.time) -> bool:
    if isinstance(value, dt.datetime):
        read = dt.datetime.fromisoformat(cell)
        return value == (read.astimezone(dt.UTC).replace(tzinfo=None) if read.tzinfo else read)
    return value.isoformat() == re.sub(r"\.0+$", "", cell)


if __name__ == "__main__":
    sys.exit(command(sys.argv[1:]))
