"""Every kind of bad file: its code, its rows, and every other value as it was.

All are made and read in one process that forks for each (`tests/bad_files/reader.py`), as an
ordinary user: where root runs the tests, the child becomes `nobody` before it opens anything.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from bad_files import kind, reader

from provenance.rows.shards import ROW, as_read, read_shard, read_table
from provenance.rows.snapshot import Snapshot

NOBODY = 65534
CASES = {case.name: case for case in reader.all_cases()}
MEGABYTES = 512  # that a refusal may cost, beyond what the imports do


def read_all(user):
    """Read all cases as a user, in a folder that everybody may enter; return it and what came."""
    folder = Path(tempfile.mkdtemp(prefix="assay-bad-"))
    folder.chmod(0o755)
    words = [sys.executable, str(Path(reader.__file__)), str(folder)]
    words += [str(user)] if user is not None else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [reader.Found(**json.loads(line)) for line in done.stdout.splitlines()]
    return folder, {item.name: item for item in found}


@pytest.fixture(scope="module")
def as_nobody():
    folder, found = read_all(None if os.geteuid() else NOBODY)
    yield found
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def as_root():
    if os.geteuid():
        pytest.skip("needs root")
    folder, found = read_all(None)
    yield found
    shutil.rmtree(folder)


def check(case, found):
    """Hold what came of a case against what it should."""
    assert not found.trace
    folder = Path(found.folder) / "source"
    if case.fate == "refused":
        assert found.error is not None, f"was read; wanted {case.code}"
        assert found.error["code"] == f"ASSAY-{case.code}", found.error
        assert found.error["message"]
        assert found.error["where"]
        assert found.error["fix"]
        assert not (folder / "snapshot.json").exists()
        assert found.megabytes < MEGABYTES
        return
    assert found.error is None, found.error
    snapshot = Snapshot.load(folder / "snapshot.json")
    assert snapshot.rows == case.total
    assert [n.code for n in snapshot.warnings] == (
        [f"ASSAY-{case.code}"] if case.fate == "warned" else []
    )
    assert costs(snapshot) == {
        "held": {(row, case.code) for row in case.rows if case.fate == "held"},
        "rejected": {(row, case.code) for row in case.rows if case.fate == "rejected"},
    }
    assert_rest_survives(case, snapshot)


def costs(snapshot):
    """Return (row, code) of what is held and of what is rejected."""
    held = read_table(snapshot.held_findings).to_pylist() if snapshot.held else []
    rejected = read_table(snapshot.rejected).to_pylist() if snapshot.rejected else []
    if snapshot.held:
        rows = read_table(snapshot.held)[ROW].to_pylist()
        assert sorted(rows) == sorted({item["row"] for item in held})
    return {
        "held": {(item["row"], item["code"]) for item in held if item["code"] != "I035"}
        or {(item["row"], item["code"]) for item in held},
        "rejected": {(r["_row"], r["_reason"].split(":")[0][6:]) for r in rejected},
    }


def assert_rest_survives(case, snapshot):
    """Hold the texts of every row that is left, as read, against the honest ones."""
    shards = [read_shard(ref) for ref in snapshot.shards]
    rows = [row for shard in shards for row in shard.rows.tolist()]
    assert rows == [row for row in range(case.total) if row not in case.rows]
    if case.is_typed:
        texts = [pa.table({n: s.table[n].cast("string") for n in kind.NAMES}) for s in shards]
    else:
        texts = [as_read(s.table, raw) for s, raw in zip(shards, snapshot.raw, strict=True)]
    table = pa.concat_tables(texts).select(kind.NAMES)
    by_id = {cells[0]: cells for cells in map(list, zip(*table.to_pydict().values(), strict=True))}
    assert len(by_id) == len(rows)
    for key, seen in by_id.items():
        base = int(key) - 1
        wanted = kind.honest(base)
        for (row, column), text in case.kept.items():
            if row == base:
                wanted[kind.NAMES.index(column)] = text
        if case.is_typed:
            wanted[3] = str(float(wanted[3])) if wanted[3] is not None else None
        assert seen == wanted
    if case.fate == "held" and not case.is_typed:
        held = read_table(snapshot.held).to_pylist()
        for row, (column, text) in zip(
            held, [(c, t) for (_, c), t in case.kept.items()], strict=True
        ):
            assert row[column] == text


def test_there_are_enough_of_them():
    assert len(CASES) > 350
    assert len({case.code for case in CASES.values() if case.code}) > 30


@pytest.mark.parametrize("name", CASES)
def test_as_an_ordinary_user(as_nobody, name):
    check(CASES[name], as_nobody[name])


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.user])
def test_as_root(as_root, name):
    check(CASES[name], as_root[name])
