"""`assay init` says how a source is written, and a run under that contract reads it whole."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checks.contract import loader
from pipelines import cli
from provenance.readers import ingest
from provenance.rows.shards import read_shard, read_table

N = 120


def proposed(tmp_path, monkeypatch, capsys, source, *words):
    """Return the contract that `init` writes, its notes, and the rows that a run would read."""
    monkeypatch.chdir(tmp_path)
    code = cli.main(["init", source, "-o", "c.yaml", "--json", "--force", *words])
    told = json.loads(capsys.readouterr().out)
    assert code == 0, told
    contract = loader.load(tmp_path / "c.yaml")
    specs = tuple(column.spec for column in contract.columns)
    files = ingest.expand(source)
    out = tmp_path / "read"
    read = ingest.ingest(files, specs, out, limits=ingest.Limits(), dialect=contract.csv)
    return contract, told["notes"], read


def rows_of(read):
    tables = [read_shard(ref).table for ref in read.shards]
    return [tuple(row.values()) for row in pa.concat_tables(tables).to_pylist()]


def kinds(contract):
    return {column.name: column.spec.logical for column in contract.columns}


def german(value, digits):
    text = f"{value:,.{digits}f}"
    return text.translate(str.maketrans(",.", ".,"))


def test_a_german_export(tmp_path, monkeypatch, capsys):
    draw = random.Random(3)
    rows = [(draw.uniform(1e3, 1e5), draw.randint(10_000, 99_999), draw.random()) for _ in range(N)]
    lines = [
        f"{n:06};{german(a, 2)};{german(b, 0)};{german(c, 2)}" for n, (a, b, c) in enumerate(rows)
    ]
    text = "Nr;Betrag;Einkommen;Rate\n" + "\n".join(lines) + "\n"
    (tmp_path / "a.csv").write_text(text)
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert (contract.csv.decimal, contract.csv.thousands) == (",", ".")
    assert kinds(contract) == {
        "Nr": "string", "Betrag": "number", "Einkommen": "integer", "Rate": "number"}  # fmt: skip
    assert [row[2] for row in rows_of(read)] == [b for _, b, _ in rows]
    assert (read.held, read.rejected) == (None, None)
    assert any("'Einkommen'" in note for note in notes)  # the other columns tell what a point means


COLUMNS = {
    "thousands": ('"1,234"', ["1.5", "2.25"], (".", ","), "number"),
    "ambiguous": ('"1,234"', None, (".", ""), "string"),
    "swiss": ("1'234.50", ["1.5"], (".", "'"), "number"),
    "french": ('"1\u202f234,50"', None, (",", "\u202f"), "number"),
    "mixed": (None, None, (".", ""), "string"),
    "minority": ('"1,5"', ["1.25", "2.5", "3.75"], (".", ""), "string"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_judged_as_a_whole(tmp_path, monkeypatch, capsys, name):
    cell, others, (decimal, thousands), logical = COLUMNS[name]
    lines = []
    for n in range(N):
        x = cell or ('"1,5"', "2.5")[n % 2]
        more = [f"{other}{n % 7}" for other in others or ()]
        lines.append(",".join([str(n), x, *more]))
    names = [f"c{n}" for n in range(len(others or ()))]
    (tmp_path / "a.csv").write_text(",".join(["n", "x", *names]) + "\n" + "\n".join(lines) + "\n")
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert (contract.csv.decimal, contract.csv.thousands) == (decimal, thousands)
    assert kinds(contract)["x"] == logical
    assert (read.held, read.rejected) == (None, None)
    assert any("'x': left as text" in note for note in notes) is (logical == "string")
    if logical == "string":  # as it is written
        assert {row[1] for row in rows_of(read)} <= {"1,234", "1,5", "2.5"}


@pytest.mark.parametrize(
    ("above", "below", "key"),
    [("Report 2024\n\n", "", "skip"), ("# a, b\n", "", "comment"), ("", "Total,,9\n", "footer")],
)
def test_lines_around_the_table(tmp_path, monkeypatch, capsys, above, below, key):
    table = "site,day,rain,wind\n" + "".join(f"S{n % 3},{n},{n / 4},{n}\n" for n in range(N))
    (tmp_path / "a.csv").write_text(above + table + below.replace(",,", ",,,"))
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert getattr(contract.csv, key)
    assert any(f"assay.csv): {key}" in note for note in notes)
    assert (read.rows, read.held, read.rejected) == (N, None, None)


def test_the_index_of_pandas(tmp_path, monkeypatch, capsys):
    for header, name in ((",age,y", "index"), ("Unnamed: 0,age,y", "Unnamed: 0")):
        rows = [f"{n},{20 + n * 7 % 50},{'ab'[n * 2 // N]}" for n in range(N)]  # sorted by label
        (tmp_path / "a.csv").write_text("\n".join([header, *rows, ""]))
        contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
        assert contract.column(name).roles == {"ignore"}
        assert any("sorted by the label" in note for note in notes)
        assert read.rows == N
        shuffled = random.Random(1).sample(rows, N)
        (tmp_path / "a.csv").write_text("\n".join([header, *shuffled, ""]))
        contract, notes, _ = proposed(tmp_path, monkeypatch, capsys, "a.csv")
        assert contract.column(name).roles == {"ignore"}


def test_words_that_only_mean_missing(tmp_path, monkeypatch, capsys):
    cells = [("\\N" if n % 5 == 0 else str(n), "#N/A" if n % 9 == 0 else "red") for n in range(N)]
    text = "x,colour,y\n" + "".join(f"{x},{c},{n % 2}\n" for n, (x, c) in enumerate(cells))
    (tmp_path / "a.csv").write_text(text)
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert kinds(contract)["x"] in ("integer", "number")
    assert contract.column("x").spec.missing == ("\\N",)
    assert contract.column("colour").spec.missing == ("#N/A",)
    assert sum("read as missing" in note for note in notes) == 2
    found = rows_of(read)
    assert (found[0][0], found[0][1], found[1][1]) == (None, None, "red")


def test_blanks_after_the_delimiter(tmp_path, monkeypatch, capsys):
    text = "x, colour, n\n" + "".join(f"{n / 2}, red, {n}\n" for n in range(N))
    (tmp_path / "a.csv").write_text(text)
    contract, _, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert contract.csv.trim
    assert list(kinds(contract)) == ["x", "colour", "n"]
    assert rows_of(read)[4] == (2.0, "red", 4)


def test_blanks_in_one_column_are_told_and_kept(tmp_path, monkeypatch, capsys):
    text = "x,colour,n\n" + "".join(f"{n / 2}, red,{n}\n" for n in range(N))
    (tmp_path / "a.csv").write_text(text)
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert not contract.csv.trim
    assert any("'colour': its cells begin with a blank" in note for note in notes)
    assert rows_of(read)[4] == (2.0, " red", 4)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_booleans_of_json(tmp_path, monkeypatch, capsys, name):
    rows = [{"flag": n % 3 == 0, "t": "true" if n % 2 else "no", "y": n % 2 == 0} for n in range(N)]
    rows[7]["flag"] = None
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / name).write_text(json.dumps(rows) if name == "a.json" else lines)
    contract, _, read = proposed(tmp_path, monkeypatch, capsys, name, "--label", "y")
    assert kinds(contract) == {"flag": "boolean", "t": "string", "y": "boolean"}
    assert [row[0] for row in rows_of(read)] == [row["flag"] for row in rows]
    assert contract.column("y").valid_values == (False, True)


def test_bytes_that_are_text(tmp_path, monkeypatch, capsys):
    table = pa.table({"city": [b"caf\xc3\xa9", b"b"] * N, "n": range(2 * N)})
    pq.write_table(table, tmp_path / "a.parquet")
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.parquet")
    assert kinds(contract)["city"] == "string"
    assert any("UTF-8" in note for note in notes)
    assert rows_of(read)[0] == ("café", 0)
    pq.write_table(pa.table({"city": [b"\xff", b"b"] * N}), tmp_path / "b.parquet")
    assert cli.main(["init", "b.parquet", "-o", "d.yaml"]) == 0
    assert "format: binary" in (tmp_path / "d.yaml").read_text()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_folders_are_columns_of_their_type(tmp_path, monkeypatch, capsys, ending):
    for n, (day, country) in enumerate((d, c) for d in (1, 2, 3) for c in ("DE", "FR")):
        folder = tmp_path / "in" / f"dt=2026-01-0{day}" / f"hour={day}" / f"country={country}"
        folder.mkdir(parents=True)
        table = pa.table({"id": [30 * n + i for i in range(30)], "v": [i / 4 for i in range(30)]})
        if ending == "parquet":
            pq.write_table(table, folder / "p.parquet")
        else:
            rows = [",".join(map(str, row.values())) for row in table.to_pylist()]
            (folder / "p.csv").write_text("\n".join(["id,v", *rows, ""]))
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "in")
    types = kinds(contract)
    assert (types["dt"], types["country"]) == ("date", "string")
    assert types["hour"] in ("integer", "number")
    assert (tmp_path / "c.yaml").read_text().count("partitioned: true") == 3
    assert sum("names of folders" in note for note in notes) == 3
    assert (read.rows, read.held, read.rejected) == (180, None, None)


def test_names_that_differ_in_case_only_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("ID,id,y\n" + "".join(f"{n},{2 * n},a\n" for n in range(N)))
    assert cli.main(["init", "a.csv", "-o", "c.yaml", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-I026"
    assert not (tmp_path / "c.yaml").exists()


def test_a_header_in_the_middle_is_no_class(tmp_path, monkeypatch, capsys):
    half = "".join(f"{n},{'ab'[n % 2]}\n" for n in range(N))
    (tmp_path / "a.csv").write_text("x,y\n" + half + "x,y\n" + half)
    contract, notes, read = proposed(tmp_path, monkeypatch, capsys, "a.csv")
    assert set(contract.column("y").valid_values) == {"a", "b"}
    assert kinds(contract)["x"] == "integer"
    assert any("repeats the header" in note for note in notes)
    assert read_table(read.rejected).num_rows == 1
