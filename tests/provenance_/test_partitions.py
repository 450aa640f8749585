"""Folders named `name=value` are columns: never lost, typed by the contract, or refused."""

import datetime as dt
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.readers import partitions
from provenance.readers.ingest import Limits, expand, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard

OWN = (ColumnSpec("id", "integer"), ColumnSpec("city"))
FOLDERS = (ColumnSpec("dt", "date"), ColumnSpec("country"))
DAYS = ("2026-01-01", "2026-01-02")
COUNTRIES = ("DE", "C%C3%B4te d%27Ivoire", partitions.MISSING)
NAMES = ("DE", "Côte d'Ivoire", None)


def write(path, ids, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": ids, "city": [f"c{n}" for n in ids], **more})
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        rows = [",".join(map(str, row.values())) for row in table.to_pylist()]
        path.write_text("\n".join([",".join(table.column_names), *rows, ""]))
    else:
        import json

        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


def tree(home, ending):
    wanted = []
    for d, day in enumerate(DAYS):
        for c, country in enumerate(COUNTRIES):
            ids = [100 * d + 10 * c + n for n in range(3)]
            write(home / f"dt={day}" / f"country={country}" / f"part-0.{ending}", ids)
            wanted += [(n, f"c{n}", dt.date.fromisoformat(day), NAMES[c]) for n in ids]
    return wanted


def read(home, specs, source=None):
    files = expand(str(source or home / "in"))
    return ingest(files, specs, home / "out", limits=Limits())


def rows_of(snapshot):
    tables = [read_shard(ref).table for ref in snapshot.shards]
    return [tuple(row.values()) for row in pa.concat_tables(tables).to_pylist()]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_folders_become_columns(tmp_path, ending):
    wanted = tree(tmp_path / "in", ending)
    found = rows_of(read(tmp_path, OWN + FOLDERS))
    assert sorted(found) == sorted(wanted)
    glob = tmp_path / "in" / "dt=*" / "country=DE" / "*"
    assert len(rows_of(read(tmp_path, OWN + FOLDERS, glob))) == 6
    one = next((tmp_path / "in").glob("dt=2026-01-02/country=DE/*"))
    assert rows_of(read(tmp_path, OWN + FOLDERS, one))[0][2:] == (dt.date(2026, 1, 2), "DE")


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_without_a_contract_they_are_text(tmp_path, ending):
    tree(tmp_path / "in", ending)
    snapshot = read(tmp_path, None)
    assert {row[2:] for row in rows_of(snapshot)} == {(d, c) for d in DAYS for c in NAMES}


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_contract_without_them_is_refused(tmp_path, ending):
    tree(tmp_path / "in", ending)
    with pytest.raises(AssayError, match="I018") as caught:
        read(tmp_path, (*OWN, FOLDERS[0]))
    assert "country" in caught.value.what
    assert "partitioned" in caught.value.fix


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_file_may_say_the_same_but_nothing_else(tmp_path, ending):
    path = tmp_path / "in" / "dt=2026-01-01" / "country=DE" / f"a.{ending}"
    write(path, [1, 2], country=["DE", "DE"])
    assert rows_of(read(tmp_path, OWN + FOLDERS))[0][:2] == (1, "c1")
    read(tmp_path, None)
    write(path, [1, 2], country=["DE", "FR"])
    for specs in (OWN + FOLDERS, None):
        with pytest.raises(AssayError, match="I041"):
            read(tmp_path, specs)


def test_a_typed_column_of_the_file_is_compared_by_value(tmp_path):
    path = tmp_path / "in" / "dt=2026-01-01" / "a.parquet"
    write(path, [1], dt=pa.array([dt.date(2026, 1, 1)]))
    assert rows_of(read(tmp_path, (*OWN, FOLDERS[0]))) == [(1, "c1", dt.date(2026, 1, 1))]
    write(path, [1], dt=pa.array([dt.date(2026, 1, 2)]))
    with pytest.raises(AssayError, match="I041"):
        read(tmp_path, (*OWN, FOLDERS[0]))


def test_a_column_that_is_nowhere_is_missing(tmp_path):
    write(tmp_path / "in" / "dt=2026-01-01" / "a.csv", [1])
    with pytest.raises(AssayError, match="I018"):
        read(tmp_path, OWN + FOLDERS)


ODD = {
    "no value": "dt=",
    "not UTF-8": "dt=%ff",
    "a NUL": "dt=%00",
    "no date": "dt=tomorrow",
    "a reserved name": "_row=1",
    "twice": "dt=2026-01-01/dt=2026-01-02",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_folders_are_refused(tmp_path, name):
    write(tmp_path / "in" / ODD[name] / "a.csv", [1])
    with pytest.raises(AssayError) as caught:
        read(tmp_path, (*OWN, FOLDERS[0]))
    assert caught.value.code in ("ASSAY-I041", "ASSAY-I026")


def test_names_that_differ_in_case_only_are_refused(tmp_path):
    write(tmp_path / "in" / "City=x" / "a.csv", [1])
    with pytest.raises(AssayError, match="I026"):
        read(tmp_path, None)


def test_a_missing_level_is_refused(tmp_path):
    tree(tmp_path / "in", "parquet")
    write(tmp_path / "in" / "dt=2026-01-03" / "stray.parquet", [1])
    for specs in (OWN + FOLDERS, None):
        with pytest.raises(AssayError, match="I041"):
            read(tmp_path, specs)


def test_only_folders_directly_above_the_file_count():
    assert partitions.of("a=1/data/b=2/c.csv") == {"b": "2"}
    assert partitions.of("a=1/data/c.csv") == {}
    assert partitions.of("s3://bucket/t/year=2026/month=01/x.parquet") == {
        "year": "2026",
        "month": "01",
    }
    assert partitions.of("postgresql://host/a=b/c") == {}
    assert partitions.of("x=1=2/a.csv") == {"x": "1=2"}


def test_a_folder_with_an_underscore_is_not_hidden(tmp_path):
    write(tmp_path / "in" / "_day=1" / "a.csv", [1])
    write(tmp_path / "in" / "_temporary" / "a.csv", [2])
    (tmp_path / "in" / "_SUCCESS").touch()
    assert rows_of(read(tmp_path, (*OWN, ColumnSpec("_day", "integer")))) == [(1, "c1", 1)]


def test_many_partitions(tmp_path):
    for n in range(500):
        folder = tmp_path / "in" / f"n={n}"
        os.makedirs(folder)  # noqa: PTH103
        (folder / "a.csv").write_text("id,city\n1,x\n")
    snapshot = read(tmp_path, (*OWN, ColumnSpec("n", "integer")))
    assert sorted(row[2] for row in rows_of(snapshot)) == list(range(500))
