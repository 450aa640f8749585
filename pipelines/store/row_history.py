"""What became of rows: in their run, and in every other run and release that read them.

A release names the run that read the source: its base.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from checks.contract import loader
from checks.contract.yaml_reader import Document
from checks.kit import findings, verdict
from checks.kit.contract_model import Contract
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import lineage
from provenance.ledger.entry import Entry
from provenance.ledger.refusals import broken
from provenance.ledger.run_reader import RunReader
from provenance.rows.snapshot import Source

CONTRACT = "contract.yaml"
PLACE = re.compile(r"((?:clean|quarantine|rejected)/)?(part-[0-9]+\.parquet):([0-9]{1,18})")
# fate of a row in a run whose files are gone
UNKNOWN: dict[str, Any] = {"fate": "unknown", "file": None, "file_row": None, "rules": []}


def base_of(entry: Entry) -> int:
    """Return the number of the run that read the source: a release's base, else the run itself."""
    return int(entry.facts.get("base", entry.seq))


def contract_of(files: RunReader, home: Path | None = None) -> Contract:
    """Return the contract from a run's own copy; L011 if the copy does not match its record.

    `home` is the folder that its paths are relative to, by default the run's.
    """
    path = files.folder / CONTRACT
    document = Document(files.read(CONTRACT), path, str(path))
    return loader.of(document, root=Path("/"), home=home)


def row_at(files: RunReader, entry: Entry, place: str) -> int | None:
    """Return the ordinal of the row at a place in a run's files.

    Args:
        files: the run's files.
        entry: the run's entry.
        place: such as `clean/part-00000.parquet:17`, rows counted from 0; `clean/` may be left out.

    Returns:
        None if `place` does not have that form.

    Raises:
        AssayError: ASSAY-C013 if the run has no such row.
    """
    match = PLACE.fullmatch(place)
    if match is None:
        return None
    name, number = f"{match[1] or 'clean/'}{match[2]}", int(match[3])
    in_file = pc.field("file") == name
    wanted = in_file & (pc.field("file_row") == number)
    for item in files.matching("lineage", wanted):
        for source, copy in copies_in(entry):
            if (source["sha256"], copy) == (item["source_sha256"].hex(), item.get("copy", 0)):
                return int(source["first_row"] + item["source_row"])
    rows = len(files.matching("lineage", in_file, ["file_row"]))
    has = f"its rows are 0 to {rows - 1}" if rows else "the file does not exist or has no rows"
    what = f"run {entry.seq} has no row {number} in {name}: {has}"
    raise AssayError("C013", what, fix="name a file of the run and one of its rows, counted from 0")


def copies_in(entry: Entry) -> list[tuple[dict[str, Any], int]]:
    """Return the source files of a run, each with how many before it have the same bytes."""
    inputs = entry.facts["inputs"]
    copies = lineage.copies_of([Source(**item) for item in inputs])
    return list(zip(inputs, copies.tolist(), strict=True))


def copy_of(entry: Entry, source: Mapping[str, Any]) -> int:
    """Return how many files with the same bytes as a source come before it in its run."""
    return next(copy for each, copy in copies_in(entry) if each == source)


def fates_of(store: Store, sha256: str, local: int, copy: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the fate of one row of a source file in every run that read that file, in order.

    Args:
        store: holds the runs.
        sha256: the file's digest in hex.
        local: the row's ordinal in the file.
        copy: of the files with these bytes in a run, which one.
    """
    for entry in store.runs():
        facts = entry.facts
        for source, number in copies_in(entry):
            if (source["sha256"], number) == (sha256, copy):
                row = int(source["first_row"]) + local
                files = store.reader(entry)
                found = fate_in(files, source, row, copy) if files.is_there() else UNKNOWN
                yield {
                    "run": entry.seq,
                    "kind": entry.kind,
                    "base": base_of(entry),
                    "time": facts["time"],
                    "contract": facts["contract"]["sha256"],
                    "row": row,
                    **{name: found[name] for name in UNKNOWN},
                }
                break


def fate_in(files: RunReader, source: Mapping[str, Any], row: int, copy: int = 0) -> dict[str, Any]:
    """Return the lineage of a row in a committed run; L011 if it is missing or does not match."""
    local = row - int(source["first_row"])
    sha256 = pa.scalar(bytes.fromhex(source["sha256"]), pa.binary(32))
    wanted = (pc.field("source_row") == local) & (pc.field("source_sha256") == sha256)
    for found in files.matching("lineage", wanted):
        if found.get("copy", 0) == copy:
            return found
    what = f"run {files.seq} has no lineage for row {row}"
    raise broken("L011", what, files.folder / "lineage")


def source_of(entry: Entry, row: int) -> Mapping[str, Any]:
    """Return the source file of a row; C013 if the run has no such row."""
    inputs = entry.facts["inputs"]
    for source in inputs:
        if source["first_row"] <= row < source["first_row"] + source["rows"]:
            found: Mapping[str, Any] = source
            return found
    total = sum(source["rows"] for source in inputs)
    what = f"run {entry.seq} has no row {row}: its rows are 0 to {total - 1}"
    raise AssayError("C013", what, fix="count rows from 0, without the header of a CSV file")


def findings_in(files: RunReader, row: int) -> list[dict[str, Any]]:
    """Return the findings on one row, causes first; L011 if the run's files do not match."""
    found = files.matching("findings", pc.field("row") == row)
    ordered: list[dict[str, Any]] = verdict.causes_first(
        pa.Table.from_pylist(found, findings.SCHEMA)
    ).to_pylist()
    return ordered


def rejection_in(files: RunReader, row: int) -> str | None:
    """Return why a row was rejected, None if it was not; L011 if the run's files do not match."""
    found = files.matching("rejected", pc.field("_row") == row, ["_reason"])
    return found[0]["_reason"] if found else None
